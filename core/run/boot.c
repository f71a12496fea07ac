/* SPDX-License-Identifier: MIT */
/*
 * What the VMs of each target boot. Where a target cannot boot files of this host, as the shapes of
 * the profiles have it, that is the appliance as a disk, which is uploaded and deleted at the end
 * of the run; else clones of the target's own template; else nothing, and the reason is said. It is
 * decided before the first step, by asking the target what it can.
 *
 * An image carries a name of this run and stands in its journal, as a VM does: whatever becomes of
 * this process, a sweep deletes it.
 */
#include "core/run/lead.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOWEST      (INT64_C(1) << 20)     /* bytes per second of an upload that is waited for */
#define RAW_BYTES    (UINT64_C(1280) << 20) /* of a raw disk all bytes are sent: it is small */
#define TELL_NS      (5 * NOVA_SECOND_NS)   /* between two lines about an upload */
#define FIRST_NS     (3 * NOVA_SECOND_NS)
#define MIB          (UINT64_C(1) << 20)
#define DEFAULT_KIND "raw" /* what a driver takes that does not say */

/* One target that is being asked. */
struct look {
	struct lead *lead;
	const struct nova_guest *guest;
	size_t index;          /* in the plan */
	const json_t *planned; /* there */
	const char *name;
	const json_t *said; /* facts and capabilities */
	json_t *targets;    /* of the worker: this one */
	json_t *boot;       /* what comes of it */
};

static const char *setting(const struct lead *lead, const char *key)
{
	return nova_config_has(lead->config, key) ? nova_config_text(lead->config, key, 0) : NULL;
}

static int64_t shape_number(const struct lead *lead, const char *key)
{
	return json_integer_value(json_object_get(lead->shape, key));
}

static const struct nova_manifest *driver_of(const struct nova_registry *registry,
                                             const json_t *planned)
{
	return nova_registry_find(registry, NOVA_KIND_HYPERVISOR, nova_json_text(planned, "plugin"),
	                          NULL);
}

static bool has_parameter(const struct nova_manifest *driver, const char *name)
{
	for (size_t i = 0; driver && i < driver->spec_count; i++)
		if (!strcmp(driver->specs[i].name, name))
			return true;
	return false;
}

static bool has_image_put(const struct nova_manifest *driver)
{
	char **op = driver ? driver->ops : NULL;

	while (op && *op && strcmp(*op, "image_put"))
		op++;
	return op && *op;
}

/* Whether there is something to decide; `named`: the shape has an image. */
static bool is_open(const struct nova_manifest *driver, const json_t *planned, json_int_t boot,
                    bool named)
{
	bool direct = boot == NOVA_BOOT_DIRECT;

	if (named || json_object_get(planned, "twin_of"))
		return false;
	if (direct && nova_lead_wants_appliance(planned))
		return false;
	return (direct || boot == NOVA_BOOT_DISK) &&
	       (has_image_put(driver) || (direct && has_parameter(driver, "template")));
}

/* --- the plan's words ---------------------------------------------------------------------------
 */

/* "because …; if …" of a target that boots no files of this host. */
static json_t *forecast_direct(const json_t *target, const char *disk, const char *template)
{
	const char *name = nova_json_text(target, "name"),
	           *plugin = nova_json_text(target, "plugin");

	if (disk && *template)
		return json_sprintf(
		        "VMs of %s boot %s from a disk that is uploaded, because %s boots "
		        "no files of this host; where it takes no disk, they are clones "
		        "of its template %s.",
		        name, disk, plugin, template);
	if (disk)
		return json_sprintf(
		        "VMs of %s boot %s from a disk that is uploaded, because %s boots "
		        "no files of this host.",
		        name, disk, plugin);
	if (*template)
		return json_sprintf("VMs of %s are clones of its template %s, because %s boots no "
		                    "files of this host.",
		                    name, template, plugin);
	return json_sprintf("VMs of %s cannot be made: %s boots no files of this host, and "
	                    "hypervisor.%s.template is not set.",
	                    name, plugin, plugin);
}

static json_t *forecast_target(const json_t *shape, const struct nova_manifest *driver,
                               const json_t *target, const char *disk)
{
	if (json_integer_value(json_object_get(shape, "boot")) == NOVA_BOOT_DISK)
		return json_sprintf("VMs of %s boot %s from a disk that is uploaded: vm.%s.boot is "
		                    "disk, and no image is named.",
		                    nova_json_text(target, "name"), disk,
		                    nova_json_text(shape, "name"));
	return forecast_direct(target, has_image_put(driver) ? disk : NULL,
	                       nova_json_text(json_object_get(target, "params"), "template"));
}

void nova_lead_forecast(json_t *plan, const struct nova_registry *registry,
                        const struct nova_config *config)
{
	const char *disk = nova_config_has(config, "guest.image") ? "your image" : "the appliance";
	NOVA_AUTOJSON json_t *lines = json_array();
	json_t *shape = json_object_get(plan, "shape"), *targets = json_object_get(plan, "targets");
	json_int_t boot = json_integer_value(json_object_get(shape, "boot"));
	bool named = json_is_string(json_object_get(shape, "image"));
	json_t *target;
	size_t i;

	json_array_foreach(targets, i, target)
	{
		const struct nova_manifest *driver = driver_of(registry, target);

		if (is_open(driver, target, boot, named))
			json_array_append_new(lines, forecast_target(shape, driver, target, disk));
	}
	if (json_array_size(lines))
		json_object_set(plan, "boots", lines);
}

/* --- what the target says
 * -----------------------------------------------------------------------------
 */

/* NULL: it can. Else why not. */
static const char *why_not(const struct look *look, const char *capability)
{
	const json_t *value =
	        json_object_get(json_object_get(look->said, "capabilities"), capability);

	if (!value)
		return "its driver does not say that it can";
	return json_string_value(value);
}

static void keep_template(struct look *look)
{
	NOVA_AUTOFREE char *note = nova_format(
	        "VMs of %s are clones of its template %s, because it cannot boot files of this "
	        "host "
	        "and takes no disk (%s): what the appliance has is there only as far as the "
	        "template "
	        "has it",
	        look->name, nova_json_text(json_object_get(look->planned, "params"), "template"),
	        why_not(look, NOVA_CAN_DISK) ? why_not(look, NOVA_CAN_DISK)
	                                     : why_not(look, NOVA_CAN_IMAGE));

	nova_lead_add_note(look->lead, note);
	look->boot = json_pack("{si}", "boot", (int)NOVA_BOOT_TEMPLATE);
}

static void keep_lack(struct look *look)
{
	const char *disk = why_not(look, NOVA_CAN_DISK), *image = why_not(look, NOVA_CAN_IMAGE);
	const char *template = why_not(look, NOVA_CAN_TEMPLATE);
	bool can_name = has_parameter(driver_of(look->lead->registry, look->planned), "template");
	NOVA_AUTOFREE char *advice = nova_format(
	        "; set hypervisor.%s.template, or vm.%s.boot and vm.%s.image",
	        nova_json_text(look->planned, "plugin"), nova_json_text(look->lead->shape, "name"),
	        nova_json_text(look->lead->shape, "name"));

	look->boot = json_pack(
	        "{so}", "lacks",
	        json_sprintf(
	                "%s has nothing to boot VMs from: no files of this host (%s); no disk of "
	                "the appliance (%s); no template (%s)%s",
	                look->name, why_not(look, NOVA_CAN_DIRECT), disk ? disk : image,
	                template ? template : "none is named",
	                can_name && !template ? advice : ""));
}

/* True: a disk is to be uploaded. */
static bool decide(struct look *look)
{
	bool direct = shape_number(look->lead, "boot") == NOVA_BOOT_DIRECT;
	const char *template = nova_json_text(json_object_get(look->planned, "params"), "template");

	if (direct && !why_not(look, NOVA_CAN_DIRECT))
		return false;
	if (!why_not(look, NOVA_CAN_DISK) && !why_not(look, NOVA_CAN_IMAGE))
		return true;
	if (direct && *template && !why_not(look, NOVA_CAN_TEMPLATE))
		keep_template(look);
	else if (direct)
		keep_lack(look);
	return false; /* from disk, and it takes none: an empty one may be what is wanted */
}

/* --- the run's key ------------------------------------------------------------------------------
 */

static char *key_file(const struct lead *lead, const char *suffix)
{
	return nova_format("%s/ssh_key%s", lead->directory, suffix);
}

/* Once for a run; its directory has it until the end. */
static int make_key(struct lead *lead, struct nova_error *error)
{
	NOVA_AUTOFREE char *path = key_file(lead, ""), *public = key_file(lead, ".pub");
	int code = lead->key ? 0 : nova_ssh_key_make(&lead->key, &lead->public_key, error);

	if (!code)
		code = nova_file_write(path, lead->key, strlen(lead->key), 0600, error);
	return code ? code
	            : nova_file_write(public, lead->public_key, strlen(lead->public_key), 0644,
	                              error);
}

void nova_lead_drop_key(struct lead *lead)
{
	NOVA_AUTOFREE char *path = key_file(lead, "");

	if (!lead->key)
		return;
	unlink(path);
	explicit_bzero(lead->key, strlen(lead->key));
	free(lead->key);
	free(lead->public_key);
	lead->key = lead->public_key = NULL;
}

/* A parameter of the driver that nobody has set, and that is the host's to set where it knows what
 * is in the VMs. */
static bool is_free(const struct look *look, const char *parameter)
{
	return has_parameter(driver_of(look->lead->registry, look->planned), parameter) &&
	       !nova_lead_configured(look->lead->config, nova_json_text(look->planned, "plugin"),
	                             nova_json_text(json_array_get(look->targets, 0), "name"),
	                             parameter);
}

/* What the driver is told of the appliance in it; see hypervisor.h. */
static json_t *appliance_params(const struct look *look)
{
	json_t *params = json_object();

	if (is_free(look, "agent"))
		json_object_set_new(params, "agent", json_true());
	if (look->lead->key && is_free(look, "ssh_key")) {
		NOVA_AUTOFREE char *path = key_file(look->lead, "");

		json_object_set_new(params, "ssh_key", json_string(path));
	}
	return params;
}

/* --- the disk -----------------------------------------------------------------------------------
 */

static int make_appliance(struct look *look, struct nova_guest *disk, struct nova_error *error)
{
	struct lead *lead = look->lead;
	const char *format = nova_json_text(json_object_get(look->said, "facts"), "image.format");
	uint64_t bytes = ((uint64_t)shape_number(lead, "disk_bytes") + MIB - 1) / MIB * MIB;
	struct nova_guest_disk wish = {.format = *format ? format : DEFAULT_KIND, .bytes = bytes};
	NOVA_AUTOFREE char *public = key_file(lead, ".pub");
	int code = 0;

	if (!bytes && !strcmp(wish.format, "raw"))
		wish.bytes = RAW_BYTES;
	if (is_free(look, "ssh_key")) {
		code = make_key(lead, error);
		wish.ssh_key = public;
		wish.directory = lead->directory;
	}
	if (!code)
		code = nova_lead_make_disk(lead, &wish, disk, error);
	if (!code) /* the key is another one in each run: it is no part of what is compared */
		json_object_set(lead->run.where, "guest",
		                json_object_get(disk->inputs, "appliance"));
	return code;
}

/* The user's own, or the appliance; `disk` is the caller's to release. */
static int find_disk(struct look *look, struct nova_guest *disk, struct nova_error *error)
{
	const char *image = setting(look->lead, "guest.image");
	int code;

	if (!image)
		return make_appliance(look, disk, error);
	code = nova_guest_from_image(image, NULL, NULL, NULL, disk, error);
	if (!code)
		json_object_set_new(look->lead->run.where, "guest", json_string(disk->id));
	return code;
}

/* --- the upload ---------------------------------------------------------------------------------
 */

void nova_lead_on_progress(struct lead *lead, double share)
{
	int64_t now_ns = nova_now_ns(), spent_ns = now_ns - lead->upload.started_ns;
	char left[32];

	if (!lead->upload.started_ns || spent_ns < FIRST_NS || !(share > 0 && share < 1) ||
	    now_ns - lead->upload.told_ns < TELL_NS)
		return;
	lead->upload.told_ns = now_ns;
	nova_value_format((double)spent_ns / 1e9 * (1 - share) / share, NOVA_UNIT_SECOND, left);
	nova_lead_note(lead, NOVA_LOG_INFO, "uploading the disk: %.0f %%, about %s left",
	               share * 100, left);
}

static int send_file(struct look *look, const char *path, int64_t bytes, json_t **stored,
                     struct nova_error *error)
{
	struct lead *lead = look->lead;
	int64_t patience_ns = nova_config_i64(lead->config, "run.op_timeout", 0) +
	                      bytes / SLOWEST * NOVA_SECOND_NS;
	int code = nova_talk_send(lead,
	                          json_pack("{ss ss sI}", "is", "image", "path", path,
	                                    "patience_ns", (json_int_t)patience_ns),
	                          error);

	lead->upload.started_ns = lead->upload.told_ns = nova_now_ns();
	if (!code)
		code = nova_talk(lead, "stored", nova_now_ns() + patience_ns + 20 * NOVA_SECOND_NS,
		                 stored, error);
	lead->upload.started_ns = 0;
	if (!code && nova_wire_i64(*stored, "code"))
		code = nova_error_set(error, (int)nova_wire_i64(*stored, "code"), "%s",
		                      nova_wire_text(*stored, "text"));
	return lead->interrupted ? NOVA_E_INTERRUPTED : code;
}

static int upload(struct look *look, const struct nova_guest *disk, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *stored = NULL;
	struct lead *lead = look->lead;
	struct stat status;
	const char *why = why_not(look, NOVA_CAN_DIRECT);
	char size[32];
	int code;

	if (stat(disk->image, &status))
		return nova_error_errno(error, "cannot read %s", disk->image);
	nova_value_format((double)status.st_size, NOVA_UNIT_BYTE, size);
	nova_lead_note(lead, NOVA_LOG_INFO, "%s: uploading %s as a disk (%s)%s%s", look->name,
	               setting(lead, "guest.image") ? "your image" : "the appliance", size,
	               why ? ": " : "", why ? why : "");
	lead->has_images = true;
	code = send_file(look, disk->image, status.st_size, &stored, error);
	if (code)
		return code == NOVA_E_INTERRUPTED
		               ? code
		               : nova_error_prefix(error, "the disk could not be uploaded to %s",
		                                   look->name);
	look->boot = json_pack("{si sO si}", "boot", (int)NOVA_BOOT_DISK, "image",
	                       json_object_get(stored, "name"), "disk_bytes", 0);
	if (!setting(lead, "guest.image"))
		json_object_set_new(look->boot, "params", appliance_params(look));
	return 0;
}

/* --- one target ---------------------------------------------------------------------------------
 */

static int put_disk(struct look *look, struct nova_error *error)
{
	struct nova_guest disk = {.hold = -1};
	int code = find_disk(look, &disk, error);

	if (!code)
		code = upload(look, &disk, error);
	/* the run's own, with its key in it, is of no use to others */
	if (disk.image && look->lead->key &&
	    !strncmp(disk.image, look->lead->directory, strlen(look->lead->directory)))
		unlink(disk.image);
	nova_guest_release(&disk);
	return code;
}

/* A target that cannot be asked, or a disk that does not get there, is the failure of the steps
 * that need it: others may have other targets. */
static void keep_failure(struct look *look, int code, const struct nova_error *error)
{
	json_decref(look->boot);
	look->boot = json_pack("{si ss}", "code", code, "text", error->text);
}

static int ask(struct look *look, struct nova_error *error)
{
	NOVA_AUTOJSON json_t *shape = json_object(), *opened = NULL;
	struct lead *lead = look->lead;
	int code = nova_talk_open(lead, NULL, look->targets, shape, &opened, error);

	if (!code && !nova_wire_text(opened, "lacks")) {
		look->said = json_array_get(json_object_get(opened, "targets"), 0);
		if (decide(look))
			code = put_disk(look, error);
	}
	nova_talk_close(lead);
	lead->targets = NULL;
	return lead->interrupted || code == NOVA_E_INTERRUPTED ? NOVA_E_INTERRUPTED : code;
}

static int look_at(struct lead *lead, size_t side, size_t index, struct nova_error *error)
{
	json_t *planned = json_array_get(json_object_get(lead->run.plan, "targets"), index);
	NOVA_AUTOJSON json_t *targets = json_array();
	struct look look = {.lead = lead,
	                    .guest = &lead->guests[side],
	                    .index = index,
	                    .planned = planned,
	                    .name = nova_json_text(planned, "name"),
	                    .targets = targets};
	struct nova_error mine = {0};
	json_t *target = nova_lead_planned_target(lead, index, look.guest, &mine);
	int code = target ? 0 : mine.code;

	if (target)
		json_array_append_new(targets, target);
	if (!code)
		code = ask(&look, &mine);
	if (code == NOVA_E_INTERRUPTED) {
		json_decref(look.boot);
		return nova_error_set(error, code, "interrupted");
	}
	if (code)
		keep_failure(&look, code, &mine);
	if (look.boot)
		json_array_set_new(lead->boots[side], index, look.boot);
	return 0;
}

/* --- all of them --------------------------------------------------------------------------------
 */

static bool is_used(const struct lead *lead, size_t side, size_t index)
{
	json_t *own = json_object_get(json_object_get(nova_lead_ab(lead), side ? "b" : "a"),
	                              "targets"),
	       *one;
	size_t i;

	json_array_foreach(own, i, one) if ((size_t)json_integer_value(one) == index) return true;
	return !own;
}

/* In *where* only where it is not what the shape says, so that older runs stay comparable. */
static void note_where(struct lead *lead, const json_t *planned, const json_t *boot)
{
	NOVA_AUTOFREE char *key = nova_format("boot.%s", nova_json_text(planned, "name"));
	json_int_t how = json_integer_value(json_object_get(boot, "boot"));

	if (how)
		json_object_set_new(lead->run.where, key,
		                    json_string(how == NOVA_BOOT_DISK ? "disk" : "template"));
}

int nova_lead_find_boots(struct lead *lead, size_t side, struct nova_error *error)
{
	json_t *targets = json_object_get(lead->run.plan, "targets"), *target;
	bool named = json_is_string(json_object_get(lead->shape, "image"));
	json_int_t boot = shape_number(lead, "boot");
	int code = 0;
	size_t i;

	lead->boots[side] = json_array();
	json_array_foreach(targets, i, target)
	{
		const json_t *first = json_object_get(target, "twin_of");
		bool own_file = lead->guests[side].image && nova_lead_wants_appliance(target);

		json_array_append(
		        lead->boots[side],
		        first ? json_array_get(lead->boots[side], (size_t)json_integer_value(first))
		              : json_null());
		if (!code && is_used(lead, side, i) && !own_file &&
		    is_open(driver_of(lead->registry, target), target, boot, named))
			code = look_at(lead, side, i, error);
		note_where(lead, target, json_array_get(lead->boots[side], i));
	}
	return code;
}

int nova_lead_boot(const struct lead *lead, size_t index, json_t *target, struct nova_error *error)
{
	const json_t *boot = json_array_get(lead->boots[lead->side], index);
	json_t *params = json_object_get(boot, "params");

	if (json_object_get(boot, "code"))
		return nova_error_set(error, (int)json_integer_value(json_object_get(boot, "code")),
		                      "%s", nova_json_text(boot, "text"));
	if (json_is_object(boot))
		json_object_set_new(target, "boot", json_copy((json_t *)boot));
	json_object_del(json_object_get(target, "boot"), "params");
	json_object_update(json_object_get(target, "params"), params);
	return 0;
}

/* A stop has a time of its own for this: the images are large, and others pay for them. */
void nova_lead_drop_images(struct lead *lead, int *exit_code)
{
	uint32_t found = 0, left = 0;
	struct nova_error error = {0};

	if (!lead->has_images)
		return;
	lead->has_images = false;
	nova_lead_note(lead, NOVA_LOG_INFO, "deleting the disks that this run has uploaded");
	if (lead->interrupted)
		lead->stop_by_ns = nova_now_ns() +
		                   nova_config_i64(lead->config, "run.op_timeout", 0) +
		                   10 * NOVA_SECOND_NS;
	nova_sweep_journal(lead, json_object_get(lead->run.plan, "targets"), NULL, false, &found,
	                   &left, &error);
	if (left && !*exit_code)
		*exit_code = 4;
}
