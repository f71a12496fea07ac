/* SPDX-License-Identifier: MIT */
/*
 * `novacore guest`: builds, shows and cleans the appliance, our own small guest.
 */
#include "core/cli/cli.h"
#include "core/guest/guest.h"

#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
        "usage: novacore guest build [--kernel FILE]\n"
        "               [--format qcow2|vmdk|vhd|vhdx|raw|containerdisk [--size SIZE] "
        "[--compress]\n"
        "               [--ssh-key FILE] [--output FILE]]\n"
        "       novacore guest list [--format table|json]\n"
        "       novacore guest info [ID] [--format table|json]\n"
        "       novacore guest clean [--all]\n"
        "\n"
        "The appliance is the small Linux that novacore runs inside VMs: the tools it measures "
        "with\n"
        "(sysbench, fio, iperf3, stress-ng), the guest agent, and an init that says when user "
        "space\n"
        "is up. It is made of packages that are installed on this machine, so nothing is "
        "downloaded,\n"
        "and guest and host run the same binaries. `novacore run` builds it when it needs it; an\n"
        "appliance of the same inputs is used again.\n"
        "\n"
        "  build   build the appliance for what is installed now, unless it is there already; "
        "with\n"
        "          --format, as a disk that boots by itself with BIOS and UEFI, gets its address "
        "by\n"
        "          DHCP, and powers off by ACPI\n"
        "  list    the appliances that are cached\n"
        "  info    one of them (ID: its beginning is enough), or the current one: files, kernel\n"
        "          command line, and the inputs that its id is a hash of\n"
        "  clean   remove appliances of former inputs; never one that a run is using\n"
        "\n"
        "  --kernel FILE         kernel of the guest (default: the newest cloud kernel in /boot)\n"
        "  --format FORMAT       build: of the disk: qcow2, vmdk (stream-optimized, as vSphere "
        "takes\n"
        "                        it), vhd (dynamic, as XCP-ng takes it), vhdx (dynamic), raw,\n"
        "                        containerdisk (KubeVirt's, as an OCI archive)\n"
        "                        list, info: how to print: table (default), json\n"
        "  --size SIZE           of the disk that a VM sees (default: 4GiB)\n"
        "  --compress            qcow2: smaller, and slower when it is first read\n"
        "  --ssh-key FILE        public keys that may log in to the disk by SSH as root; without "
        "them\n"
        "                        it has no SSH server running\n"
        "  --output FILE         write the disk there, too; without it, into the cache only\n"
        "  --all                 clean: the current appliance, too\n" NOVA_COMMON_HELP "\n"
        "example: for vSphere, with a key for SSH\n"
        "  novacore guest build --format vmdk --ssh-key ~/.ssh/id_ed25519.pub --output lab.vmdk\n"
        "example: build it, look where it is, and watch it boot (Ctrl-A X ends QEMU)\n"
        "  novacore guest build\n"
        "  novacore guest info\n"
        "  qemu-system-x86_64 -m 512 -nographic -kernel KERNEL -initrd INITRD -snapshot \\\n"
        "    -append 'console=ttyS0 root=/dev/vda' -drive file=IMAGE,format=raw,if=virtio\n"
        "\n"
        "To use an image of your own instead: novacore run --set guest.image=FILE\n";

struct arguments {
	const char *action, *id;
	struct nova_guest_options options;
	const char *format, *output;
	struct nova_guest_disk disk;
	bool json, all, quiet;
};

static volatile int stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static void print_json(const json_t *json)
{
	NOVA_AUTOFREE char *text = json_dumps(json, JSON_INDENT(2));

	puts(text);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "–";
}

static const char *state_of(const json_t *entry)
{
	const json_t *current = json_object_get(entry, "current");

	if (json_is_true(json_object_get(entry, "used")))
		return json_is_true(current) ? "current, in use" : "in use";
	return json_is_true(current) ? "current" : json_is_null(current) ? "unknown" : "outdated";
}

/* --- build ------------------------------------------------------------------------------------ */

static void say(void *context, const char *line)
{
	const struct arguments *arguments = context;

	if (!arguments->quiet)
		fprintf(stderr, "%s\n", line);
}

/* Beside FILE first: it is whole from the moment it has its name. */
static int copy_out(const struct arguments *arguments, const struct nova_guest *guest,
                    struct nova_error *error)
{
	const char *to = arguments->output;
	NOVA_AUTOFREE char *partial = nova_format("%s.%ld.partial", to, (long)getpid());
	const char *const argv[] = {"cp", "--sparse=always", "--", guest->image, partial, NULL};
	struct nova_child child = {.argv = argv, .stop = &stop};

	int failed = nova_child_check(&child, NULL, error);
	if (failed == 0 && rename(partial, to) != 0)
		failed = nova_error_errno(error, "cannot write %s", to);
	if (failed != 0) {
		unlink(partial);
		nova_error_prefix(error, "cannot write the disk to %s", to);
	}
	return failed;
}

/* Before a disk is made that has nowhere to go. */
static int check_output(const char *to, struct nova_error *error)
{
	NOVA_AUTOFREE char *copy = nova_strdup(to);

	return access(dirname(copy), W_OK | X_OK) == 0
	               ? 0
	               : nova_error_errno(error, "cannot write the disk to %s", to);
}

static int build_disk(struct arguments *arguments, struct nova_guest *guest,
                      struct nova_error *error)
{
	if (arguments->output != NULL && check_output(arguments->output, error) != 0)
		return error->code;
	arguments->disk.format = arguments->format;
	int failed = nova_guest_disk(&arguments->options, &arguments->disk, say, arguments, guest,
	                             error);

	if (failed == 0 && arguments->output != NULL)
		failed = copy_out(arguments, guest, error);
	return failed;
}

static int build(struct arguments *arguments, struct nova_error *error)
{
	struct sigaction catching = {.sa_handler = on_signal};
	struct nova_guest guest = {.hold = -1};
	bool disk = arguments->format != NULL;

	sigaction(SIGINT, &catching, NULL);
	sigaction(SIGTERM, &catching, NULL);
	arguments->options.stop = &stop;
	int failed = disk ? build_disk(arguments, &guest, error)
	                  : nova_guest_ensure(&arguments->options, say, arguments, &guest, error);
	if (failed == 0 && !arguments->quiet)
		printf("%.16s  %s\n", guest.id,
		       !disk                       ? guest.directory
		       : arguments->output != NULL ? arguments->output
		                                   : guest.image);
	nova_guest_release(&guest);
	return failed;
}

/* --- list, info ------------------------------------------------------------------------------- */

static int list(const struct arguments *arguments, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *entries = NULL;
	const json_t *entry;
	size_t i;
	int failed = nova_guest_list(&arguments->options, &entries, error);

	if (failed != 0)
		return failed;
	if (arguments->json) {
		print_json(entries);
		return 0;
	}
	if (json_array_size(entries) == 0) {
		puts("No appliance has been built yet; run: novacore guest build");
		return 0;
	}
	printf("%-16s  %-24s  %10s  %-28s  %s\n", "ID", "BUILT", "ON DISK", "KERNEL", "STATE");
	json_array_foreach(entries, i, entry)
	{
		char size[32];
		nova_value_format((double)json_integer_value(json_object_get(entry, "bytes")),
		                  NOVA_UNIT_BYTE, size);
		printf("%.16s  %-24s  %10s  %-28s  %s\n", text_of(entry, "id"),
		       text_of(entry, "built"), size, text_of(entry, "kernel_release"),
		       state_of(entry));
	}
	return 0;
}

static void print_versions(const json_t *inputs)
{
	static const char *const shown[] = {
	        "sysbench", "fio", "iperf3", "stress-ng", "qemu-guest-agent", "busybox-static"};
	const json_t *packages = json_object_get(inputs, "packages");

	for (size_t i = 0; i < NOVA_COUNT(shown); i++)
		printf("%-14s %s %s\n", i == 0 ? "tools" : "", shown[i],
		       text_of(packages, shown[i]));
	printf("%-14s and %zu packages that they depend on (--format json names all)\n", "",
	       json_object_size(packages) - NOVA_COUNT(shown));
}

static int info(const struct arguments *arguments, struct nova_error *error)
{
	static const struct {
		const char *label, *key;
	} rows[] = {{"id", "id"},
	            {"built", "built"},
	            {"kernel", "kernel"},
	            {"initrd", "initrd"},
	            {"image", "image"},
	            {"release", "kernel_release"},
	            {"command line", "cmdline"}};
	NOVA_AUTOJSON json_t *entry = NULL;
	const json_t *disk;
	char size[32];
	size_t i;
	int failed = nova_guest_info(&arguments->options, arguments->id, &entry, error);

	if (failed != 0)
		return failed;
	if (arguments->json) {
		print_json(entry);
		return 0;
	}
	for (i = 0; i < NOVA_COUNT(rows); i++)
		printf("%-14s %s\n", rows[i].label, text_of(entry, rows[i].key));
	nova_value_format((double)json_integer_value(json_object_get(entry, "bytes")),
	                  NOVA_UNIT_BYTE, size);
	printf("%-14s %s\n", "on disk", size);
	printf("%-14s %s\n", "state", state_of(entry));
	json_array_foreach(json_object_get(entry, "disks"), i, disk)
	        printf("%-14s %-13s %s\n", i == 0 ? "disks" : "", text_of(disk, "format"),
	               text_of(disk, "file"));
	print_versions(json_object_get(entry, "inputs"));
	return 0;
}

/* --- clean ------------------------------------------------------------------------------------ */

static int clean(const struct arguments *arguments, struct nova_error *error)
{
	struct nova_guest_cleaned cleaned;
	char size[32];
	int failed = nova_guest_clean(&arguments->options, arguments->all, &cleaned, error);

	if (failed != 0 || arguments->quiet)
		return failed;
	nova_value_format((double)cleaned.bytes, NOVA_UNIT_BYTE, size);
	printf("removed %u appliance%s, %s\n", cleaned.removed, cleaned.removed == 1 ? "" : "s",
	       size);
	if (cleaned.used > 0)
		printf("kept %u that a run or a build is using\n", cleaned.used);
	return 0;
}

/* --- command ---------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	bool takes_id;
} actions[] = {{"build", false}, {"list", false}, {"info", true}, {"clean", false}};

static int choose(struct arguments *arguments, int argc, char **argv, struct nova_error *error)
{
	const char *names[NOVA_COUNT(actions) + 1] = {NULL};

	if (optind == argc)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "guest needs to know what to do: build, list, info or clean; "
		                      "see: novacore guest --help");
	arguments->action = argv[optind++];
	for (size_t i = 0; i < NOVA_COUNT(actions); i++) {
		names[i] = actions[i].name;
		if (strcmp(arguments->action, actions[i].name) != 0)
			continue;
		if (actions[i].takes_id && optind < argc)
			arguments->id = argv[optind++];
		if (optind == argc)
			return 0;
		return nova_error_set(error, NOVA_E_INVALID,
		                      "unexpected argument \"%s\" after guest %s; see: novacore "
		                      "guest --help",
		                      argv[optind], arguments->action);
	}
	const char *nearest = nova_nearest(arguments->action, names);
	return nova_error_set(
	        error, NOVA_E_INVALID, "guest cannot \"%s\"; %s%s%s; see: novacore guest --help",
	        arguments->action, nearest != NULL ? "did you mean " : "it can build, ",
	        nearest != NULL ? nearest : "list, info and clean", nearest != NULL ? "?" : "");
}

static int perform(struct arguments *arguments, struct nova_error *error)
{
	if (strcmp(arguments->action, "build") == 0)
		return build(arguments, error);
	if (strcmp(arguments->action, "list") == 0)
		return list(arguments, error);
	if (strcmp(arguments->action, "info") == 0)
		return info(arguments, error);
	return clean(arguments, error);
}

/* What an option means depends on the action, which may come after it. */
static int check(struct arguments *arguments, struct nova_error *error)
{
	const char *format = arguments->format;
	const struct nova_guest_disk *disk = &arguments->disk;
	bool building = strcmp(arguments->action, "build") == 0;

	if (building && format == NULL &&
	    (disk->bytes != 0 || disk->compress || disk->ssh_key != NULL ||
	     arguments->output != NULL))
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "--size, --compress, --ssh-key and --output are for a disk; "
		        "say which by --format qcow2, vmdk, vhd, vhdx, raw or containerdisk");
	if (!building && (disk->bytes != 0 || disk->compress || disk->ssh_key != NULL ||
	                  arguments->output != NULL))
		return nova_error_set(
		        error, NOVA_E_INVALID,
		        "--size, --compress, --ssh-key and --output are for guest build "
		        "--format");
	if (building || format == NULL)
		return 0;
	arguments->json = strcmp(format, "json") == 0;
	if (arguments->json || strcmp(format, "table") == 0)
		return 0;
	return nova_error_set(error, NOVA_E_INVALID,
	                      "--format %s is not known here; it can be table or json", format);
}

static int take_size(const char *text, uint64_t *bytes, struct nova_error *error)
{
	double value;
	int failed = nova_quantity_parse(text, NOVA_SIZE, &value, error);

	if (failed != 0)
		return nova_error_prefix(error, "--size");
	if (value < 1 || value > 1e15)
		return nova_error_set(error, NOVA_E_INVALID, "--size %s is out of range", text);
	*bytes = (uint64_t)value;
	return 0;
}

int nova_command_guest(int argc, char **argv)
{
	enum {
		OPTION_KERNEL = 1,
		OPTION_FORMAT,
		OPTION_ALL,
		OPTION_SIZE,
		OPTION_COMPRESS,
		OPTION_SSH_KEY,
		OPTION_OUTPUT
	};
	static const struct option options[] = {
	        {"kernel", required_argument, NULL, OPTION_KERNEL},
	        {"format", required_argument, NULL, OPTION_FORMAT},
	        {"all", no_argument, NULL, OPTION_ALL},
	        {"size", required_argument, NULL, OPTION_SIZE},
	        {"compress", no_argument, NULL, OPTION_COMPRESS},
	        {"ssh-key", required_argument, NULL, OPTION_SSH_KEY},
	        {"output", required_argument, NULL, OPTION_OUTPUT},
	        NOVA_COMMON_OPTIONS,
	        {NULL, 0, NULL, 0}};
	struct arguments arguments = {0};
	struct nova_error error = {0};
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (option == OPTION_KERNEL) {
			arguments.options.kernel = optarg;
		} else if (option == OPTION_ALL) {
			arguments.all = true;
		} else if (option == OPTION_FORMAT) {
			arguments.format = optarg;
		} else if (option == OPTION_COMPRESS) {
			arguments.disk.compress = true;
		} else if (option == OPTION_SSH_KEY) {
			arguments.disk.ssh_key = optarg;
		} else if (option == OPTION_OUTPUT) {
			arguments.output = optarg;
		} else if (option == OPTION_SIZE) {
			if (take_size(optarg, &arguments.disk.bytes, &error) != 0)
				return nova_complain(&error);
		} else {
			arguments.quiet |= option == NOVA_OPTION_QUIET;
			int code = nova_common_option(option, argv, options, help);
			if (code >= 0)
				return code;
		}
	}
	if (choose(&arguments, argc, argv, &error) != 0 || check(&arguments, &error) != 0 ||
	    perform(&arguments, &error) != 0)
		return nova_complain(&error);
	return 0;
}
