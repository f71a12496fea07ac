/* SPDX-License-Identifier: @LICENSE@ */
/* The driver in the test host of the SDK, op by op: <novacore/testhost.h>. */
#include <novacore/testhost.h>

#include <string.h>

#define EXPECT NOVA_TESTHOST_EXPECT

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

static const struct nova_shape shape = {.struct_size = sizeof(shape), .vcpus = 1};
static const struct nova_ref vm = {.struct_size = sizeof(vm), .name = "novacore-test-1"};

static void a_vm_lives_and_is_gone(struct nova_testhost *host)
{
	int64_t state = 0;

	EXPECT(nova_testhost_call(host, 1000, vm_create, vm.name, &shape) == NOVA_DONE);
	EXPECT(nova_testhost_fact(host, NOVA_FIELD_ID, ""));
	EXPECT(nova_testhost_call(host, 1000, vm_create, vm.name, &shape) == NOVA_E_EXISTS);
	EXPECT(*nova_testhost_error(host));

	EXPECT(nova_testhost_call(host, 1000, vm_power, &vm, NOVA_POWER_START) == NOVA_DONE);
	EXPECT(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_RUNNING, 1000));
	EXPECT(nova_testhost_call(host, 1000, vm_power, &vm, NOVA_POWER_START) == NOVA_E_BUSY);
	EXPECT(nova_testhost_call(host, 1000, vm_query, &vm, NOVA_QUERY_STATE) == NOVA_DONE);
	EXPECT(nova_testhost_i64(host, NOVA_FIELD_STATE, 0, &state) == NOVA_DONE);
	EXPECT(state == NOVA_STATE_RUNNING);

	EXPECT(nova_testhost_call(host, 1000, vm_power, &vm, NOVA_POWER_OFF) == NOVA_DONE);
	EXPECT(nova_testhost_wait(host, 0, vm.name, NOVA_EVENT_STOPPED, 1000));
	EXPECT(nova_testhost_call(host, 1000, vm_delete, &vm) == NOVA_DONE);
	EXPECT(nova_testhost_call(host, 1000, vm_delete, &vm) == NOVA_DONE);
	EXPECT(nova_testhost_call(host, 1000, vm_power, &vm, NOVA_POWER_START) == NOVA_E_NOT_FOUND);
}

/* The second VM of a name is another VM. */
static void does_not_take_one_vm_for_another(struct nova_testhost *host)
{
	const struct nova_ref earlier = {.struct_size = sizeof(earlier), .name = vm.name, .id = "0"};

	EXPECT(nova_testhost_call(host, 1000, vm_create, vm.name, &shape) == NOVA_DONE);
	EXPECT(nova_testhost_call(host, 1000, vm_power, &earlier, NOVA_POWER_START) == NOVA_E_NOT_FOUND);
	EXPECT(nova_testhost_call(host, 1000, vm_delete, &earlier) == NOVA_DONE);
	EXPECT(nova_testhost_call(host, 1000, vm_power, &vm, NOVA_POWER_START) == NOVA_DONE);
	EXPECT(nova_testhost_call(host, 1000, vm_delete, &vm) == NOVA_DONE);
}

/* A sweep after a crash deletes what is listed: a stranger's VM must not be. */
static void lists_what_has_the_prefix_and_nothing_else(struct nova_testhost *host)
{
	EXPECT(nova_testhost_call(host, 1000, vm_create, "novacore-a-1", &shape) == NOVA_DONE);
	EXPECT(nova_testhost_call(host, 1000, vm_create, "somebody-elses", &shape) == NOVA_DONE);
	EXPECT(nova_testhost_call(host, 1000, vm_list, "novacore-") == NOVA_DONE);
	EXPECT(nova_testhost_count(host, NOVA_FIELD_VM) == 1);
	EXPECT(nova_testhost_fact(host, NOVA_FIELD_VM, "novacore-a-1"));
}

static void refuses_a_target_that_is_not_its_own(void)
{
	const char *parameters[] = {"uri=elsewhere:x", NULL};
	struct nova_testhost *host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);

	EXPECT(host && nova_testhost_start(host) == NOVA_DONE);
	EXPECT(nova_testhost_call(host, 1000, connect) == NOVA_E_INVALID);
	EXPECT(strstr(nova_testhost_error(host), "elsewhere:x"));
	nova_testhost_free(host);
}

int main(void)
{
	struct nova_testhost *host = nova_testhost_new(nova_plugin_entry_v1(NULL), NULL);

	EXPECT(host && nova_testhost_start(host) == NOVA_DONE);
	EXPECT(nova_testhost_call(host, 1000, connect) == NOVA_DONE);
	EXPECT(nova_testhost_call(host, 1000, describe) == NOVA_DONE);
	EXPECT(nova_testhost_can(host, NOVA_CAN_START) && !nova_testhost_can(host, NOVA_CAN_READY));
	a_vm_lives_and_is_gone(host);
	does_not_take_one_vm_for_another(host);
	lists_what_has_the_prefix_and_nothing_else(host);
	EXPECT(nova_testhost_complaints(host) == 0);
	nova_testhost_free(host);
	refuses_a_target_that_is_not_its_own();
	return 0;
}
