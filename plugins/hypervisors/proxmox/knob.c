/* SPDX-License-Identifier: MIT */
/* Knobs: options of a VM's configuration, and of the string that describes its disk. */
#include "option.h"
#include "proxmox.h"

#include <stdio.h>
#include <string.h>

static const struct knob {
	const char *name;
	const char *option; /* of the configuration, unless it is the disk's */
	const char *disk;   /* of the disk's string */
	const char *fallback, *doc;
} knobs[] = {
        {"vm.cpu.mode", "cpu", NULL, "default", "model of the CPU, as host"},
        {"vm.cpu.limit", "cpulimit", NULL, "0", "most CPU time in CPUs, 0: no limit"},
        {"vm.cpu.units", "cpuunits", NULL, "100", "1…10000: share of CPU time against other VMs"},
        {"vm.cpu.mask", "affinity", NULL, "", "host CPUs that it may run on, 0-3,8; empty: all"},
        {"vm.disk.cache", NULL, "cache", "none",
         "none, writethrough, writeback, directsync or unsafe"},
        {"vm.disk.io", NULL, "aio", "io_uring", "io_uring, native or threads"},
        {"vm.disk.discard", NULL, "discard", "ignore", "ignore or on"},
        {"vm.disk.iothreads", NULL, "iothread", "0", "0 or 1, a thread of its own for the disk"},
};

static const struct knob *find_knob(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		if (strlen(knobs[i].name) == length && strncmp(knobs[i].name, name, length) == 0)
			return &knobs[i];
	}
	return NULL;
}

/* The first disk that is none of a CD; NULL: it has none. */
static const char *find_disk(const json_t *config, const char **options)
{
	static const char *const buses[] = {"scsi0", "virtio0", "sata0", "ide0"};

	for (size_t i = 0; i < sizeof(buses) / sizeof(buses[0]); i++) {
		*options = nova_json_text(config, buses[i], NULL);
		if (*options && !strstr(*options, "media=cdrom"))
			return buses[i];
	}
	return NULL;
}

static void put_knob(const struct call *call, const json_t *config, const struct knob *knob)
{
	char value[128];
	const char *text = value;
	const char *options;

	if (knob->disk && !find_disk(config, &options))
		return;
	if (knob->disk && !option_get(options, knob->disk, value, sizeof(value)))
		text = knob->fallback;
	else if (!knob->disk && json_is_number(json_object_get(config, knob->option)))
		snprintf(value, sizeof(value), "%.6g", nova_json_real(config, knob->option, 0));
	else if (!knob->disk)
		text = nova_json_text(config, knob->option, knob->fallback);
	call->self->host->put_fact(call->base.op, NOVA_FIELD_KNOB, knob->name, text);
}

static void list_knobs(struct call *call, json_t *config)
{
	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
		char doc[160];

		snprintf(doc, sizeof(doc), "%s; from the VM's next start on", knobs[i].doc);
		put_knob(call, config, &knobs[i]);
		call->self->host->put_fact(call->base.op, NOVA_FIELD_KNOB_DOC, knobs[i].name, doc);
	}
	nova_call_done(&call->base);
}

static void get_knob(struct call *call, json_t *config)
{
	put_knob(call, config, find_knob(call->label, strlen(call->label)));
	nova_call_done(&call->base);
}

/* --- setting ---------------------------------------------------------------------------------- */

/* "vm.disk.cache=none"; NULL: it is no setting of ours, and the call has ended. */
static const struct knob *read_setting(struct call *call, const char *setting, const char **value)
{
	const char *equals = strchr(setting, '=');
	const struct knob *knob = equals ? find_knob(setting, (size_t)(equals - setting)) : NULL;

	*value = equals ? equals + 1 : "";
	if (knob && !strpbrk(*value, "\r\n =") && !(knob->disk && strchr(*value, ',')))
		return knob;
	nova_call_fail(&call->base, knob ? NOVA_E_INVALID : NOVA_E_UNSUPPORTED,
	               knob ? "%.80s: that is no value for a knob"
	                    : "Proxmox VE has no knob %.80s here; it has vm.cpu.mode, …limit, "
	                      "…units and …mask, vm.disk.cache, …io, …discard and …iothreads",
	               setting);
	return NULL;
}

/* Adds one to the form; what is the disk's goes into `disk`, which is sent once. 0: the call has
 * ended. */
static int add_knob(struct call *call, const char *setting, struct nova_text *disk,
                    struct nova_text *dropped)
{
	const char *value;
	const struct knob *knob = read_setting(call, setting, &value);
	struct nova_text changed = {0};

	if (!knob)
		return 0;
	if (!knob->disk && (!value[0] || strcmp(value, "default") == 0)) {
		nova_text_printf(dropped, "%s%s", dropped->used ? "," : "", knob->option);
	} else if (!knob->disk) {
		nova_form_add(&call->form, knob->option, value);
	} else if (!disk->used) {
		nova_call_fail(&call->base, NOVA_E_NOT_FOUND, "%s: the VM has no disk", knob->name);
		return 0;
	} else {
		option_set(&changed, disk->text, knob->disk, value);
		nova_text_free(disk);
		*disk = changed;
	}
	return 1;
}

static void send_knobs(struct call *call, json_t *config)
{
	const char *options = NULL;
	const char *bus = find_disk(config, &options);
	struct nova_text disk = {0}, dropped = {0};
	size_t i;
	json_t *one;
	int good = 1;

	nova_text_free(&call->form);
	nova_text_add(&disk, bus ? options : "");
	json_array_foreach(call->knobs, i, one)
	{
		good = good && add_knob(call, json_string_value(one), &disk, &dropped);
	}
	if (bus && strcmp(nova_text_get(&disk), options) != 0)
		nova_form_add(&call->form, bus, nova_text_get(&disk));
	if (dropped.used)
		nova_form_add(&call->form, "delete", dropped.text);
	if (disk.broken || dropped.broken || call->form.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else if (good && !call->form.used)
		call->identified(call, NULL);
	else if (good)
		call_send(call, call->identified, "PUT", call->form.text,
		          "/nodes/%s/qemu/%lld/config", call->node, (long long)call->vmid);
	nova_text_free(&disk);
	nova_text_free(&dropped);
}

static void ask_config(struct call *call, call_step then)
{
	call_send(call, then, "GET", NULL, "/nodes/%s/qemu/%lld/config", call->node,
	          (long long)call->vmid);
}

void knobs_set(struct call *call, call_step then)
{
	call->identified = then;
	ask_config(call, send_knobs);
}

int knobs_take(struct call *call, const char *const *settings)
{
	for (size_t i = 0; settings && settings[i]; i++) {
		const char *value;

		if (!read_setting(call, settings[i], &value))
			return 0;
		if (!call->knobs)
			call->knobs = json_array();
		if (json_array_append_new(call->knobs, json_string(settings[i])) == 0)
			continue;
		nova_call_fail(&call->base, NOVA_E_INVALID, "a knob's value is not UTF-8");
		return 0;
	}
	return 1;
}

/* --- the ops ---------------------------------------------------------------------------------- */

static void knob_done(struct call *call, json_t *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

static void list_after(struct call *call, json_t *unused)
{
	(void)unused;
	ask_config(call, list_knobs);
}

static void get_after(struct call *call, json_t *unused)
{
	(void)unused;
	ask_config(call, get_knob);
}

static void set_after(struct call *call, json_t *unused)
{
	(void)unused;
	knobs_set(call, knob_done);
}

static int knob_op(struct proxmox *self, nova_op op, const struct nova_ref *vm, const char *knob,
                   const char *value, call_step then)
{
	struct call *call;
	char setting[256];
	const char *const settings[] = {setting, NULL};

	if (knob && !find_knob(knob, strlen(knob)))
		return self->host->errorf(op, NOVA_E_NOT_FOUND, "this driver has no knob '%.60s'",
		                          knob);
	if (value && strlen(knob) + strlen(value) + 2 > sizeof(setting))
		return self->host->error(op, NOVA_E_INVALID, "a knob's value is not so long");
	call = call_new(self, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	snprintf(call->label, sizeof(call->label), "%s", knob ? knob : "");
	snprintf(setting, sizeof(setting), "%s=%s", call->label, value ? value : "");
	if (!value || knobs_take(call, settings))
		vm_identify(call, then);
	return nova_call_return(&call->base);
}

int proxmox_knob_list(void *self, nova_op op, const struct nova_ref *vm)
{
	return knob_op(self, op, vm, NULL, NULL, list_after);
}

int proxmox_knob_get(void *self, nova_op op, const struct nova_ref *vm, const char *knob)
{
	return knob_op(self, op, vm, knob, NULL, get_after);
}

int proxmox_knob_set(void *self, nova_op op, const struct nova_ref *vm, const char *knob,
                     const char *value)
{
	return knob_op(self, op, vm, knob, value, set_after);
}
