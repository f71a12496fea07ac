/* SPDX-License-Identifier: MIT */
/* The migration benchmark in the test host, whose simulated targets do what each test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include <novacore/testhost.h>

const struct nova_plugin *nova_plugin_entry_v1(const struct nova_host *host);

#define MS       1000000ll
#define PROGRESS "00000000000000001000 00000000005000000000\n"

static struct nova_testhost *host;
static int roams; /* VMs keep their network */

static int clean(void **state)
{
	(void)state;
	nova_testhost_free(host);
	host = NULL;
	return 0;
}

static void script(const char *name, int status, int64_t latency_ns, uint32_t times)
{
	assert_int_equal(nova_testhost_script(host, name, status, latency_ns, times), NOVA_DONE);
}

/* A migration takes 500 ms; the guest's load answers; the heartbeat stops for 7 ms. */
static void make(const char *const *parameters)
{
	clean(NULL);
	host = nova_testhost_new(nova_plugin_entry_v1(NULL), parameters);
	if (!host)
		fail_msg("%s", nova_testhost_refusal());
	if (!roams)
		nova_testhost_deny(host, NOVA_CAN_ROAM, "its networks stay behind");
	assert_int_equal(nova_testhost_start(host), NOVA_DONE);
	script("migrate", NOVA_DONE, 500 * MS, 0);
	nova_testhost_script_exec(host, "novacore-probe", "4711\n", 0);
	nova_testhost_script_exec(host, "cat", PROGRESS, 0);
	nova_testhost_set_beats(host, &(struct nova_beats){.struct_size = sizeof(struct nova_beats),
	                                                   .count = 10000,
	                                                   .gap_ns = 9 * MS,
	                                                   .typical_ns = 100000,
	                                                   .handover_ns = 7 * MS,
	                                                   .error_ns = 2000});
	nova_testhost_set_i64(host, NOVA_FIELD_DOWNTIME_NS, 4 * MS);
}
#define MAKE(...) make((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static int run(void)
{
	int status = nova_testhost_replicate(host, 0, NOVA_SIDE_VM);

	for (uint32_t i = 0; i < nova_testhost_complaints(host); i++)
		print_error("%s\n", nova_testhost_complaint(host, i));
	assert_int_equal(nova_testhost_complaints(host), 0);
	return status;
}

static const struct nova_sample *nth(const char *metric, uint32_t index)
{
	const struct nova_sample *sample = nova_testhost_sample_of(host, metric, index);

	if (!sample)
		fail_msg("no sample %u of %s", index, metric);
	return sample;
}

static void assert_value(const char *metric, uint32_t index, double value)
{
	const struct nova_sample *sample = nth(metric, index);

	assert_int_equal(sample->status, NOVA_SAMPLE_OK);
	assert_int_equal(sample->seq, index);
	if (fabs(sample->value - value) > 1e-9)
		fail_msg("%s is %.9f, not %.9f", metric, sample->value, value);
}

static void assert_none(const char *metric)
{
	assert_null(nova_testhost_sample_of(host, metric, 0));
}

static void assert_attempts(uint32_t fine, uint32_t failed, uint32_t timed_out)
{
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_OK), fine);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_FAILED), failed);
	assert_int_equal(nova_testhost_attempts(host, NOVA_SAMPLE_TIMED_OUT), timed_out);
}

static uint32_t count(const char *word)
{
	uint32_t found = 0;

	for (const char *at = nova_testhost_calls(host, 1); (at = strstr(at, word)); at++)
		found++;
	return found;
}

/* --- blackout ------------------------------------------------------------------------------ */

/* `silence`: what the second VM has heard, each time. */
static int run_watched(const char *silence)
{
	roams = 1;
	MAKE("memory=256MiB", "direction=there");
	roams = 0;
	nova_testhost_script_exec(host, "sh", silence, 0);
	return run();
}

static int second_vm_is_made(void)
{
	const char *calls = nova_testhost_calls(host, 2);

	return calls && strstr(calls, "vm_create") != NULL;
}

static void a_second_vm_sees_the_blackout_and_its_floor(void **state)
{
	(void)state;
	assert_int_equal(run_watched("415000000 0 1000 800\n"), NOVA_DONE);
	assert_int_equal(second_vm_is_made(), 1);
	assert_int_equal(count("migrate"), 1);
	assert_value("migration.blackout.observed", 0, 0.415);
	assert_value("migration.blackout.floor", 0, 0.415);
	assert_value("migration.stun.observed", 0, 0.007);
	assert_int_equal(nth("migration.blackout.observed", 0)->error_ns, 2 * MS);
}

static void a_vm_that_is_not_heard_again_has_no_blackout_but_a_failed_sample(void **state)
{
	(void)state;
	assert_int_equal(run_watched("5000000 900000000 1000 500\n"), NOVA_DONE);
	assert_int_equal(nth("migration.blackout.observed", 0)->status, NOVA_SAMPLE_FAILED);
	assert_value("migration.duration", 0, 0.5);
}

static void what_the_second_vm_says_is_read_strictly(void **state)
{
	static const char *const wrong[] = {
	        "",           "1 2 3\n",    "1 2 3 4",
	        "1 2 3 2\nx", "-1 2 3 2\n", "1  2 3 2\n",
	        "1 2 3 4\n",  "x 2 3 2\n",  "1 2 3 1234567890123456789\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(run_watched(wrong[i]), NOVA_DONE);
		assert_none("migration.blackout.observed");
		assert_none("migration.blackout.floor");
		assert_value("migration.duration", 0, 0.5);
	}
}

static void the_blackout_can_be_switched_off(void **state)
{
	(void)state;
	roams = 1;
	MAKE("memory=256MiB", "direction=there", "blackout=false");
	roams = 0;
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(second_vm_is_made(), 0);
}

static void a_target_whose_networks_stay_behind_migrates_without_one(void **state)
{
	(void)state;
	MAKE("memory=256MiB", "direction=there");
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(second_vm_is_made(), 0);
	assert_none("migration.blackout.observed");
	assert_value("migration.duration", 0, 0.5);
}

/* --- tests -------------------------------------------------------------------------------- */

static void goes_there_and_back_and_says_what_was_seen(void **state)
{
	(void)state;
	MAKE("memory=256MiB");
	nova_testhost_set_i64(host, NOVA_FIELD_SETUP_NS, 3 * MS);
	nova_testhost_set_f64(host, NOVA_FIELD_DIRTY_PER_S, 32e6);
	nova_testhost_set_f64(host, NOVA_FIELD_MOVED_PER_S, 75e6);
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(count("migrate"), 2);
	for (uint32_t trip = 0; trip < 2; trip++) {
		assert_value("migration.duration", trip, 0.5);
		assert_value("migration.downtime.reported", trip, 0.004);
		assert_value("migration.stun.observed", trip, 0.007);
		assert_value("migration.stun.floor", trip, 0.009);
		assert_value("migration.stun.excess", trip, 0.003);
		assert_value("migration.moved", trip, 268435456);
		assert_value("migration.iterations", trip, 1);
		assert_value("migration.setup", trip, 0.003);
		assert_value("migration.dirty_rate", trip, 32e6);
		assert_value("migration.rate", trip, 75e6);
	}
	assert_int_equal(nth("migration.stun.observed", 0)->source, NOVA_SOURCE_BEAT);
	/* the stamps, and one beat */
	assert_int_equal(nth("migration.stun.observed", 0)->error_ns, 102000);
	assert_none("migration.throttle");
	assert_none("migration.conversion.raw");
	assert_attempts(2, 0, 0);
}

static void asks_for_the_load_and_the_heartbeat(void **state)
{
	(void)state;
	MAKE("load=1MB/s", "working_set=1MiB", "beat=50us", "direction=there");
	assert_int_equal(run(), NOVA_DONE);
	assert_string_equal(nova_testhost_command(host, 0), "cat /run/novacore-dirty");
	assert_value("migration.duration", 0, 0.5);
	assert_int_equal(count("migrate"), 1);
	assert_attempts(1, 0, 0);
}

static void back_begins_at_the_second_target(void **state)
{
	(void)state;
	MAKE("direction=back", "load=0B/s");
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(count("migrate"), 1); /* to a target it is on already: a complaint */
	assert_null(nova_testhost_command(host, 0));
	assert_attempts(1, 0, 0);
}

static void repeats_one_way_by_travelling_back_unmeasured(void **state)
{
	(void)state;
	MAKE("direction=there", "repeat=3");
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(count("migrate"), 5);
	assert_value("migration.duration", 2, 0.5);
	assert_null(nova_testhost_sample_of(host, "migration.duration", 3));
	assert_attempts(3, 0, 0);
}

static void a_rate_that_is_not_reported_is_computed(void **state)
{
	(void)state;
	MAKE("memory=1GiB", "direction=there");
	nova_testhost_set_i64(host, NOVA_FIELD_MOVED_BYTES, 100000000);
	assert_int_equal(run(), NOVA_DONE);
	assert_value("migration.rate", 0, 2e8);
}

static void a_failed_migration_is_counted_and_ends_the_way(void **state)
{
	const struct nova_sample *sample;

	(void)state;
	MAKE("direction=both");
	script("migrate", NOVA_E_FAILED, 100 * MS, 1);
	assert_int_equal(run(), NOVA_DONE);
	sample = nth("migration.duration", 0);
	assert_int_equal(sample->status, NOVA_SAMPLE_FAILED);
	assert_non_null(strstr(sample->why, "from target 0 to target 1 failed"));
	assert_non_null(strstr(sample->why, "runs on where it was"));
	assert_int_equal(count("vm_query.state"), 1);
	assert_none("migration.stun.observed");
	assert_attempts(0, 1, 0);
}

static void a_migration_past_its_deadline_has_timed_out(void **state)
{
	(void)state;
	MAKE("timeout=2s");
	script("migrate", NOVA_E_TIMEOUT, 0, 1);
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(nth("migration.duration", 0)->status, NOVA_SAMPLE_TIMED_OUT);
	assert_attempts(0, 0, 1);
}

static void a_vm_that_is_lost_by_a_failure_is_said_to_be(void **state)
{
	(void)state;
	MAKE("direction=there");
	script("migrate", NOVA_E_FAILED, 0, 1);
	script("vm_query.state", NOVA_E_NOT_FOUND, 0, 0);
	assert_int_equal(run(), NOVA_DONE);
	assert_non_null(strstr(nth("migration.duration", 0)->why, "does not run where it was"));
	assert_attempts(0, 1, 0);
}

static void a_vm_that_does_not_become_ready_has_failed(void **state)
{
	(void)state;
	MAKE("direction=there");
	script("event.ready", NOVA_E_TIMEOUT, 0, 0);
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(nth("migration.duration", 0)->status, NOVA_SAMPLE_TIMED_OUT);
	assert_int_equal(count("migrate"), 0);
	assert_attempts(0, 0, 1);
}

static void dropped_heartbeats_make_no_stun(void **state)
{
	(void)state;
	MAKE("direction=there");
	nova_testhost_set_beats(host, &(struct nova_beats){.struct_size = sizeof(struct nova_beats),
	                                                   .flags = NOVA_BEATS_LOST,
	                                                   .count = 10000,
	                                                   .handover_ns = 7 * MS});
	assert_int_equal(run(), NOVA_DONE);
	assert_int_equal(nth("migration.stun.observed", 0)->status, NOVA_SAMPLE_FAILED);
	assert_non_null(strstr(nth("migration.stun.observed", 0)->why, "rmem_max"));
	assert_none("migration.stun.excess");
	assert_attempts(1, 0, 0);
}

static void a_guest_that_does_not_beat_is_said_to(void **state)
{
	(void)state;
	MAKE("direction=there");
	nova_testhost_set_beats(host,
	                        &(struct nova_beats){.struct_size = sizeof(struct nova_beats)});
	assert_int_equal(run(), NOVA_DONE);
	assert_none("migration.stun.observed");
	assert_true(nova_testhost_logged(host, "this guest sends no heartbeats"));
	assert_attempts(1, 0, 0);
}

static void without_a_handover_the_longest_gap_is_the_stun(void **state)
{
	(void)state;
	MAKE("direction=there");
	nova_testhost_set_beats(host, &(struct nova_beats){.struct_size = sizeof(struct nova_beats),
	                                                   .count = 10000,
	                                                   .gap_ns = 11 * MS});
	assert_int_equal(run(), NOVA_DONE);
	assert_value("migration.stun.observed", 0, 0.011);
}

static void without_heartbeat_agent_and_ready_it_still_migrates(void **state)
{
	(void)state;
	MAKE("direction=there");
	nova_testhost_deny(host, NOVA_CAN_BEAT, "no serial port");
	nova_testhost_deny(host, NOVA_CAN_EXEC, "no agent");
	nova_testhost_deny(host, NOVA_CAN_READY, "no agent");
	assert_int_equal(run(), NOVA_DONE);
	assert_value("migration.duration", 0, 0.5);
	assert_none("migration.stun.observed");
	assert_true(nova_testhost_logged(host, "no migration.stun: the targets have no heartbeat"));
}

static void a_mode_that_the_targets_lack_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *parameter, *capability;
	} modes[] = {{"mode=post-copy", NOVA_CAN_POST_COPY},
	             {"mode=auto-converge", NOVA_CAN_CONVERGE},
	             {"mode=compress", NOVA_CAN_COMPRESS},
	             {"mode=parallel", NOVA_CAN_PARALLEL}};

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		make((const char *const[]){modes[i].parameter, NULL});
		nova_testhost_deny(host, modes[i].capability, "because of the moon");
		assert_int_equal(run(), NOVA_E_UNSUPPORTED);
		assert_non_null(strstr(nova_testhost_error(host), modes[i].capability));
		assert_non_null(strstr(nova_testhost_error(host), "because of the moon"));
		make((const char *const[]){modes[i].parameter, NULL});
		assert_int_equal(run(), NOVA_DONE);
	}
}

static void a_guest_without_the_load_is_refused(void **state)
{
	(void)state;
	MAKE("direction=there");
	nova_testhost_script_exec(host, "cat", "", 1);
	assert_int_equal(run(), NOVA_E_UNSUPPORTED);
	assert_non_null(strstr(nova_testhost_error(host), "migration.load=0"));
}

static void a_load_that_does_not_start_is_a_vm_that_failed(void **state)
{
	/* neither ever becomes a progress */
	static const char *const says[] = {"12 ", "00000000000000000000 00000000005000000000\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(says) / sizeof(*says); i++) {
		clean(NULL);
		MAKE("direction=there");
		nova_testhost_script_exec(host, "cat", says[i], 0);
		assert_int_equal(run(), NOVA_DONE);
		assert_non_null(strstr(nova_testhost_error(host), "did not start"));
		assert_attempts(0, 1, 0);
	}
}

static void a_working_set_that_does_not_fit_is_refused_with_arithmetic(void **state)
{
	(void)state;
	clean(NULL);
	host = nova_testhost_new(nova_plugin_entry_v1(NULL),
	                         (const char *const[]){"memory=1GiB", "working_set=600MiB", NULL});
	assert_non_null(host);
	assert_int_equal(nova_testhost_start(host), NOVA_E_INVALID);
	assert_non_null(strstr(nova_testhost_error(host), "1024 MiB / 2 = 512 MiB"));
}

static void between_kinds_of_hypervisor_the_disk_is_converted(void **state)
{
	(void)state;
	MAKE("direction=both", "guest_image=/images/root.img");
	script("migrate", NOVA_E_UNSUPPORTED, 0, 0);
	assert_int_equal(run(), NOVA_DONE);
	assert_none("migration.duration");
	assert_value("migration.conversion.raw", 0, 0.001);
	assert_value("migration.conversion.vmdk", 0, 0.001);
	assert_value("migration.conversion.vhdx", 0, 0.001);
	assert_true(nova_testhost_logged(host, "no live migration between"));
	assert_attempts(1, 0, 0);
	MAKE("direction=both", "guest_image=/images/root.img");
	script("migrate", NOVA_E_UNSUPPORTED, 0, 0);
	nova_testhost_script_exec(host, "qemu-img", "", 1);
	assert_int_equal(run(), NOVA_DONE);
	assert_attempts(0, 1, 0);
}

static void a_conversion_that_fails_keeps_its_reason(void **state)
{
	(void)state;
	MAKE("direction=there", "conversion=true", "guest_image=/images/root.img");
	nova_testhost_script_exec(host, "qemu-img", "", 1);
	assert_int_equal(run(), NOVA_DONE);
	assert_value("migration.duration", 0, 0.5);
	assert_int_equal(nth("migration.conversion.vmdk", 0)->status, NOVA_SAMPLE_FAILED);
	assert_non_null(strstr(nth("migration.conversion.vmdk", 0)->why, "qemu-img"));
	MAKE("conversion=true");
	assert_int_equal(run(), NOVA_E_INVALID);
	assert_non_null(strstr(nova_testhost_error(host), "migration.guest_image"));
}

static void an_interruption_is_passed_on(void **state)
{
	(void)state;
	MAKE("direction=there");
	script("migrate", NOVA_E_INTERRUPTED, 0, 1);
	assert_int_equal(run(), NOVA_E_INTERRUPTED);
	assert_none("migration.duration");
	assert_attempts(0, 0, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, clean)
	const struct CMUnitTest tests[] = {
	        TEST(goes_there_and_back_and_says_what_was_seen),
	        TEST(a_second_vm_sees_the_blackout_and_its_floor),
	        TEST(a_vm_that_is_not_heard_again_has_no_blackout_but_a_failed_sample),
	        TEST(what_the_second_vm_says_is_read_strictly),
	        TEST(the_blackout_can_be_switched_off),
	        TEST(a_target_whose_networks_stay_behind_migrates_without_one),
	        TEST(asks_for_the_load_and_the_heartbeat),
	        TEST(back_begins_at_the_second_target),
	        TEST(repeats_one_way_by_travelling_back_unmeasured),
	        TEST(a_rate_that_is_not_reported_is_computed),
	        TEST(a_failed_migration_is_counted_and_ends_the_way),
	        TEST(a_migration_past_its_deadline_has_timed_out),
	        TEST(a_vm_that_is_lost_by_a_failure_is_said_to_be),
	        TEST(a_vm_that_does_not_become_ready_has_failed),
	        TEST(dropped_heartbeats_make_no_stun),
	        TEST(a_guest_that_does_not_beat_is_said_to),
	        TEST(without_a_handover_the_longest_gap_is_the_stun),
	        TEST(without_heartbeat_agent_and_ready_it_still_migrates),
	        TEST(a_mode_that_the_targets_lack_is_refused_with_the_reason),
	        TEST(a_guest_without_the_load_is_refused),
	        TEST(a_load_that_does_not_start_is_a_vm_that_failed),
	        TEST(a_working_set_that_does_not_fit_is_refused_with_arithmetic),
	        TEST(between_kinds_of_hypervisor_the_disk_is_converted),
	        TEST(a_conversion_that_fails_keeps_its_reason),
	        TEST(an_interruption_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
