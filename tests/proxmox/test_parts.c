/* SPDX-License-Identifier: MIT */
/* Parts of the Proxmox VE driver that need no peer: names of tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <novacore/helpers/json.h>

#include "option.h"
#include "upid.h"

static void reads_a_task_name(void **state)
{
	struct upid upid;
	const char *text = "UPID:pve-1:0000A1B2:00FFEE00:6553F100:qmstart:101:bench@pve!nova:";

	(void)state;
	assert_int_equal(upid_parse(text, &upid), 1);
	assert_string_equal(upid.text, text);
	assert_string_equal(upid.node, "pve-1");
	assert_string_equal(upid.type, "qmstart");
	assert_string_equal(upid.id, "101");
	assert_string_equal(upid.user, "bench@pve!nova");
	assert_int_equal(upid.pid, 0xa1b2);
	assert_int_equal(upid.start_s, 0x6553f100);
}

static void reads_long_uptimes_and_empty_ids(void **state)
{
	struct upid upid;

	(void)state;
	assert_int_equal(
	        upid_parse("UPID:pve:0000A1B2:1FFFFEE00:6553F100:vncproxy::root@pam:", &upid), 1);
	assert_string_equal(upid.id, "");
}

static void refuses_what_is_no_task_name(void **state)
{
	static const char *const wrong[] = {
	        "",
	        "UPID",
	        "UPID:",
	        "UPID:pve:0000A1B2:00FFEE00:6553F100:qmstart:101:root@pam", /* no colon at the end
	                                                                     */
	        "UPID:pve:0000A1B2:00FFEE00:6553F100:qmstart:101:root@pam::",
	        "UPID:pve:0000A1B2:00FFEE00:6553F100:qmstart:101:root@pam:x",
	        "upid:pve:0000A1B2:00FFEE00:6553F100:qmstart:101:root@pam:",
	        "UPID::0000A1B2:00FFEE00:6553F100:qmstart:101:root@pam:",
	        "UPID:-pve:0000A1B2:00FFEE00:6553F100:qmstart:101:root@pam:",
	        "UPID:../x:0000A1B2:00FFEE00:6553F100:qmstart:101:root@pam:",
	        "UPID:pve:A1B2:00FFEE00:6553F100:qmstart:101:root@pam:",
	        "UPID:pve:0000A1B2F:00FFEE00:6553F100:qmstart:101:root@pam:",
	        "UPID:pve:0000A1G2:00FFEE00:6553F100:qmstart:101:root@pam:",
	        "UPID:pve:0000A1B2:00FFEE00AA:6553F100:qmstart:101:root@pam:",
	        "UPID:pve:0000A1B2:00FFEE00:6553F100::101:root@pam:",
	        "UPID:pve:0000A1B2:00FFEE00:6553F100:qmstart:101::",
	        "UPID:pve:0000A1B2:00FFEE00:6553F100:qm start:101:root@pam:",
	        "UPID:pve:0000A1B2:00FFEE00:6553F100:qmstart:101:root@pam\n:",
	};
	struct upid upid;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (upid_parse(wrong[i], &upid))
			fail_msg("'%s' was taken for a task", wrong[i]);
		assert_string_equal(upid.text, "");
		assert_string_equal(upid.node, "");
	}
}

static void refuses_a_task_name_beyond_its_room(void **state)
{
	char text[600];
	struct upid upid;

	(void)state;
	snprintf(text, sizeof(text), "UPID:pve:0000A1B2:00FFEE00:6553F100:qmstart:101:%0*d:", 500,
	         1);
	assert_int_equal(upid_parse(text, &upid), 0);
	snprintf(text, sizeof(text), "UPID:pve:0000A1B2:00FFEE00:6553F100:%0*d:101:root@pam:", 100,
	         1);
	assert_int_equal(upid_parse(text, &upid), 0);
}

static void knows_names_of_nodes(void **state)
{
	(void)state;
	assert_int_equal(upid_is_node("pve"), 1);
	assert_int_equal(upid_is_node("pve-prod-01"), 1);
	assert_int_equal(upid_is_node("x"), 1);
	assert_int_equal(upid_is_node(""), 0);
	assert_int_equal(upid_is_node("pve/../x"), 0);
	assert_int_equal(upid_is_node("pve?x=1"), 0);
	assert_int_equal(upid_is_node("pve-"), 0);
	assert_int_equal(upid_is_node("pve.example"), 0);
}

static void assert_set(const char *options, const char *key, const char *value, const char *wanted)
{
	struct nova_text text = {0};

	option_set(&text, options, key, value);
	assert_string_equal(nova_text_get(&text), wanted);
	nova_text_free(&text);
}

static void changes_one_option_of_a_property_string(void **state)
{
	static const char disk[] = "local-lvm:vm-1-disk-0,cache=none,size=4G";
	char value[8];

	(void)state;
	assert_true(option_get(disk, "cache", value, sizeof(value)));
	assert_string_equal(value, "none");
	assert_false(option_get(disk, "aio", value, sizeof(value)));
	assert_false(option_get("x=12345678", "x", value, sizeof(value)));
	assert_false(option_get("xcache=none", "cache", value, sizeof(value)));
	assert_false(option_get("", "cache", value, sizeof(value)));
	assert_set(disk, "cache", "writeback", "local-lvm:vm-1-disk-0,size=4G,cache=writeback");
	assert_set(disk, "cache", "", "local-lvm:vm-1-disk-0,size=4G");
	assert_set(disk, "aio", "native", "local-lvm:vm-1-disk-0,cache=none,size=4G,aio=native");
	assert_set(",,a=1,,", "b", "2", "a=1,b=2");
	assert_set("", "b", "2", "b=2");
	assert_set("x,b=1,y,b=3", "b", "2", "x,y,b=2");
}

static void knows_versions_and_images(void **state)
{
	(void)state;
	assert_true(option_version("8.4.1", 8, 4));
	assert_true(option_version("9.0.3", 8, 4));
	assert_true(option_version("8.10", 8, 4));
	assert_false(option_version("8.3.9", 8, 4));
	assert_false(option_version("7.4", 8, 4));
	assert_false(option_version("unknown", 8, 4));
	assert_true(option_is_image("local:import/novacore-a.qcow2", "local", "novacore-a"));
	assert_false(option_is_image("local:import/novacore-ab.qcow2", "local", "novacore-a"));
	assert_false(option_is_image("local:iso/novacore-a.raw", "local", "novacore-a"));
	assert_false(option_is_image("other:import/novacore-a.raw", "local", "novacore-a"));
}

static void reads_a_downtime_from_a_log(void **state)
{
	(void)state;
	assert_int_equal(
	        option_downtime_ns(
	                "2025-01-04 average migration speed: 457.0 MiB/s - downtime 73 ms"),
	        73000000);
	assert_int_equal(option_downtime_ns("migration downtime limit: 100 ms"), -1);
	assert_int_equal(option_downtime_ns("downtime 73"), -1);
	assert_int_equal(option_downtime_ns("downtime 99999999999999999999 ms"), -1);
	assert_int_equal(option_downtime_ns(""), -1);
}

static void sums_up_rows_of_shares(void **state)
{
	json_t *rows = json_pack("[{sisfsi}{si}{sisssi}{sisfsi}s]", "time", 60, "cpu", 0.5,
	                         "maxcpu", 2, "time", 120, "time", 180, "cpu", "NaN", "maxcpu", 2,
	                         "time", 240, "cpu", 0.25, "maxcpu", 4, "no row");

	(void)state;
	assert_float_equal(option_cpu_s(rows, 3600), 120, 1e-9);
	assert_float_equal(option_cpu_s(rows, 61), 60, 1e-9); /* it started later */
	assert_true(option_cpu_s(NULL, 3600) < 0);
	json_decref(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_a_task_name),
	        cmocka_unit_test(reads_long_uptimes_and_empty_ids),
	        cmocka_unit_test(refuses_what_is_no_task_name),
	        cmocka_unit_test(refuses_a_task_name_beyond_its_room),
	        cmocka_unit_test(knows_names_of_nodes),
	        cmocka_unit_test(changes_one_option_of_a_property_string),
	        cmocka_unit_test(knows_versions_and_images),
	        cmocka_unit_test(reads_a_downtime_from_a_log),
	        cmocka_unit_test(sums_up_rows_of_shares),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
