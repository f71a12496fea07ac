/* SPDX-License-Identifier: MIT */
/*
 * kvm_guest user|kernel -name NAME: a VM by /dev/kvm whose guest is known to the instruction. Its
 * only vCPU, in 64-bit mode, is in one loop for three quarters of the time and in another for one,
 * as a program of the guest or as its kernel. To who looks from outside it is a QEMU: start it by a
 * name that begins so.
 *
 * When the vCPU has run through both, standard output has what the guest would have in
 * /proc/PID/maps, and what in /proc/kallsyms. Exit status 77 and a reason: there is no KVM here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The guest's memory, all of it at its own address: code, a counter, tables of pages. */
#define MEMORY_BYTES 0x200000u
#define CODE         0x1000u
#define COUNTER      0x3000u /* as in the loops */
#define TABLES       0x10000u

/* A page of this program, so that its symbols are the guest's program's. */
__asm__(".pushsection .text.guest, \"ax\", @progbits\n"
        ".balign 4096\n"
        ".globl three_quarters\n"
        ".type three_quarters, @function\n"
        "three_quarters:\n"
        "	mov $300000, %ecx\n"
        "1:	dec %ecx\n"
        "	jnz 1b\n"
        "	jmp one_quarter\n"
        ".size three_quarters, . - three_quarters\n"
        ".balign 64\n" /* so that both lie alike */
        ".globl one_quarter\n"
        ".type one_quarter, @function\n"
        "one_quarter:\n"
        "	mov $100000, %ecx\n"
        "1:	dec %ecx\n"
        "	jnz 1b\n"
        "	incl 0x3000\n"
        "	jmp three_quarters\n"
        ".size one_quarter, . - one_quarter\n"
        ".balign 4096\n"
        ".popsection\n");
extern const char three_quarters[], one_quarter[];

static int vcpu;

static void skip(const char *what)
{
	printf("no KVM that runs a guest here: %s: %s\n", what, strerror(errno));
	exit(77);
}

static void *run(void *page)
{
	const struct kvm_run *state = page;
	int result;

	prctl(PR_SET_NAME, "CPU 0/KVM");
	while ((result = ioctl(vcpu, KVM_RUN, 0)) != 0 && errno == EINTR)
		;
	printf("no KVM that runs a guest here: it left its loops: %d, reason %u\n", result,
	       state->exit_reason);
	exit(77);
}

static void *be_a_device(void *nothing)
{
	prctl(PR_SET_NAME, "IO iothread1");
	for (volatile unsigned spent = 0;; usleep(2000))
		for (unsigned i = 0; i < 1000000; i++)
			spent += i;
	return nothing;
}

/* One page of 2 MiB at 0, for the guest's kernel and its programs. */
static void put_tables(unsigned char *memory)
{
	uint64_t *tables = (uint64_t *)(void *)(memory + TABLES);

	tables[0] = (TABLES + 0x1000) | 7; /* present, writable, user */
	tables[512] = (TABLES + 0x2000) | 7;
	tables[1024] = 0x80 | 7; /* large */
}

static void set_registers(unsigned char privilege)
{
	struct kvm_segment code = {.limit = ~0u,
	                           .selector = privilege ? 0x33 : 0x10,
	                           .type = 11, /* executable, readable, accessed */
	                           .present = 1,
	                           .dpl = privilege,
	                           .s = 1,
	                           .l = 1,
	                           .g = 1};
	struct kvm_segment data = code;
	struct kvm_sregs special;
	struct kvm_regs registers = {.rip = CODE, .rsp = 0x8000, .rflags = 2};

	data.selector = privilege ? 0x2b : 0x18;
	data.type = 3;
	data.l = 0;
	data.db = 1;
	if (ioctl(vcpu, KVM_GET_SREGS, &special))
		skip("KVM_GET_SREGS");
	special.cs = code;
	special.ds = special.es = special.ss = special.fs = special.gs = data;
	special.cr0 = 0x80010033; /* protected mode with pages */
	special.cr3 = TABLES;
	special.cr4 = 0x20;   /* physical addresses of 64 bits */
	special.efer = 0xd01; /* long mode, which is active; no-execute; syscall */
	if (ioctl(vcpu, KVM_SET_SREGS, &special) || ioctl(vcpu, KVM_SET_REGS, &registers))
		skip("the vCPU's registers");
}

/* The vCPU is to have what this KVM can: it lets nobody into modes that a CPU does not have. */
static void set_features(int kvm)
{
	enum { ENTRIES = 256 };
	struct kvm_cpuid2 *features =
	        calloc(1, sizeof(*features) + ENTRIES * sizeof(struct kvm_cpuid_entry2));

	if (!features)
		exit(1);
	features->nent = ENTRIES;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, features) || ioctl(vcpu, KVM_SET_CPUID2, features))
		skip("the vCPU's features");
	free(features);
}

static void *make_vcpu(int kvm, unsigned char *memory, unsigned char privilege)
{
	struct kvm_userspace_memory_region region = {.memory_size = MEMORY_BYTES,
	                                             .userspace_addr = (uintptr_t)memory};
	int vm = ioctl(kvm, KVM_CREATE_VM, 0), page_bytes;
	void *page;

	if (vm < 0)
		skip("KVM_CREATE_VM");
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		skip("KVM_SET_USER_MEMORY_REGION");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	page_bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu < 0 || page_bytes <= 0)
		skip("KVM_CREATE_VCPU");
	page = mmap(NULL, (size_t)page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (page == MAP_FAILED)
		skip("the vCPU's page");
	set_features(kvm);
	set_registers(privilege);
	return page;
}

/* Where the page with the loops is in this program's file. */
static unsigned long place_in_file(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end, offset, at = (uintptr_t)three_quarters;
	char line[8192];

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && at >= start &&
		    at < end) {
			fclose(maps);
			return at - start + offset;
		}
	exit(1);
}

int main(int argc, char **argv)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	unsigned char *memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,
	                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const volatile uint32_t *counter = (const volatile void *)(memory + COUNTER);
	pthread_t threads[2];
	void *page;

	if (argc < 2 || memory == MAP_FAILED)
		return 1;
	if (kvm < 0)
		skip("/dev/kvm");
	memcpy(memory + CODE, three_quarters, 4096);
	put_tables(memory);
	page = make_vcpu(kvm, memory, strcmp(argv[1], "user") ? 0 : 3);
	if (pthread_create(&threads[0], NULL, run, page) ||
	    pthread_create(&threads[1], NULL, be_a_device, NULL))
		return 1;
	/* a KVM that cannot may stay in the guest for ever, and come to no instruction */
	for (int i = 0; i < 200 && *counter == 0; i++)
		usleep(100000);
	if (*counter == 0) {
		puts("no KVM that runs a guest here: its vCPU comes nowhere");
		return 77;
	}
	printf("%08x-%08x r-xp %08lx 08:01 1 /bin/guest\n", CODE, CODE + 0x1000, place_in_file());
	printf("%016x T three_quarters\n%016x T one_quarter\n", CODE,
	       CODE + (unsigned)(one_quarter - three_quarters));
	fflush(stdout);
	pthread_join(threads[0], NULL);
	return 1;
}
