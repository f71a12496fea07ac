/* SPDX-License-Identifier: MIT */
/*
 * Bridges and taps of this host, as root: what is made carries its owner's name, what is deleted is
 * ours alone, also what a process that was killed has left; and which transport is chosen, and why.
 */
#include "lab.h"

#include "bridge.h"
#include "link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct lab lab;
static char net[64];

/* The devices whose alias begins with the name. */
static int devices_of(const char *name)
{
	struct if_nameindex *all = if_nameindex();
	struct kvm_link link;
	int count = 0;
	assert_non_null(all);
	for (struct if_nameindex *at = all; at->if_name; at++)
		count += kvm_link_find(at->if_name, &link) == 0 &&
		         strncmp(link.alias, name, strlen(name)) == 0;
	if_freenameindex(all);
	return count;
}

static void open_with(const char *network)
{
	const char *const parameters[] = {network, "accel=tcg", NULL};
	lab_open(&lab, parameters);
	snprintf(net, sizeof(net), "novacore-test%d-net", (int)getpid());
}

static void make_net(void)
{
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, net_create, net, NOVA_NET_ISOLATED),
	           "net_create");
}

static void delete_net(void)
{
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, net_delete, net), "net_delete");
}

static void vms_join_a_bridge_and_leave_nothing(void **state)
{
	const char *const networks[] = {net, NULL};
	struct machine vms[3];
	(void)state;
	make_net();
	assert_int_equal(devices_of(net), 1);
	for (int i = 0; i < 3; i++) {
		char name[8];
		struct nova_shape shape = lab_stub(&lab);
		shape.networks = networks;
		snprintf(name, sizeof(name), "br%d", i);
		lab_create(&lab, &vms[i], name, &shape);
		lab_power(&lab, &vms[i], NOVA_POWER_START);
	}
	assert_true(lab_beat(&lab, '.', 30000) > 0);
	assert_int_equal(devices_of(net), 4);
	for (int i = 0; i < 3; i++)
		lab_delete(&lab, &vms[i]);
	assert_int_equal(devices_of(net), 1);
	delete_net();
	assert_int_equal(devices_of(net), 0);
}

/* Of a killed process there is nothing but the devices. */
static void what_a_killed_process_left_is_deleted_by_its_name(void **state)
{
	struct kvm_link link;
	char device[IF_NAMESIZE];
	struct kvm left = {.privileged = false};
	int index;
	(void)state;
	left.host = nova_testhost_table();
	assert_int_equal(kvm_bridge_open(net, &index), 0);
	assert_int_equal(kvm_bridge_join(&left, 0, net, "novacore-test-vm", 0, device), NOVA_DONE);
	assert_int_equal(kvm_link_find(device, &link), 0);
	assert_int_equal(link.master, index);
	assert_int_equal(devices_of(net), 2);
	delete_net();
	assert_int_equal(devices_of(net), 0);
	delete_net(); /* not there any more: fine */
}

static void a_bridge_whose_alias_is_another_ones_stays(void **state)
{
	int index;
	(void)state;
	assert_int_equal(kvm_bridge_open(net, &index), 0);
	assert_int_equal(kvm_link_up(index, "somebody else's", 0), 0);
	delete_net();
	assert_int_equal(devices_of("somebody else's"), 1);
	assert_int_equal(kvm_link_delete(index), 0);
}

static void auto_takes_bridges_and_says_why(void **state)
{
	(void)state;
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, describe), "describe");
	assert_string_equal(nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "network"), "bridge");
	assert_non_null(strstr(nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "network.why"),
	                       "packets pass"));
}

static int open_auto(void **state)
{
	(void)state;
	open_with("network=auto");
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	assert_int_equal(devices_of("novacore trial"), 0);
	lab_close(&lab);
	return 0;
}

/* Who may not make bridges gets sockets, or is told what it takes. */
static void an_ordinary_user_gets_sockets_with_the_reason(void **state)
{
	const char *const bridge[] = {"network=bridge", "accel=tcg", NULL};
	(void)state;
	/* First: the embedded libvirt can be opened once in a process. */
	lab.host = nova_testhost_new(nova_plugin_entry_v1(NULL), bridge);
	assert_non_null(lab.host);
	assert_int_equal(nova_testhost_start(lab.host), NOVA_DONE);
	assert_int_equal(nova_testhost_call(lab.host, 60000, connect), NOVA_E_UNAVAILABLE);
	assert_non_null(strstr(nova_testhost_error(lab.host), "CAP_NET_ADMIN"));
	nova_testhost_free(lab.host);
	open_with("network=auto");
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, describe), "describe");
	assert_string_equal(nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "network"), "socket");
	assert_non_null(strstr(nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "network.why"),
	                       "CAP_NET_ADMIN"));
	make_net();
	delete_net();
	lab_close(&lab);
}

static void a_firewall_that_drops_bridged_packets_leaves_sockets(void **state)
{
	(void)state;
	lab_expect(&lab, nova_testhost_call(lab.host, 10000, describe), "describe");
	assert_string_equal(nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "network"), "socket");
	assert_non_null(strstr(nova_testhost_fact(lab.host, NOVA_FIELD_FACT, "network.why"),
	                       "bridge-nf-call-iptables"));
	make_net();
	delete_net();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest root[] = {
	        cmocka_unit_test(auto_takes_bridges_and_says_why),
	        cmocka_unit_test(vms_join_a_bridge_and_leave_nothing),
	        cmocka_unit_test(what_a_killed_process_left_is_deleted_by_its_name),
	        cmocka_unit_test(a_bridge_whose_alias_is_another_ones_stays),
	};
	const struct CMUnitTest user[] = {
	        cmocka_unit_test(an_ordinary_user_gets_sockets_with_the_reason),
	};
	const struct CMUnitTest dropped[] = {
	        cmocka_unit_test(a_firewall_that_drops_bridged_packets_leaves_sockets),
	};
	lab_fork();
	if (argc == 2 && strcmp(argv[1], "dropped") == 0)
		return cmocka_run_group_tests(dropped, open_auto, close_all);
	return geteuid() == 0 ? cmocka_run_group_tests(root, open_auto, close_all)
	                      : cmocka_run_group_tests(user, NULL, NULL);
}
