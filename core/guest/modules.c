/* SPDX-License-Identifier: MIT */
/*
 * Selects the kernel modules that go into the initrd, in the order in which the init loads them,
 * and says for which devices. A module that is built into the kernel needs neither.
 */
#include "core/guest/internal.h"
#include "core/guest/init/init.h"

#include <stdlib.h>
#include <string.h>

/* In the order of loading. Names as the kernel has them, with underscores. */
static const struct wanted {
	enum phase phase;
	const char *name;
	bool always;    /* load it whether or not a device asks for it */
	bool essential; /* without it no VM runs as promised */
	const char *also;
} wanted[] = {
        {PHASE_BASE, "crc32c_generic", true, false, NULL},
        {PHASE_BASE, "ext4", true, false, NULL},
        {PHASE_BUS, "virtio_pci", false, true, NULL},
        {PHASE_BUS, "nvme", false, false, NULL},
        {PHASE_BUS, "vmw_pvscsi", false, false, "sd_mod"},
        {PHASE_BUS, "hv_vmbus", false, false, NULL},
        {PHASE_DISK, "virtio_blk", false, true, NULL},
        {PHASE_DISK, "virtio_scsi", false, false, "sd_mod"},
        {PHASE_DISK, "hv_storvsc", false, false, "sd_mod"},
        {PHASE_DISK, "xen_blkfront", false, false, NULL},
        {PHASE_DEVICE, "virtio_console", false, true, NULL},
        {PHASE_DEVICE, "virtio_net", false, true, NULL},
        {PHASE_DEVICE, "vmxnet3", false, false, NULL},
        {PHASE_DEVICE, "e1000", false, false, NULL},
        {PHASE_DEVICE, "e1000e", false, false, NULL},
        {PHASE_DEVICE, "hv_netvsc", false, false, NULL},
        {PHASE_DEVICE, "hv_utils", false, false, NULL}, /* the host's wish to shut down */
        {PHASE_DEVICE, "xen_netfront", false, false, NULL},
        {PHASE_DEVICE, "virtio_rng", false, false, NULL},
        {PHASE_DEVICE, "virtio_balloon", false, false, NULL},
        {PHASE_FALLBACK, "ahci", true, false, "sd_mod"},
        {PHASE_FALLBACK, "ata_piix", true, false, "sd_mod"},
        {PHASE_IDLE, "button", true, false, NULL},
        {PHASE_IDLE, "evdev", true, false, NULL},
};

struct tree {
	const char *directory;
	json_t *lines;   /* module → its line of modules.dep */
	json_t *builtin; /* module → true */
	char *aliases;   /* modules.alias */
};

void guest_modules_free(struct guest_modules *modules)
{
	for (size_t i = 0; i < modules->count; i++)
		free(modules->files[i]);
	free(modules->files);
	free(modules->list);
	*modules = (struct guest_modules){0};
}

char *guest_modules_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = nova_strdup(slash != NULL ? slash + 1 : path);
	char *end = strstr(name, ".ko");

	if (end != NULL)
		end[3] = '\0';
	return name;
}

/* The name as the kernel has it: no ".ko", underscores. */
static char *module_key(const char *path, size_t length)
{
	NOVA_AUTOFREE char *copy = nova_format("%.*s", (int)length, path);
	char *key = guest_modules_name(copy);
	char *end = strstr(key, ".ko");

	if (end != NULL)
		*end = '\0';
	for (char *at = key; *at != '\0'; at++)
		if (*at == '-')
			*at = '_';
	return key;
}

static char *read_list(const char *directory, const char *name, struct nova_error *error)
{
	NOVA_AUTOFREE char *path = nova_format("%s/%s", directory, name);

	return nova_file_read(path, 64 << 20, NULL, error);
}

static int read_tree(const char *directory, struct tree *tree, struct nova_error *error)
{
	char *rest = NULL;
	NOVA_AUTOFREE char *depends = read_list(directory, "modules.dep", error);
	if (depends == NULL)
		return error != NULL ? error->code : NOVA_E_IO;
	NOVA_AUTOFREE char *builtin = read_list(directory, "modules.builtin", NULL);
	tree->directory = directory;
	tree->aliases = read_list(directory, "modules.alias", NULL);
	tree->lines = json_object();
	tree->builtin = json_object();
	for (char *line = strtok_r(depends, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		NOVA_AUTOFREE char *key = module_key(line, strcspn(line, ":"));
		json_object_set_new(tree->lines, key, json_string(line));
	}
	rest = NULL;
	for (char *line = builtin != NULL ? strtok_r(builtin, "\n", &rest) : NULL; line;
	     line = strtok_r(NULL, "\n", &rest)) {
		NOVA_AUTOFREE char *key = module_key(line, strlen(line));
		json_object_set_new(tree->builtin, key, json_true());
	}
	return 0;
}

static void free_tree(struct tree *tree)
{
	json_decref(tree->lines);
	json_decref(tree->builtin);
	free(tree->aliases);
}

static void add_file(struct guest_modules *modules, const char *path)
{
	for (size_t i = 0; i < modules->count; i++)
		if (strcmp(modules->files[i], path) == 0)
			return;
	modules->files = nova_grow(modules->files, modules->count, sizeof(*modules->files));
	modules->files[modules->count++] = nova_strdup(path);
}

/* " a.ko b.ko": what `line` of modules.dep needs, in the order of loading (the file's is reversed).
 */
static void add_with_dependencies(const struct tree *tree, const char *line,
                                  struct guest_modules *modules, struct nova_text *out)
{
	NOVA_AUTOFREE char *copy = nova_strdup(line);
	char *words[64], *rest = NULL;
	size_t count = 0;

	for (char *word = strtok_r(copy, " :", &rest); word && count < NOVA_COUNT(words);
	     word = strtok_r(NULL, " :", &rest))
		words[count++] = word;
	while (count-- > 0) {
		NOVA_AUTOFREE char *path =
		        words[count][0] == '/'
		                ? nova_strdup(words[count])
		                : nova_format("%s/%s", tree->directory, words[count]);
		NOVA_AUTOFREE char *name = guest_modules_name(path);
		add_file(modules, path);
		nova_text_addf(out, " %s", name);
	}
}

/* Of one whose devices the init looks at. */
static bool is_of_a_bus(const char *pattern)
{
	static const char *const buses[] = {"pci:", "virtio:", "acpi", "vmbus:", "xen:"};

	for (size_t i = 0; i < NOVA_COUNT(buses); i++)
		if (strncmp(pattern, buses[i], strlen(buses[i])) == 0)
			return true;
	return false;
}

/* The device patterns of a module in modules.alias ("alias PATTERN MODULE"), joined by commas. */
static void add_patterns(const struct tree *tree, const char *name, struct nova_text *out)
{
	NOVA_AUTOFREE char *copy = nova_strdup(tree->aliases != NULL ? tree->aliases : "");
	char *rest = NULL;
	size_t before = out->length;

	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *words = NULL, *word = strtok_r(line, " ", &words);
		char *pattern = strtok_r(NULL, " ", &words);
		char *module = strtok_r(NULL, " ", &words);
		if (word == NULL || pattern == NULL || module == NULL ||
		    strcmp(word, "alias") != 0 || strcmp(module, name) != 0 ||
		    strchr(pattern, ',') != NULL || !is_of_a_bus(pattern))
			continue;
		nova_text_addf(out, "%s%s", out->length > before ? "," : "", pattern);
	}
	if (out->length == before)
		nova_text_add(out, "-");
}

static int select_one(const struct tree *tree, const struct wanted *one,
                      struct guest_modules *modules, struct nova_text *list,
                      struct nova_error *error)
{
	const char *line = json_string_value(json_object_get(tree->lines, one->name));
	const char *also =
	        one->also ? json_string_value(json_object_get(tree->lines, one->also)) : NULL;

	if (line == NULL && one->essential && json_object_get(tree->builtin, one->name) == NULL)
		return nova_error_set(error, NOVA_E_UNAVAILABLE,
		                      "the kernel of %s has no module %s, without which the guest "
		                      "does not work; run: apt-get install linux-image-cloud-amd64",
		                      tree->directory, one->name);
	if (line == NULL)
		return 0;
	nova_text_addf(list, "%d ", (int)one->phase);
	if (one->always)
		nova_text_add(list, "-");
	else
		add_patterns(tree, one->name, list);
	add_with_dependencies(tree, line, modules, list);
	if (also != NULL)
		add_with_dependencies(tree, also, modules, list);
	nova_text_add(list, "\n");
	return 0;
}

int guest_modules_select(const char *directory, struct guest_modules *modules,
                         struct nova_error *error)
{
	struct tree tree = {0};
	NOVA_AUTOTEXT struct nova_text list = {0};

	*modules = (struct guest_modules){0};
	int failed = read_tree(directory, &tree, error);
	for (size_t i = 0; failed == 0 && i < NOVA_COUNT(wanted); i++)
		failed = select_one(&tree, &wanted[i], modules, &list, error);
	modules->list = nova_strdup(nova_text_get(&list));
	free_tree(&tree);
	if (failed != 0)
		guest_modules_free(modules);
	return failed;
}
