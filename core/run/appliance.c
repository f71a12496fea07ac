/* SPDX-License-Identifier: MIT */
/*
 * What the VMs of a run boot: the appliance or the user's own image, in what shape; and whether
 * this host has memory and processors for them, refused with arithmetic before anything is created.
 */
#include "core/run/lead.h"

#include "core/machine/machine.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

static int64_t number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

bool nova_lead_wants_appliance(const json_t *target)
{
	return json_is_true(json_object_get(target, "appliance"));
}

static void guest_line(void *context, const char *line)
{
	nova_lead_note(context, NOVA_LOG_INFO, "%s", line);
}

static bool wants_guest(const struct lead *lead)
{
	json_t *targets = json_object_get(lead->run.plan, "targets"), *target;
	int64_t boot = number_of(lead->shape, "boot");
	size_t i;

	if (boot != NOVA_BOOT_DIRECT)
		return false;
	json_array_foreach(targets, i, target) if (nova_lead_wants_appliance(target)) return true;
	return false;
}

static const char *setting(const struct lead *lead, const char *key)
{
	return nova_config_has(lead->config, key) ? nova_config_text(lead->config, key, 0) : NULL;
}

/* Building takes some seconds: Ctrl-C ends it. Signals are taken by a descriptor otherwise. */
static volatile int stop_building;

static void on_stop(int number)
{
	(void)number;
	stop_building = 1;
}

/* The appliance, as its files or, if there is a wish, as a disk. */
static int obtain(struct lead *lead, const struct nova_guest_disk *wish, struct nova_guest *guest,
                  struct nova_error *error)
{
	struct nova_guest_options options = {.stop = &stop_building};
	struct sigaction catching = {.sa_handler = on_stop}, before_int, before_term;
	sigset_t set;
	int code;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaction(SIGINT, &catching, &before_int);
	sigaction(SIGTERM, &catching, &before_term);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	code = wish ? nova_guest_disk(&options, wish, guest_line, lead, guest, error)
	            : nova_guest_ensure(&options, guest_line, lead, guest, error);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGINT, &before_int, NULL);
	sigaction(SIGTERM, &before_term, NULL);
	return code;
}

int nova_lead_make_disk(struct lead *lead, const struct nova_guest_disk *wish,
                        struct nova_guest *disk, struct nova_error *error)
{
	return obtain(lead, wish, disk, error);
}

int nova_lead_find_guest(struct lead *lead, struct nova_guest *guest, struct nova_error *error)
{
	json_t *shape = lead->shape;
	const char *image = setting(lead, "guest.image");
	int code;

	if (!wants_guest(lead))
		return 0;
	if (image) {
		code = nova_guest_from_image(image, setting(lead, "guest.kernel"),
		                             setting(lead, "guest.initrd"),
		                             setting(lead, "guest.cmdline"), guest, error);
		if (!code && !guest->kernel)
			json_object_set_new(shape, "boot", json_integer(NOVA_BOOT_DISK));
		if (!code)
			nova_lead_add_note(
			        lead, "the guest is your own image: what the appliance has "
			              "(readiness byte, "
			              "guest agent, benchmark tools) is there only as far as the "
			              "image has it");
	} else {
		code = obtain(lead, NULL, guest, error);
	}
	if (code)
		return code;
	json_object_set_new(lead->run.where, "guest", json_string(guest->id));
	return 0;
}

/* The shape as "open" carries it: the plan's, with the guest's files. Owned by the caller. */
json_t *nova_lead_shape(const struct lead *lead, const struct nova_guest *guest)
{
	json_t *shape = json_copy(lead->shape);
	const char *cmdline = setting(lead, "guest.cmdline");

	if (guest->image)
		json_object_set_new(shape, "image", json_string(guest->image));
	if (guest->kernel)
		json_object_set_new(shape, "kernel", json_string(guest->kernel));
	if (guest->initrd)
		json_object_set_new(shape, "initrd", json_string(guest->initrd));
	if (guest->cmdline && guest->kernel)
		json_object_set_new(shape, "cmdline",
		                    json_string(cmdline ? cmdline : guest->cmdline));
	return shape;
}

/* Refused with arithmetic, before anything is created. */
int nova_lead_check_memory(struct lead *lead, struct nova_error *error)
{
	json_t *shape = lead->shape;
	double share = nova_config_f64(lead->config, "limits.memory_share", 0);
	uint64_t available = nova_machine_memory_available();
	uint64_t each = (uint64_t)number_of(shape, "memory_bytes");
	uint64_t at_once = (uint64_t)number_of(lead->run.plan, "shaped_at_once");
	char need[32], have[32], one[32];

	if (!wants_guest(lead) || !available ||
	    (double)(each * at_once) <= share * (double)available)
		return 0;
	nova_value_format((double)(each * at_once), NOVA_UNIT_BYTE, need);
	nova_value_format(share * (double)available, NOVA_UNIT_BYTE, have);
	nova_value_format((double)each, NOVA_UNIT_BYTE, one);
	return nova_error_set(
	        error, NOVA_E_REFUSED,
	        "%llu VMs at once of %s each want %s; limits.memory_share allows %s "
	        "(%.0f %% of what is available); lower the concurrency or the shape's memory",
	        (unsigned long long)at_once, one, need, have, share * 100);
}

char *nova_lead_lacks_memory(const struct lead *lead, const json_t *step)
{
	double share = nova_config_f64(lead->config, "limits.memory_share", 0);
	uint64_t available = nova_machine_memory_available();
	uint64_t each = (uint64_t)number_of(json_object_get(step, "params"), "memory");
	uint64_t places = json_array_size(json_object_get(step, "targets"));
	char need[32], have[32], one[32];

	if (!each || !wants_guest(lead) || !available ||
	    (double)(each * places) <= share * (double)available)
		return NULL;
	nova_value_format((double)(each * places), NOVA_UNIT_BYTE, need);
	nova_value_format(share * (double)available, NOVA_UNIT_BYTE, have);
	nova_value_format((double)each, NOVA_UNIT_BYTE, one);
	return nova_format("a VM of %s on %llu targets of this host wants %s; limits.memory_share "
	                   "allows %s (%.0f %% of what is available)",
	                   one, (unsigned long long)places, need, have, share * 100);
}

/* As check_memory: more virtual CPUs than the host can give time to disturb its other users. */
int nova_lead_check_cpus(struct lead *lead, struct nova_error *error)
{
	if (!wants_guest(lead) || !nova_config_has(lead->config, "limits.cpu_share"))
		return 0;
	json_t *shape = lead->shape;
	double share = nova_config_f64(lead->config, "limits.cpu_share", 0);
	uint64_t each = (uint64_t)number_of(shape, "vcpus");
	uint64_t at_once = (uint64_t)number_of(lead->run.plan, "shaped_at_once");
	unsigned cpus = nova_machine_cpus();

	if ((double)(each * at_once) <= share * cpus)
		return 0;
	return nova_error_set(error, NOVA_E_REFUSED,
	                      "%llu VMs at once with %llu virtual CPUs each are %llu; "
	                      "limits.cpu_share allows %g (%g per CPU, of %u); lower the "
	                      "concurrency or the shape's vcpus",
	                      (unsigned long long)at_once, (unsigned long long)each,
	                      (unsigned long long)(each * at_once), share * cpus, share, cpus);
}
