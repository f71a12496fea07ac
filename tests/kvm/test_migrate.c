/* SPDX-License-Identifier: MIT */
/*
 * Live migration between two libvirt daemons of this machine, which this program starts with
 * identities and directories of their own. As root daemons would share /run/libvirt, so it runs as
 * an ordinary user only.
 */
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct daemon {
	char folder[64], uri[640];
	pid_t pid;
};

static char top[] = "/tmp/nk-pair-XXXXXX";
static struct daemon daemons[2];
static struct lab source, destination;

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void start(struct daemon *daemon, int number)
{
	char config[128], pid_file[128], text[512], log[128];
	const char *const folders[] = {"", "/run", "/libvirt"};
	snprintf(daemon->folder, sizeof(daemon->folder), "%s/%d", top, number);
	for (int i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "%.60s%s", daemon->folder, folders[i]);
		assert_int_equal(mkdir(text, 0700), 0);
	}
	snprintf(config, sizeof(config), "%.60s/libvirtd.conf", daemon->folder);
	snprintf(pid_file, sizeof(pid_file), "%.60s/pid", daemon->folder);
	snprintf(log, sizeof(log), "%.60s/log", daemon->folder);
	snprintf(
	        text, sizeof(text),
	        "unix_sock_dir = \"%.60s\"\nhost_uuid = \"0%d234567-89ab-4def-8123-456789abcdef\"\n"
	        "auth_unix_rw = \"none\"\n",
	        daemon->folder, number);
	write_file(daemon->folder, "libvirtd.conf", text);
	snprintf(text, sizeof(text), "%.60s/libvirt", daemon->folder);
	write_file(text, "qemu.conf", "stdio_handler = \"file\"\nsecurity_driver = \"none\"\n");
	snprintf(daemon->uri, sizeof(daemon->uri), "qemu+unix:///session?socket=%.60s/libvirt-sock",
	         daemon->folder);
	daemon->pid = fork();
	if (daemon->pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		setenv("XDG_CONFIG_HOME", daemon->folder, 1);
		setenv("XDG_CACHE_HOME", daemon->folder, 1);
		setenv("XDG_DATA_HOME", daemon->folder, 1);
		snprintf(text, sizeof(text), "%.60s/run", daemon->folder);
		setenv("XDG_RUNTIME_DIR", text, 1);
		execlp("libvirtd", "libvirtd", "-f", config, "-p", pid_file, (char *)NULL);
		_exit(127);
	}
}

static void wait_for(const struct daemon *daemon)
{
	char socket[128];
	snprintf(socket, sizeof(socket), "%.60s/libvirt-sock", daemon->folder);
	for (int i = 0; i < 200 && access(socket, F_OK) != 0; i++)
		nanosleep(&(struct timespec){0, 50000000}, NULL);
	assert_int_equal(access(socket, F_OK), 0);
}

static void open_side(struct lab *lab, const struct daemon *daemon)
{
	char uri[700];
	snprintf(uri, sizeof(uri), "uri=%s", daemon->uri);
	const char *parameters[] = {uri, "accel=tcg", NULL};
	lab_open(lab, parameters);
}

static void moves_a_running_vm(void **state)
{
	struct machine vm;
	struct nova_shape shape = lab_stub(&source);
	char ticket[512];
	int64_t value = 0;
	(void)state;
	lab_create(&source, &vm, "move", &shape);
	lab_power(&source, &vm, NOVA_POWER_START);
	assert_true(lab_beat(&source, '.', 30000) > 0);
	lab_expect(&destination,
	           nova_testhost_call(destination.host, 10000, migrate_prepare, &vm.ref, &shape),
	           "migrate_prepare");
	const char *text = nova_testhost_fact(destination.host, NOVA_FIELD_TICKET, "");
	assert_non_null(text);
	snprintf(ticket, sizeof(ticket), "%s", text);
	const struct nova_migrate how = {.struct_size = sizeof(how), .ticket = ticket};
	lab_expect(&source, nova_testhost_call(source.host, 60000, migrate, &vm.ref, &how),
	           "migrate");
	assert_int_equal(nova_testhost_i64(source.host, NOVA_FIELD_DURATION_NS, 0, &value),
	                 NOVA_DONE);
	assert_true(value > 0);
	assert_int_equal(nova_testhost_i64(source.host, NOVA_FIELD_DOWNTIME_NS, 0, &value),
	                 NOVA_DONE);
	assert_int_equal(nova_testhost_i64(source.host, NOVA_FIELD_MOVED_BYTES, 0, &value),
	                 NOVA_DONE);
	assert_true(value > 0);
	lab_expect(&destination,
	           nova_testhost_call(destination.host, 10000, migrate_finish, &vm.ref, ticket,
	                              NOVA_MIGRATED),
	           "migrate_finish");
	lab_wait(&destination, 0, &vm, NOVA_EVENT_MIGRATED);
	assert_int_equal(lab_state(&destination, &vm), NOVA_STATE_RUNNING);
	assert_int_equal(
	        nova_testhost_call(source.host, 10000, vm_query, &vm.ref, NOVA_QUERY_STATE),
	        NOVA_E_NOT_FOUND);
	for (size_t i = 0; i < nova_testhost_event_count(source.host); i++)
		assert_int_not_equal(nova_testhost_event(source.host, i)->kind, NOVA_EVENT_STOPPED);
	lab_delete(&destination, &vm);
}

static void a_wrong_ticket_moves_nothing(void **state)
{
	struct machine vm;
	struct nova_shape shape = lab_stub(&source);
	const struct nova_migrate how = {.struct_size = sizeof(how), .ticket = "not a ticket"};
	const struct nova_migrate gone = {
	        .struct_size = sizeof(gone),
	        .ticket = "{\"libvirt\":\"qemu+unix:///session?socket=/no/such\"}"};
	(void)state;
	lab_create(&source, &vm, "stay", &shape);
	lab_power(&source, &vm, NOVA_POWER_START);
	assert_int_equal(nova_testhost_call(source.host, 10000, migrate, &vm.ref, &how),
	                 NOVA_E_INVALID);
	assert_int_not_equal(nova_testhost_call(source.host, 10000, migrate, &vm.ref, &gone),
	                     NOVA_DONE);
	assert_int_equal(lab_state(&source, &vm), NOVA_STATE_RUNNING);
	lab_delete(&source, &vm);
}

static int open_both(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(top));
	for (int i = 0; i < 2; i++)
		start(&daemons[i], i + 1);
	for (int i = 0; i < 2; i++)
		wait_for(&daemons[i]);
	open_side(&source, &daemons[0]);
	open_side(&destination, &daemons[1]);
	return 0;
}

static int close_both(void **state)
{
	char command[128];
	(void)state;
	lab_close(&source);
	lab_close(&destination);
	for (int i = 0; i < 2; i++) {
		kill(daemons[i].pid, SIGTERM);
		waitpid(daemons[i].pid, NULL, 0);
	}
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(moves_a_running_vm),
	        cmocka_unit_test(a_wrong_ticket_moves_nothing),
	};
	if (geteuid() == 0) {
		printf("skipped: two libvirt daemons of root would share /run/libvirt; run it as "
		       "an "
		       "ordinary user (tests/as-user)\n");
		return 77;
	}
	lab_fork();
	return cmocka_run_group_tests(tests, open_both, close_both);
}
