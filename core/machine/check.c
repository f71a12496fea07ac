/* SPDX-License-Identifier: MIT */
/* What doctor says of this machine: each finding names what is so, and what to do if it should not
 * be. */
#include "core/machine/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/kvm.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAP_LIMIT_NS (3 * NOVA_SECOND_NS)
#define REAP_SLOW_NS  (50 * INT64_C(1000000)) /* libvirt looks at a dying QEMU every 200 ms */
#define DISK_WANTED   (UINT64_C(4) << 30)
#define MEMORY_WANTED (UINT64_C(2) << 30)
#define FILES_WANTED  4096 /* libvirt: four descriptors a VM */

void nova_machine_find(json_t *findings, const char *subject, bool optional, const char *fix,
                       const char *format, ...)
{
	NOVA_AUTOFREE char *detail = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&detail, format, arguments) < 0)
		detail = NULL;
	va_end(arguments);
	json_array_append_new(findings, json_pack("{ss sb ss ss? sb}", "subject", subject, "ok",
	                                          !fix, "detail", detail ? detail : "", "fix", fix,
	                                          "optional", optional));
}

/* --- virtualisation
 * --------------------------------------------------------------------------------- */

static bool cpu_has(const char *flag)
{
	NOVA_AUTOFREE char *text = nova_file_read("/proc/cpuinfo", 16 << 20, NULL, NULL);
	NOVA_AUTOFREE char *word = nova_format(" %s ", flag);

	return text && strstr(text, word);
}

static void check_kvm(json_t *findings)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		nova_machine_find(
		        findings, "KVM", true,
		        "enable VT-x or AMD-V in the firmware (in a VM: nested virtualisation on "
		        "its "
		        "host) and load kvm_intel or kvm_amd; without it VMs are emulated (TCG)",
		        "there is no /dev/kvm");
	else if (fd < 0)
		nova_machine_find(
		        findings, "KVM", true,
		        "add yourself to the group kvm (usermod -aG kvm USER, then log in again)",
		        "cannot open /dev/kvm: %s", strerror(errno));
	else if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		nova_machine_find(findings, "KVM", true, "use a current kernel",
		                  "/dev/kvm speaks another API version");
	else
		nova_machine_find(
		        findings, "KVM", true, NULL,
		        "/dev/kvm opens; whether it boots a guest is tried before the first run");
	if (fd >= 0)
		close(fd);
}

static void check_nesting(json_t *findings)
{
	if (!cpu_has("hypervisor"))
		nova_machine_find(findings, "nesting", true, NULL, "this is no virtual machine");
	else
		nova_machine_find(
		        findings, "nesting", true, NULL,
		        "this machine is a VM itself: results are of a nested hypervisor, and are "
		        "compared only with such");
	if (!cpu_has("vmx") && !cpu_has("svm"))
		nova_machine_find(findings, "CPU", true,
		                  "enable it in the firmware, or nested virtualisation on the host",
		                  "the CPU shows neither vmx (Intel VT-x) nor svm (AMD-V)");
}

/* --- programs
 * ----------------------------------------------------------------------------------------- */

static void check_program(json_t *findings, const char *program, const char *package,
                          const char *use)
{
	const char *argv[] = {program, "--version", NULL};
	NOVA_AUTO(nova_child_result_free) struct nova_child_result result = {0};
	struct nova_child child = {.argv = argv,
	                           .deadline_ns = nova_now_ns() + 10 * NOVA_SECOND_NS};
	NOVA_AUTOFREE char *fix = nova_format("install it: apt-get install %s", package);
	struct nova_error error = {0};

	if (nova_child_check(&child, &result, &error)) {
		nova_machine_find(findings, program, false, fix, "%s is needed %s: %s", program,
		                  use, error.text);
		return;
	}
	nova_machine_find(findings, program, false, NULL, "%.*s",
	                  (int)strcspn(nova_text_get(&result.output), "\n"),
	                  nova_text_get(&result.output));
}

/* libvirt loads it by name when the driver kvm opens; without it there is no embedded mode. */
static void check_libvirt(json_t *findings)
{
	static const char *const patterns[] = {
	        "/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so",
	        "/usr/lib*/libvirt/connection-driver/libvirt_driver_qemu.so"};
	glob_t found = {0};

	for (size_t i = 0; i < NOVA_COUNT(patterns); i++)
		glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &found);
	if (found.gl_pathc)
		nova_machine_find(findings, "libvirt", false, NULL, "its QEMU driver is there: %s",
		                  found.gl_pathv[0]);
	else
		nova_machine_find(findings, "libvirt", false,
		                  "install it: apt-get install libvirt-daemon-driver-qemu",
		                  "libvirt's QEMU driver is needed to run VMs (driver kvm)");
	globfree(&found);
}

static void check_programs(json_t *findings)
{
	check_libvirt(findings);
	check_program(findings, "qemu-system-x86_64", "qemu-system-x86", "to run VMs (driver kvm)");
	check_program(findings, "qemu-img", "qemu-utils", "for VMs' disks (driver kvm)");
	if (geteuid() != 0)
		return;
	if (getpwnam("libvirt-qemu"))
		nova_machine_find(findings, "user libvirt-qemu", false, NULL,
		                  "it is there: QEMU runs as this user, not as root");
	else
		nova_machine_find(
		        findings, "user libvirt-qemu", false,
		        "apt-get install libvirt-daemon-system makes it",
		        "libvirt, as root, runs QEMU as libvirt-qemu, and there is no such user");
}

/* --- resources
 * ------------------------------------------------------------------------------------------ */

static void check_disk(json_t *findings)
{
	NOVA_AUTOFREE char *state = nova_place(NOVA_PLACE_STATE, NULL);
	struct nova_error error = {0};
	struct statvfs disk;
	uint64_t left;
	char text[32];

	if (nova_directory_make(state, 0755, &error) || access(state, W_OK)) {
		nova_machine_find(findings, "state directory", false,
		                  "make it writable, or set XDG_STATE_HOME to one that is",
		                  "cannot write to %s%s%s", state, error.code ? ": " : "",
		                  error.text);
		return;
	}
	if (statvfs(state, &disk))
		return;
	left = (uint64_t)disk.f_bavail * disk.f_frsize;
	nova_value_format((double)left, NOVA_UNIT_BYTE, text);
	nova_machine_find(findings, "disk", false,
	                  left < DISK_WANTED ? "make room, or set XDG_STATE_HOME to a larger disk"
	                                     : NULL,
	                  "%s free for VMs' disks and results in %s", text, state);
}

static void check_memory(json_t *findings)
{
	uint64_t available = nova_machine_memory_available();
	char text[32];

	nova_value_format((double)available, NOVA_UNIT_BYTE, text);
	nova_machine_find(findings, "memory", false,
	                  available < MEMORY_WANTED
	                          ? "end other programs, or use smaller VMs (vm.standard.memory)"
	                          : NULL,
	                  "%s available, %u CPUs", text, nova_machine_cpus());
}

static void check_files(json_t *findings)
{
	struct rlimit files = {0};

	getrlimit(RLIMIT_NOFILE, &files);
	nova_machine_find(
	        findings, "open files", true,
	        files.rlim_max < FILES_WANTED ? "raise it: ulimit -Hn 65536, or limits.conf" : NULL,
	        "up to %llu a process: enough for about %llu VMs at once",
	        (unsigned long long)files.rlim_max, (unsigned long long)(files.rlim_max / 5));
}

static void check_perf(json_t *findings)
{
	NOVA_AUTOFREE char *text =
	        nova_file_read("/proc/sys/kernel/perf_event_paranoid", 32, NULL, NULL);
	int level = text ? atoi(text) : 4;

	nova_machine_find(
	        findings, "perf events", true,
	        level > 2 && geteuid() != 0
	                ? "as root: sysctl kernel.perf_event_paranoid=2, for novacore record"
	                : NULL,
	        "kernel.perf_event_paranoid is %d", level);
}

/* --- orphans
 * ---------------------------------------------------------------------------------------------- */

/* Starts a process whose parent dies at once, and gives its pid. It ends when `go` is closed. */
static pid_t make_orphan(int go[2])
{
	int report[2];
	pid_t child, orphan = -1;

	if (pipe2(report, O_CLOEXEC))
		return -1;
	child = fork();
	if (child == 0) {
		char byte;

		orphan = fork();
		if (orphan != 0) {
			ssize_t written = write(report[1], &orphan, sizeof(orphan));

			_exit(written == sizeof(orphan) ? 0 : 1);
		}
		close(go[1]);
		_exit(read(go[0], &byte, 1) > 0);
	}
	close(report[1]);
	if (child < 0 || read(report[0], &orphan, sizeof(orphan)) != sizeof(orphan))
		orphan = -1;
	close(report[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	return orphan;
}

/* libvirt's QEMUs are orphans: where PID 1 is slow to reap, destroying a VM seems to take seconds.
 */
static void check_orphans(json_t *findings)
{
	int go[2];
	pid_t orphan;
	int64_t began, took;

	if (pipe2(go, O_CLOEXEC))
		return;
	orphan = make_orphan(go);
	close(go[0]);
	began = nova_now_ns();
	close(go[1]);
	while (orphan > 0 && !kill(orphan, 0) && nova_now_ns() - began < REAP_LIMIT_NS)
		usleep(500);
	took = nova_now_ns() - began;
	if (orphan <= 0)
		nova_machine_find(findings, "orphans", true, NULL, "could not be tried");
	else if (took >= REAP_LIMIT_NS)
		nova_machine_find(
		        findings, "orphans", true,
		        "none needed for embedded libvirt (novacore reaps its own); with a libvirt "
		        "daemon "
		        "in a container, start the container with an init (docker run --init)",
		        "PID 1 did not reap an orphan in %.0f s: destroying a VM looks slower than "
		        "it is",
		        (double)REAP_LIMIT_NS / 1e9);
	else
		nova_machine_find(
		        findings, "orphans", true,
		        took > REAP_SLOW_NS
		                ? "none needed for embedded libvirt; with a libvirt daemon, use "
		                  "a faster init"
		                : NULL,
		        "PID 1 reaps an orphan in %.1f ms", (double)took / 1e6);
}

json_t *nova_machine_check(void)
{
	json_t *findings = json_array();

	check_nesting(findings);
	check_kvm(findings);
	check_programs(findings);
	check_memory(findings);
	check_disk(findings);
	check_files(findings);
	check_orphans(findings);
	check_perf(findings);
	return findings;
}
