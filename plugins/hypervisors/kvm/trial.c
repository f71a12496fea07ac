/* SPDX-License-Identifier: MIT */
/*
 * KVM or emulation? /dev/kvm can open, make a vCPU and still not run a kernel (nested hypervisors
 * that emulate page tables), and then firmware may work where kernels do not. So accel=auto boots a
 * real kernel under KVM, with an initial RAM disk of one 188-byte program that writes a line and
 * resets, and remembers the outcome per QEMU, kernel, CPU model and host kernel.
 */
#include "kvm.h"

#include "xml.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define ALIVE          "novacore user space"
#define ALIVE_FIRMWARE "novacore boot sector"
#define RETRY_S        86400 /* a failure may have been the host's bad day */

/* write(1, "novacore user space\n", 20); reboot(RESTART) */
static const unsigned char program[] = {
        0xb8, 0x01, 0x00, 0x00, 0x00,             /* mov $1,%eax */
        0xbf, 0x01, 0x00, 0x00, 0x00,             /* mov $1,%edi */
        0x48, 0x8d, 0x35, 0x1f, 0x00, 0x00, 0x00, /* lea text(%rip),%rsi */
        0xba, 0x14, 0x00, 0x00, 0x00,             /* mov $20,%edx */
        0x0f, 0x05,                               /* syscall */
        0xb8, 0xa9, 0x00, 0x00, 0x00,             /* mov $169,%eax */
        0xbf, 0xad, 0xde, 0xe1, 0xfe,             /* mov $0xfee1dead,%edi */
        0xbe, 0x69, 0x19, 0x12, 0x28,             /* mov $0x28121969,%esi */
        0xba, 0x67, 0x45, 0x23, 0x01,             /* mov $0x01234567,%edx */
        0x0f, 0x05,                               /* syscall */
        0xeb, 0xfe,                               /* jmp . */
        'n',  'o',  'v',  'a',  'c',  'o',  'r',  'e', ' ', 'u',
        's',  'e',  'r',  ' ',  's',  'p',  'a',  'c', 'e', '\n'};

/* Writes "novacore boot sector\n" to the first serial port, then resets by the keyboard controller.
 */
static const unsigned char sector[] = {0x31, 0xc0,       /* xor %ax,%ax */
                                       0x8e, 0xd8,       /* mov %ax,%ds */
                                       0xbe, 0x18, 0x7c, /* mov $text,%si */
                                       0xac,             /* lodsb */
                                       0x84, 0xc0,       /* test %al,%al */
                                       0x74, 0x06,       /* jz */
                                       0xba, 0xf8, 0x03, /* mov $0x3f8,%dx */
                                       0xee,             /* out %al,%dx */
                                       0xeb, 0xf5,       /* jmp lodsb */
                                       0xb0, 0xfe,       /* mov $0xfe,%al */
                                       0xe6, 0x64,       /* out %al,$0x64 */
                                       0xeb, 0xfe,       /* jmp . */
                                       'n',  'o',  'v',  'a', 'c', 'o', 'r', 'e', ' ', 'b',  'o',
                                       'o',  't',  ' ',  's', 'e', 'c', 't', 'o', 'r', '\n', 0};

/* One record of a newc cpio archive, the format of initial RAM disks (kernel:
 * Documentation/driver-api/early-userspace/buffer-format.rst). */
static void add_record(FILE *out, const char *name, unsigned mode, const void *bytes, size_t count)
{
	static const char zeros[4] = {0};
	size_t name_bytes = strlen(name) + 1;
	fprintf(out, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 1u, mode, 0u, 0u,
	        1u, 0u, (unsigned)count, 0u, 0u, 0u, 0u, (unsigned)name_bytes, 0u);
	fwrite(name, 1, name_bytes, out);
	fwrite(zeros, 1, (4 - (110 + name_bytes) % 4) % 4, out);
	fwrite(bytes, 1, count, out);
	fwrite(zeros, 1, (4 - count % 4) % 4, out);
}

static int write_initrd(FILE *out)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr segment;
		unsigned char code[sizeof(program)];
	} file = {.header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
	                                 ELFDATA2LSB, EV_CURRENT},
	                     .e_type = ET_EXEC,
	                     .e_machine = EM_X86_64,
	                     .e_version = EV_CURRENT,
	                     .e_phoff = sizeof(Elf64_Ehdr),
	                     .e_ehsize = sizeof(Elf64_Ehdr),
	                     .e_phentsize = sizeof(Elf64_Phdr),
	                     .e_phnum = 1},
	          .segment = {.p_type = PT_LOAD,
	                      .p_flags = PF_R | PF_X,
	                      .p_vaddr = 0x400000,
	                      .p_paddr = 0x400000,
	                      .p_align = 0x1000}};
	size_t bytes = sizeof(file.header) + sizeof(file.segment) + sizeof(program);
	file.header.e_entry = 0x400000 + sizeof(file.header) + sizeof(file.segment);
	file.segment.p_filesz = file.segment.p_memsz = bytes;
	memcpy(file.code, program, sizeof(program));
	add_record(out, "init", 0100755, &file, bytes);
	add_record(out, "TRAILER!!!", 0, "", 0);
	return ferror(out) ? -1 : 0;
}

static int write_sector(FILE *out)
{
	unsigned char bytes[512] = {0};
	memcpy(bytes, sector, sizeof(sector));
	bytes[510] = 0x55;
	bytes[511] = 0xaa;
	return fwrite(bytes, 1, sizeof(bytes), out) == sizeof(bytes) ? 0 : -1;
}

/* The newest kernel that this process can read. */
static char *find_kernel(struct kvm *self)
{
	const char *configured = kvm_text(self, "trial_kernel", NULL);
	glob_t found;
	char *best = NULL;
	time_t newest = 0;
	struct stat status;
	if (configured)
		return strdup(configured);
	if (glob("/boot/vmlinuz-*", 0, NULL, &found) != 0)
		return NULL;
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (access(found.gl_pathv[i], R_OK) == 0 && stat(found.gl_pathv[i], &status) == 0 &&
		    (!best || status.st_mtime > newest)) {
			free(best);
			best = strdup(found.gl_pathv[i]);
			newest = status.st_mtime;
		}
	globfree(&found);
	return best;
}

static void cpu_model(char *text, size_t room)
{
	char line[256];
	FILE *file = fopen("/proc/cpuinfo", "re");
	snprintf(text, room, "unknown CPU");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
			snprintf(text, room, "%s", strchr(line, ':') + 2);
			text[strcspn(text, "\n")] = '\0';
			break;
		}
	if (file)
		fclose(file);
}

/* What the outcome depends on. */
static char *make_key(struct kvm *self, const char *kernel)
{
	char cpu[200];
	unsigned long qemu = 0;
	struct stat status = {.st_size = 0};
	struct utsname host;
	virConnectGetVersion(self->connection, &qemu);
	cpu_model(cpu, sizeof(cpu));
	uname(&host);
	if (kernel)
		stat(kernel, &status);
	return kvm_format("%s %lu; %s %lld %lld; %s; Linux %s", kvm_text(self, "emulator", "QEMU"),
	                  qemu, kernel ? kernel : "boot sector", (long long)status.st_size,
	                  (long long)status.st_mtime, cpu, host.release);
}

static char *memory_path(struct kvm *self)
{
	const char *state = self->host->directory(self->instance, NOVA_DIRECTORY_STATE);
	return state ? kvm_format("%s/trial.json", state) : NULL;
}

/* True if the outcome for `key` is known. */
static bool recall(struct kvm *self, const char *key)
{
	char *path = memory_path(self);
	json_t *root = path ? json_load_file(path, 0, NULL) : NULL;
	json_t *entry = json_object_get(root, key);
	const char *why = json_string_value(json_object_get(entry, "why"));
	bool works = json_is_true(json_object_get(entry, "works"));
	json_int_t age =
	        (json_int_t)time(NULL) - json_integer_value(json_object_get(entry, "when"));
	bool known = why && (works || (age >= 0 && age < RETRY_S));
	if (known) {
		self->accelerated = works;
		self->accel_why = kvm_format("%s (remembered)", why);
	}
	json_decref(root);
	free(path);
	return known && self->accel_why;
}

/* A lost memory costs another trial, no more: failures to write are ignored. */
static void remember(struct kvm *self, const char *key)
{
	char *path = memory_path(self);
	char *fresh = path ? kvm_format("%s.%d", path, (int)getpid()) : NULL;
	json_t *root = path ? json_load_file(path, 0, NULL) : NULL;
	if (!json_is_object(root)) {
		json_decref(root);
		root = json_object();
	}
	json_object_set_new(root, key,
	                    json_pack("{s:b, s:s, s:I}", "works", self->accelerated, "why",
	                              self->accel_why, "when", (json_int_t)time(NULL)));
	if (fresh && (json_dump_file(root, fresh, JSON_INDENT(1)) != 0 || rename(fresh, path) != 0))
		unlink(fresh);
	json_decref(root);
	free(fresh);
	free(path);
}

struct heard {
	struct kvm *self;
	char text[65536]; /* a kernel that talks until it panics fits */
	size_t count;
	char last[256]; /* of QEMU's own words */
	int64_t alive_ns;
	const char *sign;
};

static void hear(void *context, uint32_t field, const void *bytes, uint64_t count)
{
	struct heard *heard = context;
	size_t room = sizeof(heard->text) - 1 - heard->count;
	size_t take = count < room ? (size_t)count : room;
	if (field == NOVA_FIELD_STDERR) {
		size_t length =
		        count < sizeof(heard->last) - 1 ? (size_t)count : sizeof(heard->last) - 1;
		memcpy(heard->last, bytes, length);
		heard->last[length] = '\0';
		heard->last[strcspn(heard->last, "\n")] = '\0';
		return;
	}
	memcpy(heard->text + heard->count, bytes, take);
	heard->count += take;
	heard->text[heard->count] = '\0';
	if (!heard->alive_ns && strstr(heard->text, heard->sign))
		heard->alive_ns = heard->self->host->now_ns();
}

/* Writes what the trial boots; it is read by QEMU's user. */
static char *write_payload(struct kvm *self, nova_op op, bool kernel)
{
	char *path = kvm_format("%s/trial.%s", self->run, kernel ? "initrd" : "sector");
	FILE *file = path ? fopen(path, "we") : NULL;
	int failed = !file || (kernel ? write_initrd(file) : write_sector(file)) != 0;
	if (file && fclose(file) != 0)
		failed = 1;
	if (!failed && chmod(path, 0644) == 0)
		return path;
	self->host->errorf(op, errno == ENOSPC ? NOVA_E_FULL : NOVA_E_IO, "cannot write %s: %s",
	                   path ? path : "the trial's files", strerror(errno));
	free(path);
	return NULL;
}

/* QEMU without libvirt: no VM of ours has a name yet. As root it runs as libvirt's user would. */
static int boot(struct kvm *self, nova_op op, const char *kernel, const char *payload,
                const char *cpu, int64_t patience_ns, struct heard *heard, int32_t *code)
{
	char seconds[32], uid[32], gid[32];
	const char *argv[48];
	int n = 0;
	snprintf(seconds, sizeof(seconds), "%.1f", (double)patience_ns / 1e9);
	snprintf(uid, sizeof(uid), "--reuid=%u", (unsigned)self->qemu_uid);
	snprintf(gid, sizeof(gid), "--regid=%u", (unsigned)self->qemu_gid);
	const char *const front[] = {"timeout", "-s", "KILL", seconds, NULL};
	const char *const drop[] = {"setpriv", uid, gid, "--init-groups", NULL};
	const char *const qemu[] = {kvm_text(self, "emulator", "qemu-system-x86_64"),
	                            "-accel",
	                            "kvm",
	                            "-cpu",
	                            cpu,
	                            "-m",
	                            "256",
	                            "-nodefaults",
	                            "-no-user-config",
	                            "-display",
	                            "none",
	                            "-serial",
	                            "stdio",
	                            "-no-reboot",
	                            NULL};
	const char *const direct[] = {"-kernel", kernel,
	                              "-initrd", payload,
	                              "-append", "console=ttyS0 panic=-1 reboot=t loglevel=4",
	                              NULL};
	char *drive = kvm_format("file=%s,format=raw,if=floppy,readonly=on", payload);
	const char *const firmware[] = {"-drive", drive, NULL};
	const char *const *const parts[] = {front, self->privileged ? drop : NULL, qemu,
	                                    kernel ? direct : firmware};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		for (const char *const *part = parts[i]; part && *part; part++)
			argv[n++] = *part;
	argv[n] = NULL;
	const struct nova_exec exec = {.struct_size = sizeof(exec), .argv = argv};
	int status = self->host->process(op, &exec, hear, heard, code);
	free(drive);
	return status;
}

/* Fills accelerated and accel_why. */
static int try_boot(struct kvm *self, nova_op op, const char *kernel)
{
	int64_t patience = kvm_number(self, "trial_timeout", 10 * KVM_SECOND);
	int64_t start = self->host->now_ns(),
	        left = self->host->deadline_ns(op) - start - KVM_SECOND;
	const char *what = kernel ? kernel : "a boot sector";
	const char *const cpus[] = {"host", "host,arch-capabilities=off"};
	struct heard *heard = calloc(1, sizeof(*heard));
	char *payload = write_payload(self, op, kernel != NULL);
	int32_t code = 0;
	int status = NOVA_DONE;
	if (!payload || !heard) {
		status = NOVA_E_IO;
		goto done;
	}
	if (patience > left)
		patience = left > KVM_SECOND ? left : KVM_SECOND;
	heard->self = self;
	heard->sign = kernel ? ALIVE : ALIVE_FIRMWARE;
	/* QEMU may refuse a nested host's CPU at once; without one feature it may take it. */
	for (int i = 0; i < 2 && status == NOVA_DONE && !heard->alive_ns; i++) {
		heard->count = 0;
		start = self->host->now_ns();
		status = boot(self, op, kernel, payload, cpus[i], patience, heard, &code);
		if (self->host->now_ns() - start > KVM_SECOND)
			break; /* it ran, so the CPU was taken */
	}
	if (status != NOVA_DONE)
		goto done;
	self->accelerated = heard->alive_ns != 0;
	double took =
	        (double)((heard->alive_ns ? heard->alive_ns : self->host->now_ns()) - start) / 1e9;
	if (heard->alive_ns && kernel)
		self->accel_why =
		        kvm_format("%s reached user space under KVM in %.1f s", what, took);
	else if (heard->alive_ns)
		self->accel_why = kvm_format("%s ran under KVM in %.1f s; no kernel could be read "
		                             "for a better trial (see trial_kernel)",
		                             what, took);
	else
		self->accel_why =
		        kvm_format("/dev/kvm is there, but %s did not %s under KVM within "
		                   "%.1f s%s%s",
		                   what, kernel ? "reach user space" : "run", took,
		                   *heard->last ? "; QEMU says: " : "", heard->last);
done:
	if (payload)
		unlink(payload);
	free(payload);
	free(heard);
	if (status == NOVA_DONE && !self->accel_why)
		status = self->host->error(op, NOVA_E_MEMORY, "out of memory");
	return status;
}

/* Does the libvirt at the other end say that it has KVM? */
static bool offered(struct kvm *self)
{
	char *text = virConnectGetCapabilities(self->connection);
	xmlDocPtr doc = text ? kvm_xml_parse(text) : NULL;
	char *found = doc ? kvm_xml_find(doc, "/capabilities/guest/arch[@name='x86_64']/"
	                                      "domain[@type='kvm']/@type")
	                  : NULL;
	bool yes = found != NULL;
	free(found);
	xmlFreeDoc(doc);
	free(text);
	return yes;
}

static int decide(struct kvm *self, nova_op op, bool accelerated, const char *why)
{
	self->accelerated = accelerated;
	self->accel_why = strdup(why);
	return self->accel_why ? NOVA_DONE : self->host->error(op, NOVA_E_MEMORY, "out of memory");
}

/*
 * As root libvirt lets QEMU pass every permission check while it asks what it can do, and then
 * finds that QEMU's user may not open /dev/kvm after all, so that it asks again at every call: 2 s
 * each. An emulator that never mentions KVM to it ends that.
 */
int kvm_hide_kvm(struct kvm *self, nova_op op)
{
	static const char script[] =
	        "#!/bin/sh\n"
	        "# Written by novacore: QEMU without KVM, which QEMU's user may not use here.\n"
	        "for a; do\n"
	        "\tshift\n"
	        "\t[ \"$a\" = none,accel=kvm:tcg ] && a=none,accel=tcg\n"
	        "\tset -- \"$@\" \"$a\"\n"
	        "done\n"
	        "exec qemu-system-x86_64 \"$@\"\n";
	char *path = kvm_format("%s/qemu-system-x86_64", self->root);
	FILE *file = NULL;
	int status = NOVA_DONE;
	if (!path)
		return self->host->error(op, NOVA_E_MEMORY, "out of memory");
	if (access(path, X_OK) != 0) { /* libvirt asks anew when it changes */
		file = fopen(path, "we");
		if (!file || fputs(script, file) < 0 || fchmod(fileno(file), 0755) != 0)
			status = self->host->errorf(op, NOVA_E_IO, "cannot write %s: %s", path,
			                            strerror(errno));
		if (file && fclose(file) != 0 && status == NOVA_DONE)
			status = self->host->errorf(op, NOVA_E_IO, "cannot write %s: %s", path,
			                            strerror(errno));
	}
	self->emulator = path;
	return status;
}

static int forbidden(struct kvm *self, nova_op op, const char *accel)
{
	const char *fix =
	        self->privileged ? "/dev/kvm is there, but the user that QEMU runs as may not open "
	                           "it: chgrp kvm /dev/kvm"
	                         : "/dev/kvm is there, but you may not open it: join its group "
	                           "(usually: adduser $USER kvm) and log in again";
	if (strcmp(accel, "kvm") == 0)
		return self->host->errorf(op, NOVA_E_PERMISSION, "accel=kvm is configured; %s",
		                          fix);
	int status = decide(self, op, false, strcmp(accel, "tcg") == 0 ? "configured" : fix);
	if (status == NOVA_DONE && self->embedded && self->privileged)
		status = kvm_hide_kvm(self, op);
	return status;
}

static int choose(struct kvm *self, nova_op op, const char *accel)
{
	if ((self->embedded || self->daemon) && access("/dev/kvm", F_OK) == 0 &&
	    !kvm_access_device(self))
		return forbidden(self, op, accel);
	if (strcmp(accel, "tcg") == 0)
		return decide(self, op, false, "configured");
	bool has = offered(self);
	if (strcmp(accel, "kvm") == 0)
		return has ? decide(self, op, true, "configured")
		           : self->host->error(
		                     op, NOVA_E_UNAVAILABLE,
		                     "accel=kvm is configured, but libvirt finds no usable "
		                     "/dev/kvm: enable virtualisation (or nesting), or use "
		                     "accel=tcg");
	if (!has)
		return decide(self, op, false,
		              self->local && access("/dev/kvm", F_OK) != 0
		                      ? "there is no /dev/kvm"
		                      : "libvirt offers no KVM");
	if (!self->local)
		return decide(self, op, true,
		              "offered by libvirt there; no trial boot on another host");
	char *kernel = find_kernel(self), *key = make_key(self, kernel);
	int status = NOVA_DONE;
	if (!key || !recall(self, key)) {
		status = try_boot(self, op, kernel);
		if (status == NOVA_DONE && key)
			remember(self, key);
	}
	free(kernel);
	free(key);
	return status;
}

int kvm_accelerator(struct kvm *self, nova_op op)
{
	const char *emulator;
	char *text;
	int status = choose(self, op, kvm_text(self, "accel", "auto"));
	if (status != NOVA_DONE)
		return status;
	/* libvirt asks QEMU what it can do when it first needs to know: better now than in a
	 * measurement. */
	emulator = kvm_text(self, "emulator", self->emulator);
	text = virConnectGetDomainCapabilities(self->connection, emulator, "x86_64",
	                                       kvm_text(self, "machine", "q35"),
	                                       self->accelerated ? "kvm" : "qemu", 0);
	if (!text)
		return kvm_fail(self, op, "ask what QEMU can do at", self->uri);
	free(text);
	return NOVA_DONE;
}
