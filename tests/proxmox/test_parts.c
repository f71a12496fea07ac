/* SPDX-License-Identifier: MIT */
/* Parts of the Proxmox VE driver that need no peer: names of tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_a_task_name),
	        cmocka_unit_test(reads_long_uptimes_and_empty_ids),
	        cmocka_unit_test(refuses_what_is_no_task_name),
	        cmocka_unit_test(refuses_a_task_name_beyond_its_room),
	        cmocka_unit_test(knows_names_of_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
