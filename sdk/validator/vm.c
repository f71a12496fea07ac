/* SPDX-License-Identifier: MIT */
/* Checks of drivers, one per promise about VMs. To add one: a function, and a line in the table. */
#include "target.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Opens a target with one VM on it, which the caller drops; 0: the verdict is set. */
static int open_with_vm(struct target *target, struct validator *v, struct made *vm)
{
	if (!open_target(target, v))
		return 0;
	if (demand(target, CAN_CREATE) && make_vm(target, vm))
		return 1;
	close_target(target);
	return 0;
}

static void close_with_vm(struct target *target, struct made *vm)
{
	drop_vm(target, vm);
	close_target(target);
}

/* The same, running. */
static int open_running(struct target *target, struct validator *v, struct made *vm)
{
	if (!open_with_vm(target, v, vm))
		return 0;
	if (demand(target, CAN_START) && start_vm(target, vm))
		return 1;
	close_with_vm(target, vm);
	return 0;
}

/* --- existing ----------------------------------------------------------------------------- */

static void check_create_twice(struct validator *v)
{
	struct target target;
	struct made vm;

	if (!open_with_vm(&target, v, &vm))
		return;
	expect_status(&target, "vm_create of a name that is taken",
	              CALL(&target, vm_create, vm.name, &target.shape), NOVA_E_EXISTS);
	if (count_vms(&target, vm.name) != 1)
		fail(v, "after a second vm_create of the same name there is not exactly one VM");
	expect_state(&target, &vm, NOVA_STATE_OFF);
	close_with_vm(&target, &vm);
}

static void check_delete_absent(struct validator *v)
{
	struct target target;
	struct made vm;
	struct nova_ref never;
	char name[NAME_ROOM];

	if (!open_with_vm(&target, v, &vm))
		return;
	new_name(v, name);
	never = ref_to(name);
	expect_done(&target, "vm_delete of a VM that never was", CALL(&target, vm_delete, &never));
	drop_vm(&target, &vm);
	expect_done(&target, "vm_delete of a VM that is gone already",
	            CALL(&target, vm_delete, &vm.ref));
	vm.ref.id = NULL;
	expect_done(&target, "vm_delete by name of a VM that is gone already",
	            CALL(&target, vm_delete, &vm.ref));
	close_target(&target);
}

static void check_list(struct validator *v)
{
	struct target target;
	struct made one, two;
	const char *name, *id;
	char prefix[NAME_ROOM];

	if (!open_with_vm(&target, v, &one))
		return;
	if (!make_vm(&target, &two))
		goto done;
	if (count_vms(&target, v->request->prefix) < 2)
		fail(v, "vm_list does not show both VMs that were created");
	if (count_vms(&target, one.name) == 1 &&
	    nova_testhost_fact_at(target.host, NOVA_FIELD_VM, 0, &name, &id) == NOVA_DONE) {
		if (strcmp(name, one.name) != 0)
			fail(v, "vm_list of \"%s\" gives \"%.100s\"", one.name, name);
		if (one.id[0] && (!id || strcmp(id, one.id) != 0))
			fail(v, "vm_list gives the id \"%.100s\", vm_create had put \"%s\"",
			     id ? id : "(none)", one.id);
	} else {
		fail(v, "vm_list of one VM's full name does not give this VM alone");
	}
	snprintf(prefix, sizeof(prefix), "%snone-such-", v->request->prefix);
	if (count_vms(&target, prefix) > 0)
		fail(v, "vm_list of a prefix that no VM has gives VMs");
	drop_vm(&target, &two);
	if (count_vms(&target, two.name) > 0)
		fail(v, "vm_list shows a VM that was deleted");
done:
	close_with_vm(&target, &one);
}

static void check_delete_running(struct validator *v)
{
	struct target target;
	struct made vm;

	if (!open_running(&target, v, &vm))
		return;
	drop_vm(&target, &vm);
	if (count_vms(&target, vm.name) > 0)
		fail(v, "a VM that was deleted while it ran is still there");
	close_target(&target);
}

/* --- power -------------------------------------------------------------------------------- */

static void check_power(struct validator *v)
{
	struct target target;
	struct made vm;
	size_t from;

	if (!open_running(&target, v, &vm))
		return;
	expect_state(&target, &vm, NOVA_STATE_RUNNING);
	from = nova_testhost_event_count(target.host);
	if (expect_done(&target, "vm_power OFF", CALL(&target, vm_power, &vm.ref, NOVA_POWER_OFF)))
		expect_event(&target, &vm, from, NOVA_EVENT_STOPPED, "vm_power OFF");
	expect_state(&target, &vm, NOVA_STATE_OFF);
	expect_done(&target, "vm_power OFF of a VM that is off",
	            CALL(&target, vm_power, &vm.ref, NOVA_POWER_OFF));
	if (start_vm(&target, &vm)) /* a second life of the same VM */
		expect_state(&target, &vm, NOVA_STATE_RUNNING);
	close_with_vm(&target, &vm);
}

static void check_pause(struct validator *v)
{
	struct target target;
	struct made vm;

	if (!open_running(&target, v, &vm))
		return;
	if (demand(&target, CAN_PAUSE)) {
		if (expect_done(&target, "vm_power PAUSE",
		                CALL(&target, vm_power, &vm.ref, NOVA_POWER_PAUSE)))
			expect_state(&target, &vm, NOVA_STATE_PAUSED);
		if (expect_done(&target, "vm_power RESUME",
		                CALL(&target, vm_power, &vm.ref, NOVA_POWER_RESUME)))
			expect_state(&target, &vm, NOVA_STATE_RUNNING);
	}
	close_with_vm(&target, &vm);
}

static void check_reset(struct validator *v)
{
	struct target target;
	struct made vm;
	size_t from;

	if (!open_running(&target, v, &vm))
		return;
	if (demand(&target, CAN_RESET)) {
		from = nova_testhost_event_count(target.host);
		if (expect_done(&target, "vm_power RESET",
		                CALL(&target, vm_power, &vm.ref, NOVA_POWER_RESET)))
			expect_event(&target, &vm, from, NOVA_EVENT_RUNNING, "vm_power RESET");
		expect_state(&target, &vm, NOVA_STATE_RUNNING);
	}
	close_with_vm(&target, &vm);
}

/* Whether the guest has an agent is known once it has spoken; a boot sector never does. */
static int await_ready(struct target *target, struct made *vm)
{
	if (!demand(target, CAN_READY))
		return 0;
	if (target->shape.boot == NOVA_BOOT_STUB) {
		untried(target->v,
		        "the VM runs a boot sector, which has no agent; give --kernel and "
		        "--initrd, or --image");
		return 0;
	}
	return expect_event(target, vm, 0, NOVA_EVENT_READY, "vm_power START");
}

static void check_shutdown(struct validator *v)
{
	struct target target;
	struct made vm;
	size_t from;

	if (!open_running(&target, v, &vm))
		return;
	if (demand(&target, CAN_SHUTDOWN) && await_ready(&target, &vm)) {
		from = nova_testhost_event_count(target.host);
		if (expect_done(&target, "vm_power SHUTDOWN",
		                CALL(&target, vm_power, &vm.ref, NOVA_POWER_SHUTDOWN)))
			expect_event(&target, &vm, from, NOVA_EVENT_STOPPED, "vm_power SHUTDOWN");
		expect_state(&target, &vm, NOVA_STATE_OFF);
	}
	close_with_vm(&target, &vm);
}

/* RUNNING … STOPPED in the order of a life, each event once, none of a VM that is not ours. */
static void check_events(struct validator *v)
{
	static const uint32_t life[] = {NOVA_EVENT_RUNNING, NOVA_EVENT_FIRST, NOVA_EVENT_USERSPACE,
	                                NOVA_EVENT_READY};
	const struct nova_event *event;
	struct target target;
	struct made vm;
	uint32_t seen = 0;
	int64_t last_ns = INT64_MIN;

	if (!open_running(&target, v, &vm))
		return;
	if (target.can[CAN_READY] && target.shape.boot != NOVA_BOOT_STUB)
		expect_event(&target, &vm, 0, NOVA_EVENT_READY, "vm_power START");
	if (expect_done(&target, "vm_power OFF", CALL(&target, vm_power, &vm.ref, NOVA_POWER_OFF)))
		expect_event(&target, &vm, 0, NOVA_EVENT_STOPPED, "vm_power OFF");
	for (size_t i = 0; (event = nova_testhost_event(target.host, i)); i++) {
		if (strcmp(event->name, vm.name) != 0)
			fail(v, "an event is about \"%.100s\", which was not asked for",
			     event->name);
		for (size_t j = 0; j < COUNT(life); j++) {
			if (event->kind != life[j])
				continue;
			if (seen & (1u << j))
				fail(v, "event %u came twice in one life", event->kind);
			if (event->t_ns < last_ns)
				fail(v, "event %u is stamped before an earlier stage of the life",
				     event->kind);
			seen |= 1u << j;
			last_ns = event->t_ns;
		}
	}
	close_with_vm(&target, &vm);
}

/* --- looking ------------------------------------------------------------------------------ */

static void check_query(struct validator *v)
{
	static const uint32_t stats[] = {NOVA_FIELD_CPU_NS, NOVA_FIELD_MEMORY_BYTES,
	                                 NOVA_FIELD_RESIDENT_BYTES, NOVA_FIELD_DISK_READ_BYTES,
	                                 NOVA_FIELD_DISK_WRITE_BYTES};
	struct target target;
	struct made vm;
	uint32_t put = 0;
	int64_t value;

	if (!open_running(&target, v, &vm))
		return;
	expect_state(&target, &vm, NOVA_STATE_RUNNING);
	if (target.can[CAN_STATS] &&
	    expect_done(&target, "vm_query STATS",
	                CALL(&target, vm_query, &vm.ref, NOVA_QUERY_STATS))) {
		for (size_t i = 0; i < COUNT(stats); i++)
			if (nova_testhost_i64(target.host, stats[i], 0, &value) == NOVA_DONE) {
				put++;
				if (value < 0)
					fail(v, "vm_query STATS puts %lld into field %u",
					     (long long)value, stats[i]);
			}
		if (!put)
			fail(v, "it says that it can stats, and vm_query STATS puts none");
	}
	if (target.can[CAN_ADDRESS] && target.shape.boot == NOVA_BOOT_STUB)
		note(v, "not its address: the VM runs a boot sector");
	else if (target.can[CAN_ADDRESS] && await_ready(&target, &vm) &&
	         expect_done(&target, "vm_query ADDRESS",
	                     CALL(&target, vm_query, &vm.ref, NOVA_QUERY_ADDRESS)) &&
	         !nova_testhost_count(target.host, NOVA_FIELD_ADDRESS))
		note(v, "vm_query ADDRESS put none");
	if (target.ops->vm_query && CALL(&target, vm_query, &vm.ref, 4000000000u) == NOVA_DONE)
		fail(v, "vm_query of what there is not (4000000000) is NOVA_DONE");
	close_with_vm(&target, &vm);
}

/* By every op that takes a VM: this one is not there. */
static void call_wrongly(struct target *target, const struct nova_ref *ref, const char *whose)
{
	static const char *const argv[] = {"true", NULL};
	const struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};
	char what[96];

	snprintf(what, sizeof(what), "vm_power START of %s", whose);
	if (target->can[CAN_START])
		expect_status(target, what, CALL(target, vm_power, ref, NOVA_POWER_START),
		              NOVA_E_NOT_FOUND);
	snprintf(what, sizeof(what), "vm_query of %s", whose);
	if (target->ops->vm_query)
		expect_status(target, what, CALL(target, vm_query, ref, NOVA_QUERY_STATE),
		              NOVA_E_NOT_FOUND);
	snprintf(what, sizeof(what), "snapshot CREATE of %s", whose);
	if (target->can[CAN_SNAPSHOT])
		expect_status(target, what,
		              CALL(target, snapshot, ref, "check", NOVA_SNAPSHOT_CREATE),
		              NOVA_E_NOT_FOUND);
	snprintf(what, sizeof(what), "exec in %s", whose);
	if (target->can[CAN_EXEC])
		expect_status(target, what, CALL(target, exec, ref, &exec), NOVA_E_NOT_FOUND);
}

static void check_wrong_reference(struct validator *v)
{
	struct target target;
	struct made vm, other;
	struct nova_ref ref;
	char name[NAME_ROOM];

	if (!open_with_vm(&target, v, &vm))
		return;
	new_name(v, name);
	ref = ref_to(name);
	call_wrongly(&target, &ref, "a VM that never was");
	/* Identity is the id: somebody else's VM may have got a name that was ours. */
	if (make_vm(&target, &other)) {
		ref = ref_to(vm.name);
		ref.id = other.id;
		drop_vm(&target, &other);
		if (other.id[0])
			call_wrongly(&target, &ref, "a name whose id was another VM's");
	}
	expect_state(&target, &vm, NOVA_STATE_OFF);
	close_with_vm(&target, &vm);
}

static void check_name_only(struct validator *v)
{
	struct target target;
	struct made vm;

	if (!open_with_vm(&target, v, &vm))
		return;
	vm.ref.id = NULL; /* as after a crash, from the journal */
	expect_state(&target, &vm, NOVA_STATE_OFF);
	drop_vm(&target, &vm);
	if (count_vms(&target, vm.name) > 0)
		fail(v, "a VM that was deleted by its name alone is still there");
	close_target(&target);
}

/* The host's names are tame; a driver must not break on others, nor find another VM by them. */
static void try_name(struct target *target, const char *tail)
{
	struct validator *v = target->v;
	char name[600] = "";
	struct nova_ref ref = ref_to(name);
	int status;

	snprintf(name, sizeof(name), "%s%u%s", v->request->prefix, ++v->names, tail);
	stage(v, "vm_create of a name with %.60s", tail);
	status = CALL(target, vm_create, name, &target->shape);
	if (status != NOVA_DONE) {
		if (status != NOVA_E_TIMEOUT && !*nova_testhost_error(target->host))
			fail(v, "vm_create of \"…%.60s\": %s without a reason", tail,
			     status_name(status));
		status = CALL(target, vm_delete, &ref);
		return;
	}
	if (count_vms(target, name) != 1)
		fail(v, "vm_create of \"…%.60s\" is done, and vm_list does not show that name",
		     tail);
	expect_done(target, "vm_delete of an odd name", CALL(target, vm_delete, &ref));
	if (count_vms(target, name) > 0)
		fail(v, "the VM \"…%.60s\" could be created and not be deleted", tail);
}

static void check_hostile_names(struct validator *v)
{
	static const char *const tails[] = {"-ünïcode",
	                                    " with blanks",
	                                    "-%s%n%x",
	                                    "-\"'><&amp;",
	                                    "-$(touch pwned)`touch pwned`;touch pwned",
	                                    "-../../../x",
	                                    "-a\nb",
	                                    "-\xff\xfe",
	                                    "-*?[a]"};
	char large[512];
	struct target target;
	struct made vm;

	if (!open_with_vm(&target, v, &vm))
		return;
	for (size_t i = 0; i < COUNT(tails); i++)
		try_name(&target, tails[i]);
	memset(large, 'l', sizeof(large) - 1);
	large[sizeof(large) - 1] = 0;
	try_name(&target, large);
	if (count_vms(&target, vm.name) != 1)
		fail(v, "after the odd names a well-named VM is gone");
	close_with_vm(&target, &vm);
}

/* --- saving and copying ------------------------------------------------------------------- */

static void check_snapshot(struct validator *v)
{
	struct target target;
	struct made vm;
	size_t from;

	if (!open_running(&target, v, &vm))
		return;
	if (!demand(&target, CAN_SNAPSHOT))
		goto done;
	if (!expect_done(&target, "snapshot CREATE",
	                 CALL(&target, snapshot, &vm.ref, "check", NOVA_SNAPSHOT_CREATE)))
		goto done;
	expect_state(&target, &vm, NOVA_STATE_RUNNING);
	from = nova_testhost_event_count(target.host);
	if (expect_done(&target, "snapshot RESTORE",
	                CALL(&target, snapshot, &vm.ref, "check", NOVA_SNAPSHOT_RESTORE)))
		expect_event(&target, &vm, from, NOVA_EVENT_RUNNING, "snapshot RESTORE");
	expect_state(&target, &vm, NOVA_STATE_RUNNING);
	expect_status(&target, "snapshot RESTORE of one that never was",
	              CALL(&target, snapshot, &vm.ref, "never", NOVA_SNAPSHOT_RESTORE),
	              NOVA_E_NOT_FOUND);
	expect_done(&target, "snapshot DELETE",
	            CALL(&target, snapshot, &vm.ref, "check", NOVA_SNAPSHOT_DELETE));
	expect_status(&target, "snapshot RESTORE of one that was deleted",
	              CALL(&target, snapshot, &vm.ref, "check", NOVA_SNAPSHOT_RESTORE),
	              NOVA_E_NOT_FOUND);
	expect_done(&target, "snapshot CREATE, once more",
	            CALL(&target, snapshot, &vm.ref, "check", NOVA_SNAPSHOT_CREATE));
done:
	close_with_vm(&target, &vm); /* with its snapshot */
}

static void check_clone(struct validator *v)
{
	struct target target;
	struct made vm, copy;

	if (!open_with_vm(&target, v, &vm))
		return;
	if (!demand(&target, CAN_CLONE))
		goto done;
	new_name(v, copy.name);
	copy.ref = ref_to(copy.name);
	if (!expect_done(&target, "vm_clone",
	                 CALL(&target, vm_clone, copy.name, &vm.ref, &target.shape)))
		goto done;
	if (!nova_testhost_fact(target.host, NOVA_FIELD_ID, ""))
		fail(v, "vm_clone did not put NOVA_FIELD_ID");
	expect_state(&target, &copy, NOVA_STATE_OFF);
	expect_status(&target, "vm_clone to a name that is taken",
	              CALL(&target, vm_clone, vm.name, &copy.ref, &target.shape), NOVA_E_EXISTS);
	drop_vm(&target, &copy);
	expect_state(&target, &vm, NOVA_STATE_OFF);
done:
	close_with_vm(&target, &vm);
}

/* --- in the guest ------------------------------------------------------------------------- */

static int run(struct target *target, struct made *vm, const char *const *argv, const char *input,
               int64_t *status)
{
	const struct nova_exec exec = {.struct_size = sizeof(exec),
	                               .argv = argv,
	                               .input = input,
	                               .input_bytes = input ? strlen(input) : 0};

	*status = -1000;
	if (!expect_done(target, "exec", CALL(target, exec, &vm->ref, &exec)))
		return 0;
	if (nova_testhost_i64(target->host, NOVA_FIELD_EXIT_STATUS, 0, status) == NOVA_DONE ||
	    nova_testhost_i64(target->host, NOVA_FIELD_SIGNAL, 0, status) == NOVA_DONE)
		return 1;
	fail(target->v, "exec of %s put neither NOVA_FIELD_EXIT_STATUS nor NOVA_FIELD_SIGNAL",
	     argv[0]);
	return 0;
}

static void check_exec(struct validator *v)
{
	static const char *const yes[] = {"true", NULL}, *const no[] = {"false", NULL},
	                         *const say[] = {"echo", "a  b", "$HOME", NULL},
	                         *const copy[] = {"cat", NULL};
	const char *output;
	struct target target;
	struct made vm;
	int64_t status;

	if (!open_running(&target, v, &vm))
		return;
	if (!demand(&target, CAN_EXEC) || !await_ready(&target, &vm))
		goto done;
	if (run(&target, &vm, yes, NULL, &status) && status != 0)
		fail(v, "exec of `true` has the exit status %lld", (long long)status);
	if (run(&target, &vm, no, NULL, &status) && status == 0)
		fail(v, "exec of `false` has the exit status 0");
	if (run(&target, &vm, say, NULL, &status)) {
		output = nova_testhost_bytes(target.host, NOVA_FIELD_STDOUT, NULL);
		if (strcmp(output, "a  b $HOME\n") != 0)
			fail(v,
			     "exec of echo with \"a  b\" and \"$HOME\" prints \"%.60s\": "
			     "arguments go through no shell",
			     output);
	}
	if (run(&target, &vm, copy, "input\n", &status)) {
		output = nova_testhost_bytes(target.host, NOVA_FIELD_STDOUT, NULL);
		if (strcmp(output, "input\n") != 0)
			fail(v, "exec of cat with the input \"input\" prints \"%.60s\"", output);
	}
done:
	close_with_vm(&target, &vm);
}

/* --- knobs -------------------------------------------------------------------------------- */

static void check_knobs(struct validator *v)
{
	struct target target;
	struct made vm;
	char names[32][64];
	const char *name = "", *value = NULL;
	char kept[256];
	uint32_t count = 0;

	if (!open_with_vm(&target, v, &vm))
		return;
	if (!demand(&target, CAN_KNOBS) ||
	    !expect_done(&target, "knob_list", CALL(&target, knob_list, &vm.ref)))
		goto done;
	for (uint32_t i = 0; i < nova_testhost_count(target.host, NOVA_FIELD_KNOB); i++)
		if (count < COUNT(names) && nova_testhost_fact_at(target.host, NOVA_FIELD_KNOB, i,
		                                                  &name, &value) == NOVA_DONE)
			snprintf(names[count++], sizeof(names[0]), "%s", name);
	if (!count)
		fail(v, "it says that it has knobs, and knob_list puts none");
	for (uint32_t i = 0; i < count; i++) {
		stage(v, "knob_get %s", names[i]);
		if (!expect_done(&target, names[i], CALL(&target, knob_get, &vm.ref, names[i])))
			continue;
		value = nova_testhost_fact(target.host, NOVA_FIELD_KNOB, names[i]);
		if (!value) {
			fail(v, "knob_get %s did not put the value under this name", names[i]);
			continue;
		}
		snprintf(kept, sizeof(kept), "%s", value);
		stage(v, "knob_set %s", names[i]);
		expect_done(&target, "knob_set to the value that it has",
		            CALL(&target, knob_set, &vm.ref, names[i], kept));
	}
	expect_status(&target, "knob_get of one that there is not",
	              CALL(&target, knob_get, &vm.ref, "vm.no.such"), NOVA_E_NOT_FOUND);
done:
	close_with_vm(&target, &vm);
}

/* --- images, networks --------------------------------------------------------------------- */

static void check_image(struct validator *v)
{
	struct target target;
	char name[NAME_ROOM], path[4096];
	int fd;

	if (!open_target(&target, v))
		return;
	if (!demand(&target, CAN_IMAGE))
		goto done;
	new_name(v, name);
	if (!getcwd(path, sizeof(path) - 16))
		goto done;
	strcat(path, "/image");
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, 1 << 20) != 0) {
		untried(v, "no file for an image can be written here");
	} else if (expect_done(&target, "image_put", CALL(&target, image_put, name, path))) {
		expect_done(&target, "image_delete", CALL(&target, image_delete, name));
	}
	if (fd >= 0)
		close(fd);
	stage(v, "image_put of a file that is not there");
	unlink(path);
	if (CALL(&target, image_put, name, path) == NOVA_DONE) {
		fail(v, "image_put of a file that is not there is NOVA_DONE");
		CALL(&target, image_delete, name);
	}
done:
	close_target(&target);
}

static void check_network(struct validator *v)
{
	struct target target;
	char name[NAME_ROOM];

	if (!open_target(&target, v))
		return;
	if (demand(&target, CAN_NETWORK)) {
		new_name(v, name);
		if (expect_done(&target, "net_create",
		                CALL(&target, net_create, name, NOVA_NET_ISOLATED)))
			expect_done(&target, "net_delete", CALL(&target, net_delete, name));
	}
	close_target(&target);
}

/* --- two targets -------------------------------------------------------------------------- */

/* The first target's twin, connected. The twin ends with the first. */
static int open_twin(struct target *first, struct target *twin)
{
	struct validator *v = first->v;
	const char *const *given = v->request->parameters;
	const char *all[64], *found;
	struct nova_testhost *host;
	char uri[512];
	size_t count = 0;

	if (!demand(first, CAN_TWIN) || !expect_done(first, "twin", CALL(first, twin)))
		return 0;
	found = nova_testhost_fact(first->host, NOVA_FIELD_URI, "");
	if (!found || !*found) {
		fail(v, "twin did not put NOVA_FIELD_URI");
		return 0;
	}
	for (; given && given[count] && count + 2 < COUNT(all); count++)
		all[count] = given[count];
	snprintf(uri, sizeof(uri), "uri=%s", found);
	all[count++] = uri;
	all[count] = NULL;
	host = open_host(v, all);
	if (host && connect_target(twin, v, host))
		return 1;
	if (host)
		close_host_quietly(v, host);
	fail(v, "the twin cannot be connected to: %s", uri);
	return 0;
}

static void check_twin(struct validator *v)
{
	struct target target, twin;
	struct made vm;

	if (!open_with_vm(&target, v, &vm))
		return;
	if (open_twin(&target, &twin)) {
		if (count_vms(&twin, vm.name) > 0)
			fail(v, "the twin shows a VM of the first target");
		close_target(&twin);
	}
	close_with_vm(&target, &vm);
}

static void migrate(struct target *from, struct target *to, struct made *vm)
{
	struct nova_migrate how = {.struct_size = sizeof(how)};
	const char *found;
	char ticket[1024];
	size_t events;
	int status;

	if (!expect_done(to, "migrate_prepare", CALL(to, migrate_prepare, &vm->ref, &from->shape)))
		return;
	found = nova_testhost_fact(to->host, NOVA_FIELD_TICKET, "");
	if (!found) {
		fail(to->v, "migrate_prepare did not put NOVA_FIELD_TICKET");
		return;
	}
	snprintf(ticket, sizeof(ticket), "%s", found);
	how.ticket = ticket;
	events = nova_testhost_event_count(to->host);
	status = CALL(from, migrate, &vm->ref, &how);
	expect_done(from, "migrate", status);
	expect_done(to, "migrate_finish",
	            CALL(to, migrate_finish, &vm->ref, ticket,
	                 status == NOVA_DONE ? NOVA_MIGRATED : NOVA_NOT_MIGRATED));
	if (status != NOVA_DONE)
		return;
	expect_event(to, vm, events, NOVA_EVENT_MIGRATED, "migrate");
	expect_status(from, "vm_query at the source of a VM that has migrated",
	              CALL(from, vm_query, &vm->ref, NOVA_QUERY_STATE), NOVA_E_NOT_FOUND);
	vm->ref.id = NULL; /* the destination may know it by another */
	expect_state(to, vm, NOVA_STATE_RUNNING);
}

static void check_migrate(struct validator *v)
{
	struct target target, twin;
	struct made vm;

	if (!open_running(&target, v, &vm))
		return;
	if (demand(&target, CAN_MIGRATE) && open_twin(&target, &twin)) {
		migrate(&target, &twin, &vm);
		stage(v, "vm_delete at the destination");
		expect_done(&twin, "vm_delete at the destination", CALL(&twin, vm_delete, &vm.ref));
		close_target(&twin);
	}
	close_with_vm(&target, &vm);
}

#define DRIVER NOVA_CHECK_OF(NOVA_KIND_HYPERVISOR)

const struct nova_validator_check vm_checks[] = {
        {"vm-create-twice", DRIVER, 0, 4, "work", "a name that is taken is NOVA_E_EXISTS",
         check_create_twice},
        {"vm-delete-absent", DRIVER, 0, 5, "work", "deleting what is not there is NOVA_DONE",
         check_delete_absent},
        {"vm-delete-running", DRIVER, 0, 4, "work", "a running VM can be deleted",
         check_delete_running},
        {"vm-list", DRIVER, 0, 8, "work",
         "vm_list shows what begins with the prefix, and nothing "
         "else",
         check_list},
        {"vm-name-only", DRIVER, 0, 4, "work",
         "a VM is found by its name where its id is not known", check_name_only},
        {"vm-wrong-reference", DRIVER, 0, 12, "work",
         "a VM that is not there, or is another one, is NOVA_E_NOT_FOUND", check_wrong_reference},
        {"vm-hostile-names", DRIVER, 0, 40, "work",
         "odd names are refused or taken exactly, and touch no other VM", check_hostile_names},
        {"vm-power", DRIVER, 0, 8, "work", "START, OFF, OFF again and START again do what they say",
         check_power},
        {"vm-pause", DRIVER, 0, 6, "work", "PAUSE and RESUME do what they say", check_pause},
        {"vm-reset", DRIVER, 0, 5, "work", "RESET brings RUNNING again", check_reset},
        {"vm-shutdown", DRIVER, 0, 5, "work", "SHUTDOWN is done when the VM is off",
         check_shutdown},
        {"vm-events", DRIVER, 0, 5, "work",
         "events come once, in the order of a life, and only of our VMs", check_events},
        {"vm-query", DRIVER, 0, 6, "work", "vm_query puts what the capabilities promise",
         check_query},
        {"snapshot", DRIVER, 0, 10, "work",
         "a running VM's snapshot can be taken, restored and deleted", check_snapshot},
        {"clone", DRIVER, 0, 7, "work", "a VM can be copied under a new name", check_clone},
        {"exec", DRIVER, 0, 7, "work", "programs in the guest get their arguments and their input",
         check_exec},
        {"knobs", DRIVER, 0, 70, "work", "every knob can be read, and set to what it is",
         check_knobs},
        {"image", DRIVER, 0, 4, "work", "an image can be put there and deleted", check_image},
        {"network", DRIVER, 0, 3, "work", "a network can be made and deleted", check_network},
        {"twin", DRIVER, 0, 8, "work", "a second target can be started, and is another one",
         check_twin},
        {"migrate", DRIVER, 0, 14, "work", "a running VM can move to the twin, and runs there only",
         check_migrate},
        {NULL, 0, 0, 0, NULL, NULL, NULL}};
