/* SPDX-License-Identifier: MIT */
/* Parts of the XCP-ng driver that need no peer: what XenAPI writes in forms of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <novacore/helpers/json.h>
#include <novacore/types.h>

#include "answer.h"

static void knows_what_errors_mean(void **state)
{
	(void)state;
	assert_int_equal(answer_code("VM_BAD_POWER_STATE"), NOVA_E_BUSY);
	assert_int_equal(answer_code("HANDLE_INVALID"), NOVA_E_NOT_FOUND);
	assert_int_equal(answer_code("LICENSE_RESTRICTION"), NOVA_E_UNSUPPORTED);
	assert_int_equal(answer_code("SR_BACKEND_FAILURE_44"), NOVA_E_FULL);
	assert_int_equal(answer_code("SR_BACKEND_FAILURE_46"), NOVA_E_FAILED);
	assert_int_equal(answer_code("VM_LACKS_FEATURE_SHUTDOWN"), NOVA_E_UNSUPPORTED);
	assert_int_equal(answer_code("SOMETHING_NEW"), NOVA_E_FAILED);
	assert_int_equal(answer_code(""), NOVA_E_FAILED);
}

static void writes_an_error_with_its_details(void **state)
{
	json_t *details = json_pack("[sssi]", "VM_BAD_POWER_STATE", "OpaqueRef:1", "halted\n", 7);
	struct nova_text words = {0};

	(void)state;
	assert_int_equal(answer_error("VM_BAD_POWER_STATE", details, 1, &words), NOVA_E_BUSY);
	assert_string_equal(nova_text_get(&words), "VM_BAD_POWER_STATE (OpaqueRef:1, halted, ?)");
	nova_text_free(&words);
	answer_error("X", NULL, 0, &words);
	assert_string_equal(nova_text_get(&words), "X");
	nova_text_free(&words);
	json_decref(details);
}

static void knows_references(void **state)
{
	(void)state;
	assert_true(answer_is_ref("OpaqueRef:3c2f0e80-58a2-4c5e-8a0b-1b1b2f9c7d11"));
	assert_true(answer_is_ref("OpaqueRef:v"));
	assert_false(answer_is_ref("OpaqueRef:NULL"));
	assert_false(answer_is_ref("OpaqueRef:"));
	assert_false(answer_is_ref("Ref:*NULL*"));
	assert_false(answer_is_ref("OpaqueRef:a&b=c"));
	assert_false(answer_is_ref("OpaqueRef:a\r\nX: y"));
	assert_false(answer_is_ref(
	        "OpaqueRef:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	        "aaaaaaaaaaaaaaaaa"));
	assert_true(answer_is_uuid("3c2f0e80-58a2-4c5e-8a0b-1b1b2f9c7d11"));
	assert_false(answer_is_uuid("3c2f0e80-58a2-4c5e-8a0b-1b1b2f9c7d1"));
	assert_false(answer_is_uuid("3c2f0e80-58a2-4c5e-8a0b-1b1b2f9c7d1/"));
	assert_false(answer_is_uuid("3c2f0e80x58a2-4c5e-8a0b-1b1b2f9c7d11"));
}

static void takes_a_masters_address(void **state)
{
	char address[64];

	(void)state;
	assert_true(answer_address("192.0.2.7", address, sizeof(address)));
	assert_string_equal(address, "192.0.2.7");
	assert_true(answer_address("2001:db8::7", address, sizeof(address)));
	assert_string_equal(address, "[2001:db8::7]");
	assert_true(answer_address("xcp1.example", address, sizeof(address)));
	assert_false(answer_address("", address, sizeof(address)));
	assert_false(answer_address("evil.example/x", address, sizeof(address)));
	assert_false(answer_address("user@evil.example", address, sizeof(address)));
	assert_false(answer_address("evil.example#", address, sizeof(address)));
	assert_false(answer_address("-x", address, sizeof(address)));
	assert_false(answer_address(
	        "a.very.long.name.that.does.not.fit.into.the.room.that.there.is.example", address,
	        sizeof(address)));
}

static void reads_a_tasks_result(void **state)
{
	char ref[REF_ROOM];

	(void)state;
	assert_true(answer_task_ref("<value>OpaqueRef:1-2</value>", ref));
	assert_string_equal(ref, "OpaqueRef:1-2");
	assert_true(answer_task_ref("OpaqueRef:1-2", ref)); /* newer ones write it so */
	assert_false(answer_task_ref("", ref));
	assert_string_equal(ref, "");
	assert_false(answer_task_ref("<value></value>", ref));
	assert_false(answer_task_ref("<value>OpaqueRef:1", ref));
	assert_false(answer_task_ref("<value>OpaqueRef:NULL</value>", ref));
	assert_false(answer_task_ref("<value><array><data/></array></value>", ref));
}

static void reads_times(void **state)
{
	(void)state;
	assert_int_equal(answer_time("19700101T00:00:00Z"), 0);
	assert_int_equal(answer_time("20241128T03:05:09Z"), 1732763109);
	assert_int_equal(answer_time("2024-11-28T03:05:09Z"), -1);
	assert_int_equal(answer_time("20241328T03:05:09Z"), -1);
	assert_int_equal(answer_time("20241128T03:05:09"), -1);
	assert_int_equal(answer_time("20241128T03:05:09Zx"), -1);
	assert_int_equal(answer_time(""), -1);
}

#define UUID "3c2f0e80-58a2-4c5e-8a0b-1b1b2f9c7d11"

static json_t *parse(const char *text)
{
	char why[100];
	json_t *value = nova_json_parse(text, strlen(text), why, sizeof(why));

	if (!value)
		fail_msg("%s", why);
	return value;
}

static void sums_up_rates(void **state)
{
	json_t *rrd = parse(
	        "{\"meta\":{\"step\":5,\"legend\":[\"AVERAGE:vm:" UUID ":cpu0\","
	        "\"AVERAGE:vm:" UUID ":cpu1\",\"AVERAGE:vm:" UUID ":cpu_usage\","
	        "\"AVERAGE:vm:" UUID ":vbd_xvda_read\",\"AVERAGE:vm:" UUID
	        ":vbd_xvda_read_latency\",\"AVERAGE:vm:" UUID ":vif_0_rx\","
	        "\"AVERAGE:vm:00000000-58a2-4c5e-8a0b-1b1b2f9c7d11:cpu0\","
	        "\"MAX:vm:" UUID ":cpu0\"]},\"data\":["
	        "{\"t\":10,\"values\":[\"0.5\",0.25,\"9\",\"100\",\"9\",\"NaN\",\"9\",\"9\"]},"
	        "{\"t\":5,\"values\":[\"0.5\",\"Infinity\",\"9\",\"20\",\"9\",\"NaN\",\"9\",\"9\"]}"
	        "]}");
	struct answer_stats stats;
	const char *why;

	(void)state;
	assert_true(answer_rrd(rrd, UUID, &stats, &why));
	assert_float_equal(stats.cpu_s, 6.25, 1e-9);
	assert_float_equal(stats.read_bytes, 600, 1e-9);
	assert_true(stats.write_bytes < 0);    /* not told */
	assert_true(stats.received_bytes < 0); /* told, and never a number */
	json_decref(rrd);
}

static void refuses_statistics_of_another_form(void **state)
{
	static const char *const wrong[] = {
	        "[]",
	        "{\"meta\":{\"step\":5,\"legend\":{}},\"data\":[]}",
	        "{\"meta\":{\"step\":0,\"legend\":[]},\"data\":[]}",
	        "{\"meta\":{\"step\":\"NaN\",\"legend\":[]},\"data\":[]}",
	        "{\"meta\":{\"step\":5,\"legend\":[]}}",
	        "{\"meta\":{\"step\":5,\"legend\":[\"x\"]},\"data\":[{\"t\":1,\"values\":[]}]}",
	        "{\"meta\":{\"step\":5,\"legend\":[\"x\"]},\"data\":[7]}",
	};
	struct answer_stats stats;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json_t *rrd = parse(wrong[i]);

		if (answer_rrd(rrd, UUID, &stats, &why) || !why)
			fail_msg("%s was taken for statistics", wrong[i]);
		json_decref(rrd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(knows_what_errors_mean),
	        cmocka_unit_test(writes_an_error_with_its_details),
	        cmocka_unit_test(knows_references),
	        cmocka_unit_test(takes_a_masters_address),
	        cmocka_unit_test(reads_a_tasks_result),
	        cmocka_unit_test(reads_times),
	        cmocka_unit_test(sums_up_rates),
	        cmocka_unit_test(refuses_statistics_of_another_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
