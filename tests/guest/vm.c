/* SPDX-License-Identifier: MIT */
/*
 * A VM for these tests, made with no library that novacore would use for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/guest/vm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS (60 * NOVA_SECOND_NS)

static int connect_to(const char *directory, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timespec moment = {.tv_nsec = 10000000};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", directory, name);
	for (int i = 0; i < 1000; i++) {
		if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		nanosleep(&moment, NULL);
	}
	fail_msg("QEMU has not opened %s", address.sun_path);
	return -1;
}

static void make_overlay(const struct vm *vm, const char *image, const char *format,
                         const char *size)
{
	NOVA_AUTOFREE char *overlay = nova_format("%s/disk.qcow2", vm->directory);
	const char *const argv[] = {"qemu-img", "create", "-q",   "-f",    "qcow2", "-b",
	                            image,      "-F",     format, overlay, size,    NULL};
	struct nova_child child = {.argv = argv};
	struct nova_child_result result = {0};
	struct nova_error error = {0};

	if (nova_child_check(&child, &result, &error) != 0)
		fail_msg("%s", error.text);
	nova_child_result_free(&result);
}

/* A port that is free now; QEMU takes it at once. */
static unsigned free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(0, bind(fd, (const struct sockaddr *)&address, length));
	assert_int_equal(0, getsockname(fd, (struct sockaddr *)&address, &length));
	close(fd);
	return ntohs(address.sin_port);
}

/* QEMU's arguments, of which there is always room for one more. */
struct words {
	const char *at[64];
	size_t count;
};

static void add_words(struct words *words, const char *const *more)
{
	for (; *more != NULL; more++) {
		assert_true(words->count + 1 < NOVA_COUNT(words->at));
		words->at[words->count++] = *more;
	}
}

#define ADD(words, ...) add_words(words, (const char *const[]){__VA_ARGS__, NULL})

/* What all VMs have. The strings live as long as the process, which becomes QEMU. */
static struct words common_words(const struct vm *vm, const char *machine, bool agent)
{
	const char *at = vm->directory;
	struct words words = {0};

	ADD(&words, "qemu-system-x86_64", "-accel", "tcg", "-M", machine, "-cpu", "max", "-m",
	    "512", "-nodefaults", "-display", "none", "-no-reboot");
	ADD(&words, "-serial", nova_format("file:%s/console", at));
	ADD(&words, "-chardev", nova_format("socket,id=pulse,server=on,wait=on,path=%s/pulse", at),
	    "-serial", "chardev:pulse");
	ADD(&words, "-qmp", nova_format("unix:%s/monitor,server=on,wait=off", at));
	ADD(&words, "-netdev",
	    nova_format("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:%u-:22", vm->ssh));
	if (agent)
		ADD(&words, "-device", "virtio-serial", "-chardev",
		    nova_format("socket,id=agent,server=on,wait=off,path=%s/agent", at), "-device",
		    "virtserialport,chardev=agent,name=org.qemu.guest_agent.0");
	return words;
}

static void launch(struct vm *vm, const struct words *words, bool agent)
{
	vm->started_ns = nova_now_ns();
	vm->pid = fork();
	assert_true(vm->pid >= 0);
	if (vm->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(words->at[0], (char *const *)words->at);
		_exit(127);
	}
	vm->pulse = connect_to(vm->directory, "pulse");
	if (agent)
		vm->agent = connect_to(vm->directory, "agent");
	vm->monitor = connect_to(vm->directory, "monitor");
}

static void prepare(struct vm *vm)
{
	*vm = (struct vm){.pulse = -1, .agent = -1, .monitor = -1, .ssh = free_port()};
	strcpy(vm->directory, "/tmp/novacore-vm-XXXXXX");
	assert_non_null(mkdtemp(vm->directory));
}

void vm_start(struct vm *vm, const struct nova_guest *guest, const char *size, const char *extra)
{
	prepare(vm);
	make_overlay(vm, guest->image, "raw", size);
	struct words words = common_words(vm, "q35", true);
	ADD(&words, "-kernel", guest->kernel, "-initrd", guest->initrd, "-append",
	    nova_format("%s %s", guest->cmdline, extra));
	ADD(&words, "-drive",
	    nova_format("file=%s/disk.qcow2,if=virtio,format=qcow2", vm->directory));
	ADD(&words, "-device", "virtio-net-pci,netdev=net,romfile=");
	launch(vm, &words, true);
}

void vm_start_disk(struct vm *vm, const struct vm_kind *kind)
{
	prepare(vm);
	make_overlay(vm, kind->image, kind->format, NULL);
	struct words words = common_words(vm, kind->machine, kind->agent);
	ADD(&words, "-drive",
	    nova_format("file=%s/disk.qcow2,if=none,id=disk,format=qcow2", vm->directory));
	for (const char *const *device = kind->devices; *device != NULL; device++)
		ADD(&words, "-device", *device);
	if (kind->firmware != NULL)
		ADD(&words, "-bios", kind->firmware);
	if (kind->oem != NULL)
		ADD(&words, "-smbios", nova_format("type=11,%s", kind->oem));
	launch(vm, &words, kind->agent);
}

static void print_console(const struct vm *vm)
{
	NOVA_AUTOFREE char *path = nova_format("%s/console", vm->directory);
	NOVA_AUTOFREE char *text = nova_file_read(path, 1 << 20, NULL, NULL);

	print_message("console: %s\npulses: %s\n", text != NULL ? text : "",
	              nova_text_get(&vm->pulses));
}

void vm_end(struct vm *vm)
{
	if (vm->pid > 0) {
		kill(vm->pid, SIGKILL);
		waitpid(vm->pid, NULL, 0);
	}
	if (vm->pulse >= 0)
		close(vm->pulse);
	if (vm->agent >= 0)
		close(vm->agent);
	if (vm->monitor >= 0)
		close(vm->monitor);
	nova_text_free(&vm->pulses);
	if (*vm->directory != '\0')
		nova_directory_remove(vm->directory, NULL);
	*vm = (struct vm){.pulse = -1, .agent = -1, .monitor = -1};
}

static double since_start(const struct vm *vm)
{
	return (double)(nova_now_ns() - vm->started_ns) / 1e9;
}

/* At least one byte before `deadline_ns`, or 0. */
static size_t receive(int fd, char *bytes, size_t room, int64_t deadline_ns)
{
	struct pollfd waiting = {.fd = fd, .events = POLLIN};
	int64_t left_ms = (deadline_ns - nova_now_ns()) / 1000000;

	if (left_ms <= 0 || poll(&waiting, 1, (int)left_ms) <= 0)
		return 0;
	ssize_t got = read(fd, bytes, room);
	return got > 0 ? (size_t)got : 0;
}

double vm_pulse(struct vm *vm, char byte)
{
	int64_t deadline_ns = nova_now_ns() + PATIENCE_NS;
	char got;

	while (receive(vm->pulse, &got, 1, deadline_ns) == 1) {
		nova_text_add_bytes(&vm->pulses, &got, 1);
		if (got == byte)
			return since_start(vm);
	}
	print_console(vm);
	fail_msg("the guest has not said '%c'", byte);
	return 0;
}

int vm_wait(struct vm *vm)
{
	struct timespec moment = {.tv_nsec = 10000000};
	int64_t deadline_ns = nova_now_ns() + PATIENCE_NS;
	int status = -1;

	while (nova_now_ns() < deadline_ns) {
		if (waitpid(vm->pid, &status, WNOHANG) == vm->pid) {
			vm->pid = 0;
			return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
		}
		nanosleep(&moment, NULL);
	}
	print_console(vm);
	fail_msg("QEMU has not ended");
	return -1;
}

static json_t *read_answer(int fd, int64_t deadline_ns)
{
	NOVA_AUTOTEXT struct nova_text line = {0};
	char byte;

	while (receive(fd, &byte, 1, deadline_ns) == 1) {
		if (byte != '\n') {
			nova_text_add_bytes(&line, &byte, 1);
			continue;
		}
		json_t *json = json_loads(nova_text_get(&line), 0, NULL);
		if (json != NULL)
			return json;
		line.length = 0;
	}
	return NULL;
}

static void send_json(int fd, const json_t *json)
{
	NOVA_AUTOFREE char *text = json_dumps(json, JSON_COMPACT);
	NOVA_AUTOFREE char *line = nova_format("%s\n", text);

	if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		print_message("cannot send %s", line);
}

static json_t *call(struct vm *vm, const char *command, json_t *arguments, int64_t patience_ns)
{
	NOVA_AUTOJSON json_t *request =
	        json_pack("{s:s, s:o*}", "execute", command, "arguments", arguments);

	send_json(vm->agent, request);
	NOVA_AUTOJSON json_t *answer = read_answer(vm->agent, nova_now_ns() + patience_ns);
	return json_incref(json_object_get(answer, "return"));
}

json_t *vm_agent(struct vm *vm, const char *command, json_t *arguments)
{
	return call(vm, command, arguments, 20 * NOVA_SECOND_NS);
}

double vm_agent_ready(struct vm *vm)
{
	static json_int_t number;

	/* An agent that was not there yet may answer several pings at once: count to know which. */
	for (int tries = 0; tries < 60; tries++) {
		json_int_t expected = ++number;
		NOVA_AUTOJSON json_t *request = json_pack("{s:s, s:{s:I}}", "execute", "guest-sync",
		                                          "arguments", "id", expected);
		send_json(vm->agent, request);
		int64_t deadline_ns = nova_now_ns() + (tries == 0 ? 20 : 1) * NOVA_SECOND_NS;
		for (;;) {
			NOVA_AUTOJSON json_t *answer = read_answer(vm->agent, deadline_ns);
			if (answer == NULL)
				break;
			if (json_integer_value(json_object_get(answer, "return")) == expected)
				return since_start(vm);
		}
	}
	print_console(vm);
	fail_msg("the agent has not answered");
	return 0;
}

static char *decode(const char *base64)
{
	static const char alphabet[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct nova_text text = {0};
	unsigned bits = 0, count = 0;

	nova_text_add(&text, "");
	for (; base64 != NULL && *base64 != '\0' && *base64 != '='; base64++) {
		bits = bits << 6 | (unsigned)(strchr(alphabet, *base64) - alphabet);
		if ((count += 6) >= 8) {
			char byte = (char)(bits >> (count -= 8));
			nova_text_add_bytes(&text, &byte, 1);
		}
	}
	return text.data != NULL ? text.data : nova_strdup("");
}

char *vm_exec(struct vm *vm, const char *const *argv, int *status)
{
	json_t *arguments = json_array();
	struct timespec moment = {.tv_nsec = 50000000};

	for (const char *const *at = argv + 1; *at != NULL; at++)
		json_array_append_new(arguments, json_string(*at));
	NOVA_AUTOJSON json_t *started = vm_agent(vm, "guest-exec",
	                                         json_pack("{s:s, s:o, s:b}", "path", argv[0],
	                                                   "arg", arguments, "capture-output", 1));
	json_int_t pid = json_integer_value(json_object_get(started, "pid"));
	if (pid == 0) {
		print_console(vm);
		fail_msg("the agent cannot run %s", argv[0]);
	}
	for (int i = 0; i < 400; i++) {
		NOVA_AUTOJSON json_t *state =
		        vm_agent(vm, "guest-exec-status", json_pack("{s:I}", "pid", pid));
		if (json_is_true(json_object_get(state, "exited"))) {
			*status = (int)json_integer_value(json_object_get(state, "exitcode"));
			return decode(json_string_value(json_object_get(state, "out-data")));
		}
		nanosleep(&moment, NULL);
	}
	fail_msg("%s has not ended in the guest", argv[0]);
	return NULL;
}

char *vm_ssh(struct vm *vm, const char *key, const char *command, int *status)
{
	NOVA_AUTOFREE char *port = nova_format("%u", vm->ssh);
	const char *const argv[] = {"ssh",
	                            "-F",
	                            "none",
	                            "-i",
	                            key,
	                            "-p",
	                            port,
	                            "-o",
	                            "BatchMode=yes",
	                            "-o",
	                            "IdentitiesOnly=yes",
	                            "-o",
	                            "StrictHostKeyChecking=no",
	                            "-o",
	                            "UserKnownHostsFile=/dev/null",
	                            "-o",
	                            "ConnectTimeout=20",
	                            "root@127.0.0.1",
	                            command,
	                            NULL};
	struct nova_child child = {.argv = argv};
	struct timespec moment = {.tv_nsec = 500000000};
	int64_t deadline_ns = nova_now_ns() + PATIENCE_NS;

	for (;;) {
		struct nova_child_result result = {0};
		struct nova_error error = {0};
		if (nova_child_run(&child, &result, &error) != 0)
			fail_msg("%s", error.text);
		*status = result.status;
		char *output = nova_strdup(nova_text_get(&result.output));
		NOVA_AUTOFREE char *words = nova_strdup(nova_text_get(&result.errors));
		nova_child_result_free(&result);
		/* 255 is ssh's own: no server, or one that does not take the key */
		if (*status != 255 || strstr(words, "Permission denied") != NULL ||
		    nova_now_ns() > deadline_ns)
			return output;
		free(output);
		nanosleep(&moment, NULL);
	}
}

void vm_shutdown(struct vm *vm)
{
	NOVA_AUTOJSON json_t *request = json_pack("{s:s}", "execute", "guest-shutdown");

	send_json(vm->agent, request);
}

void vm_monitor(struct vm *vm, const char *command)
{
	const char *const commands[] = {"qmp_capabilities", command};

	for (size_t i = 0; i < NOVA_COUNT(commands); i++) {
		NOVA_AUTOJSON json_t *request = json_pack("{s:s}", "execute", commands[i]);
		send_json(vm->monitor, request);
	}
}
