/* SPDX-License-Identifier: MIT */
/* Packets: what is sent arrives, and what is not in the table of kinds is refused with its reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/run/wire.h"

static int refuse(const char *text, const char *part)
{
	struct nova_error error = {0};
	json_t *packet;
	int code = nova_wire_parse(text, strlen(text), &packet, &error);

	assert_null(packet);
	if (!strstr(error.text, part))
		print_error("\"%s\" does not say \"%s\"\n", error.text, part);
	assert_non_null(strstr(error.text, part));
	return code;
}

static void refuses_what_is_no_object(void **state)
{
	(void)state;
	assert_int_equal(refuse("", "not a JSON object"), NOVA_E_PROTOCOL);
	assert_int_equal(refuse("[]", "not a JSON object"), NOVA_E_PROTOCOL);
	assert_int_equal(refuse("{\"is\":\"gone\"", "not a JSON object"), NOVA_E_PROTOCOL);
	assert_int_equal(refuse("{\"is\":\"gone\",\"name\":\"a\",\"name\":\"b\"}", "duplicate"),
	                 NOVA_E_PROTOCOL);
}

static void refuses_unknown_kinds_and_fields(void **state)
{
	(void)state;
	refuse("{}", "unknown kind");
	refuse("{\"is\":7}", "unknown kind");
	refuse("{\"is\":\"nonsense\"}", "unknown kind \"nonsense\"");
	refuse("{\"is\":\"gone\"}", "lacks \"name\"");
	refuse("{\"is\":\"gone\",\"name\":1}", "field \"name\"");
	refuse("{\"is\":\"gone\",\"name\":\"a\",\"more\":1}", "field \"more\"");
	refuse("{\"is\":\"go\",\"number\":1.5,\"code\":0}", "field \"number\"");
}

static void refuses_packets_over_the_limit(void **state)
{
	static char large[NOVA_WIRE_LIMIT + 2];
	struct nova_error error = {0};
	json_t *packet;

	(void)state;
	memset(large, ' ', sizeof(large) - 1);
	assert_int_equal(nova_wire_parse(large, sizeof(large) - 1, &packet, &error),
	                 NOVA_E_PROTOCOL);
	assert_int_equal(nova_wire_send(-1,
	                                json_pack("{ss ss%}", "is", "gone", "name", large,
	                                          sizeof(large) - 1),
	                                &error),
	                 NOVA_E_INTERNAL);
	assert_non_null(strstr(error.text, "gone"));
}

static void what_is_sent_arrives(void **state)
{
	struct nova_error error = {0};
	json_t *packet;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(nova_wire_send(fds[0],
	                                json_pack("{ss sI sI}", "is", "go", "number",
	                                          (json_int_t)INT64_C(9007199254740993), "code",
	                                          (json_int_t)-15),
	                                &error),
	                 0);
	assert_int_equal(nova_wire_receive(fds[1], &packet, &error), 0);
	assert_string_equal(nova_wire_is(packet), "go");
	assert_int_equal(nova_wire_i64(packet, "number"), INT64_C(9007199254740993));
	assert_int_equal(nova_wire_i64(packet, "code"), -15);
	assert_null(nova_wire_text(packet, "name"));
	json_decref(packet);
	close(fds[0]);
	assert_int_equal(nova_wire_receive(fds[1], &packet, &error), NOVA_E_NOT_FOUND);
	assert_int_equal(nova_wire_send(fds[1], json_pack("{ss}", "is", "stop"), &error),
	                 NOVA_E_IO);
	close(fds[1]);
}

static void a_reader_that_does_not_read_is_noticed(void **state)
{
	struct nova_error error = {0};
	int fds[2], code = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
	                 0);
	for (int i = 0; !code && i < 100000; i++)
		code = nova_wire_send(fds[0], json_pack("{ss}", "is", "stop"), &error);
	assert_int_equal(code, NOVA_E_BUSY);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(refuses_what_is_no_object),
	        cmocka_unit_test(refuses_unknown_kinds_and_fields),
	        cmocka_unit_test(refuses_packets_over_the_limit),
	        cmocka_unit_test(what_is_sent_arrives),
	        cmocka_unit_test(a_reader_that_does_not_read_is_noticed),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
