/* SPDX-License-Identifier: MIT */
/* Which process is a VM's QEMU, by its command line ("-name guest=NAME,…" as libvirt writes it, or
 * "-name NAME"), and what its threads are, by the names that QEMU gives them. */
#include "core/profiler/record.h"

#include "core/stats/stats.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMMAND_BYTES (4u << 20)
/* The inode of /proc/self/ns/pid where all processes are to be seen (PROC_PID_INIT_INO). */
#define FIRST_PID_SPACE 0xEFFFFFFCu

/* --- names of VMs -------------------------------------------------------------------------------
 */

/* One of "a=b,c=d,…", in which a comma of a value is written twice; what is behind it. */
static const char *take_option(const char *at, char *option)
{
	for (; *at; at++) {
		if (at[0] == ',' && at[1] != ',') {
			at++;
			break;
		}
		at += at[0] == ',';
		*option++ = *at;
	}
	*option = '\0';
	return at;
}

/* The caller's. */
static char *name_in(const char *value)
{
	NOVA_AUTOFREE char *option = nova_alloc(strlen(value) + 1);
	char *name = NULL;

	for (const char *at = value; *at;) {
		bool first = at == value;

		at = take_option(at, option);
		if (strncmp(option, "guest=", 6) == 0 || (first && !strchr(option, '='))) {
			free(name);
			name = nova_strdup(option + (strncmp(option, "guest=", 6) ? 0 : 6));
		}
	}
	return name;
}

static bool is_qemu(const char *command)
{
	const char *slash = strrchr(command, '/'), *program = slash ? slash + 1 : command;

	return strncmp(program, "qemu-system", 11) == 0 || strncmp(program, "qemu-kvm", 8) == 0 ||
	       strcmp(program, "kvm") == 0;
}

/* The VM's name by its command line; NULL if it is no QEMU, or has none. The caller's. */
static char *name_of(const char *command, size_t bytes)
{
	const char *end = command + bytes;

	for (const char *at = is_qemu(command) ? command : end; at < end; at += strlen(at) + 1) {
		if (strcmp(at, "-name") != 0 && strcmp(at, "--name") != 0)
			continue;
		at += strlen(at) + 1;
		return at < end ? name_in(at) : NULL;
	}
	return NULL;
}

static char *command_of(int32_t pid, size_t *bytes)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	return nova_file_read(path, COMMAND_BYTES, bytes, NULL);
}

bool nova_record_is_vm(int32_t pid)
{
	size_t bytes = 0;
	NOVA_AUTOFREE char *command = command_of(pid, &bytes);

	return command && bytes && is_qemu(command);
}

/* --- the process of a VM ------------------------------------------------------------------------
 */

struct search {
	const char *wanted;
	int32_t pid;
	size_t found, seen; /* with the name; processes whose command line could be read */
	struct nova_text pids, names; /* of those with the name, and of the others */
};

static void look_at(struct search *search, int32_t pid)
{
	size_t bytes = 0;
	NOVA_AUTOFREE char *command = command_of(pid, &bytes);
	NOVA_AUTOFREE char *name = command && bytes ? name_of(command, bytes) : NULL;
	struct nova_text *names = &search->names;

	search->seen += command != NULL;
	if (!name)
		return;
	if (strcmp(name, search->wanted) == 0) {
		search->pid = pid;
		nova_text_addf(&search->pids, "%s%d", search->found++ ? ", " : "", pid);
	} else {
		nova_text_addf(names, "%s%s", names->length ? ", " : "", name);
	}
}

/* Why a VM that there is may not be seen from here. */
static const char *blind(const struct search *search)
{
	struct stat is;

	if (!stat("/proc/self/ns/pid", &is) && is.st_ino != FIRST_PID_SPACE)
		return "; novacore itself is in a container and sees no process outside of it: run "
		       "it on the host";
	if (search->seen < 2 || access("/proc/1/cmdline", R_OK) != 0)
		return "; /proc shows no processes of other users here (hidepid): do it as root";
	return "";
}

int nova_record_find_vm(const char *name, int32_t *pid, struct nova_error *error)
{
	struct search search = {.wanted = name, .pid = -1};
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	int code = 0;

	while (directory && (entry = readdir(directory)))
		if (atoi(entry->d_name) > 0)
			look_at(&search, (int32_t)atoi(entry->d_name));
	if (directory)
		closedir(directory);
	*pid = search.pid;
	nova_text_clean(search.names.data ? search.names.data : (char[]){""});
	if (search.found > 1)
		code = nova_error_set(
		        error, NOVA_E_INVALID,
		        "%zu QEMU processes have a VM of the name %s: %s; --pid takes one of them, "
		        "and is then as good",
		        search.found, name, nova_text_get(&search.pids));
	else if (!search.found)
		code = nova_error_set(
		        error, NOVA_E_NOT_FOUND,
		        "no QEMU process on this host has a VM of the name %s; %s%s%s", name,
		        search.names.length ? "there are: " : "there is none at all",
		        nova_text_get(&search.names), blind(&search));
	nova_text_free(&search.pids);
	nova_text_free(&search.names);
	return code;
}

/* --- its threads --------------------------------------------------------------------------------
 * As QEMU names them with debug-threads=on (util/qemu-thread-posix.c and who calls it).
 */

bool vm_translates(const char *name)
{
	size_t length = strlen(name);

	/* "CPU 0/TCG", or "ALL CPUs/TCG" where one thread is all of them */
	return length > 4 && strcmp(name + length - 4, "/TCG") == 0;
}

enum vm_part vm_part_of(const char *name, bool first)
{
	if (tally_vcpu(name) >= 0 || vm_translates(name))
		return VM_VCPU;
	/* the kernel's, of its own or among QEMU's threads (since Linux 6.4) */
	if (strncmp(name, "vhost-", 6) == 0)
		return VM_VHOST;
	if (strncmp(name, "IO ", 3) == 0)
		return VM_IO;
	return first ? VM_EMULATOR : VM_OTHER;
}

/* "vhost-PID" and "kvm-pit/PID". */
static bool works_for(int32_t tid, int32_t pid)
{
	char path[64], text[64], vhost[32], pit[32];

	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	snprintf(vhost, sizeof(vhost), "vhost-%d\n", pid);
	snprintf(pit, sizeof(pit), "kvm-pit/%d\n", pid);
	NOVA_AUTOFREE char *name = nova_file_read(path, 64, NULL, NULL);
	if (!name || (strcmp(name, vhost) != 0 && strcmp(name, pit) != 0))
		return false;
	/* anybody may call a process so; the kernel's have no program */
	snprintf(path, sizeof(path), "/proc/%d/exe", tid);
	return readlink(path, text, sizeof(text)) < 0 && errno != EACCES;
}

void vm_kernel_threads(int32_t pid, int32_t **tids, size_t *count)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	size_t refused = 0;

	while (directory && (entry = readdir(directory))) {
		int32_t tid = (int32_t)atoi(entry->d_name);

		if (tid <= 0 || !works_for(tid, pid))
			continue;
		if (geteuid() != 0) {
			refused++;
			continue;
		}
		*tids = nova_grow(*tids, *count, sizeof(**tids));
		(*tids)[(*count)++] = tid;
	}
	if (directory)
		closedir(directory);
	if (refused)
		nova_log(NOVA_LOG_WARNING,
		         "the VM's threads in the kernel (vhost-%d) are left out: only root may "
		         "sample them",
		         pid);
}

static json_t *shares_of(const uint64_t samples[VM_PARTS])
{
	static const char *const names[VM_PARTS] = {"guest",      "vcpu_host", "emulator",
	                                            "io_threads", "vhost",     "other_threads"};
	json_t *shares;
	uint64_t all = 0;

	for (size_t i = 0; i < VM_PARTS; i++)
		all += samples[i];
	if (!all)
		return json_null();
	shares = json_object();
	for (size_t i = 0; i < VM_PARTS; i++) {
		double share = (double)samples[i] / (double)all, low, high;

		nova_stats_share_wilson(share, (double)all, 0.95, &low, &high);
		json_object_set_new(shares, names[i],
		                    json_pack("{sI sf s[ff]}", "samples", (json_int_t)samples[i],
		                              "share", share, "interval", low, high));
	}
	return shares;
}

json_t *vm_status(const struct tally *tally)
{
	return json_pack("{ss? sb so}", "accelerator",
	                 tally->vm.tcg   ? "tcg"
	                 : tally->vm.kvm ? "kvm"
	                                 : NULL,
	                 "vcpus_named", tally->vm.named, "shares", shares_of(tally->vm.samples));
}
