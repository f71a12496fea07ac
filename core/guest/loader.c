/* SPDX-License-Identifier: MIT */
/*
 * Makes the appliance a disk that boots by itself, with BIOS and with UEFI: a GPT, GRUB's two
 * images, and one FAT partition with the kernel that both of them read. Everything is written into
 * a file; nothing is mounted, and nobody need be root.
 *
 * GRUB comes from its packages and lies in the user's image as data. What grub-bios-setup would do
 * on a real disk is done here, because it wants one: three numbers (loader_install).
 */
#include "core/guest/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, BIOS_START = 2048, BIOS_SECTORS = 2048 };
#define MIB        (UINT64_C(1) << 20)
#define BOOT_AT    (2 * MIB)  /* of the disk: where the FAT partition begins */
#define BOOT_MIN   (48 * MIB) /* the least that is FAT32 with one sector a cluster */
#define TABLE_TAIL (1 * MIB)  /* for the second copy of the table, at the end */
#define GRUB       "/usr/lib/grub"
#define ROOT_LABEL "novacore-root"

/*
 * Both consoles: a VM may have either; what comes last is /dev/console. DHCP is the default because
 * nobody can say otherwise where the command line is the disk's.
 */
#define WORDS                                                                                      \
	"console=tty0 console=ttyS0 quiet panic=1 cryptomgr.notests root=PARTLABEL=" ROOT_LABEL    \
	" novacore.net=dhcp"
/* The kernel takes 2048, of which the boot loader adds some. */
enum { COMMAND_LINE_MAX = 1900 };

static const struct {
	const char *file, *what, *package;
} needed[] = {{"/usr/bin/grub-mkimage", "grub-mkimage", "grub-common"},
              {GRUB "/i386-pc/boot.img", "GRUB for BIOS", "grub-pc-bin"},
              {GRUB "/x86_64-efi/moddep.lst", "GRUB for UEFI", "grub-efi-amd64-bin"},
              {"/usr/bin/mformat", "mformat", "mtools"},
              {"/usr/sbin/sfdisk", "sfdisk", "fdisk"},
              {"/usr/bin/qemu-img", "qemu-img", "qemu-utils"}};

int guest_loader_check(struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text what = {0};
	NOVA_AUTOTEXT struct nova_text packages = {0};

	for (size_t i = 0; i < NOVA_COUNT(needed); i++) {
		if (access(needed[i].file, R_OK) == 0)
			continue;
		nova_text_addf(&what, "%s%s", what.length > 0 ? ", " : "", needed[i].what);
		nova_text_addf(&packages, " %s", needed[i].package);
	}
	if (what.length == 0)
		return 0;
	return nova_error_set(error, NOVA_E_UNAVAILABLE,
	                      "cannot make a bootable disk: not installed: %s; run: apt-get "
	                      "install%s",
	                      what.data, packages.data);
}

/* GRUB's own parts are inputs, like the packages of the guest: by the bytes that it is made of. */
int guest_loader_describe(json_t **out, struct nova_error *error)
{
	static const char *const files[] = {
	        GRUB "/i386-pc/boot.img", GRUB "/i386-pc/kernel.img", GRUB "/i386-pc/linux.mod",
	        GRUB "/x86_64-efi/kernel.img", GRUB "/x86_64-efi/linux.mod"};
	json_t *json = json_object();
	char digest[65];

	for (size_t i = 0; i < NOVA_COUNT(files); i++) {
		if (nova_sha256_file(files[i], digest, error) != 0) {
			json_decref(json);
			return error->code;
		}
		json_object_set_new(json, files[i] + strlen(GRUB "/"), json_string(digest));
	}
	*out = json;
	return 0;
}

int guest_loader_command_line(const char *more, char **line, struct nova_error *error)
{
	char *all = nova_format(WORDS "%s%s", more != NULL && *more != '\0' ? " " : "",
	                        more != NULL ? more : "");

	if (strlen(all) <= COMMAND_LINE_MAX) {
		*line = all;
		return 0;
	}
	int failed =
	        nova_error_set(error, NOVA_E_INVALID,
	                       "the command line of the disk would have %zu characters, and "
	                       "%d are possible; give fewer or shorter SSH keys (an ed25519 key "
	                       "has 68)",
	                       strlen(all), COMMAND_LINE_MAX);
	free(all);
	return failed;
}

/* --- the disk's parts ------------------------------------------------------------------------- */

struct disk {
	const struct guest_site *site;
	const struct nova_guest *guest;
	const char *path, *command_line, *id;
	uint64_t bytes, boot_bytes, root_at, root_bytes;
};

static int file_bytes(const char *path, uint64_t *bytes, struct nova_error *error)
{
	struct stat about;

	if (stat(path, &about) != 0)
		return nova_error_errno(error, "cannot read %s", path);
	*bytes += (uint64_t)about.st_size;
	return 0;
}

static int lay_out(struct disk *disk, struct nova_error *error)
{
	uint64_t boot = 0, root = 0;
	int failed = file_bytes(disk->guest->kernel, &boot, error);

	if (failed == 0)
		failed = file_bytes(disk->guest->initrd, &boot, error);
	if (failed == 0)
		failed = file_bytes(disk->guest->image, &root, error);
	if (failed != 0)
		return failed;
	/* the tables of a FAT and GRUB need less than 8 MiB */
	boot = (boot + 8 * MIB) / MIB * MIB + MIB;
	disk->boot_bytes = boot > BOOT_MIN ? boot : BOOT_MIN;
	disk->root_at = BOOT_AT + disk->boot_bytes;
	uint64_t least = disk->root_at + root + TABLE_TAIL;
	if (disk->bytes < least)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "a disk of %llu MiB is too small for the appliance: it needs "
		                      "%llu MiB at least",
		                      (unsigned long long)(disk->bytes / MIB),
		                      (unsigned long long)((least + MIB - 1) / MIB));
	disk->root_bytes = (disk->bytes - TABLE_TAIL - disk->root_at) / MIB * MIB;
	return 0;
}

/* A UUID that is a function of the disk's id, so that the same inputs make the same table. */
static char *uuid(const char *id, unsigned nth)
{
	return nova_format("%.8s-%.4s-4%.3s-8%.3s-%.11s%x", id, id + 8, id + 12, id + 15, id + 18,
	                   nth & 15);
}

static int write_table(const struct disk *disk, struct nova_error *error)
{
	NOVA_AUTOTEXT struct nova_text script = {0};
	NOVA_AUTOFREE char *label = uuid(disk->id, 0);
	NOVA_AUTOFREE char *bios = uuid(disk->id, 1);
	NOVA_AUTOFREE char *boot = uuid(disk->id, 2);
	NOVA_AUTOFREE char *root = uuid(disk->id, 3);
	const char *const argv[] = {"/usr/sbin/sfdisk", "--quiet",  "--no-reread",
	                            "--no-tell-kernel", disk->path, NULL};

	/* types by their GUIDs: BIOS boot, EFI system, Linux root (x86-64) */
	nova_text_addf(&script,
	               "label: gpt\nlabel-id: %s\nunit: sectors\n"
	               "start=%d, size=%d, type=21686148-6449-6E6F-744E-656564454649, uuid=%s, "
	               "name=novacore-bios\n"
	               "start=%llu, size=%llu, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=%s, "
	               "name=novacore-boot\n"
	               "start=%llu, size=%llu, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=%s, "
	               "name=" ROOT_LABEL "\n",
	               label, BIOS_START, BIOS_SECTORS, bios,
	               (unsigned long long)(BOOT_AT / SECTOR),
	               (unsigned long long)(disk->boot_bytes / SECTOR), boot,
	               (unsigned long long)(disk->root_at / SECTOR),
	               (unsigned long long)(disk->root_bytes / SECTOR), root);
	struct nova_child child = {
	        .argv = argv, .input = script.data, .input_bytes = script.length};
	return nova_child_check(&child, NULL, error);
}

static int run_quietly(const struct disk *disk, const char *const *argv, struct nova_error *error)
{
	/* mtools looks at a FAT's geometry and at the user's settings: neither matters here */
	static const char *const env[] = {"MTOOLS_SKIP_CHECK=1", "MTOOLSRC=/dev/null",
	                                  "SOURCE_DATE_EPOCH=1577836800", "LC_ALL=C", NULL};
	struct nova_child_result result = {0};
	int failed = guest_site_check(disk->site, argv, env, &result, error);

	nova_child_result_free(&result);
	return failed;
}

#define RUN(disk, error, ...) run_quietly(disk, (const char *const[]){__VA_ARGS__, NULL}, error)

static int make_grub(const struct disk *disk, struct nova_error *error)
{
	NOVA_AUTOFREE char *settings = nova_format("%s/grub.cfg", disk->site->directory);
	/* without a menu, so that nothing waits; what fails is seen on the screen */
	NOVA_AUTOFREE char *text =
	        nova_format("linux /kernel %s\ninitrd /initrd\nboot\n", disk->command_line);
	int failed = guest_site_file(settings, text, strlen(text), 0644, error);

	/* the partition of the BIOS' own disk; UEFI says which one GRUB was read from */
	if (failed == 0)
		failed = RUN(disk, error, "grub-mkimage", "-O", "i386-pc", "-o", "core.img", "-p",
		             "(,gpt2)/grub", "biosdisk", "part_gpt", "fat", "normal", "linux");
	if (failed == 0)
		failed = RUN(disk, error, "grub-mkimage", "-O", "x86_64-efi", "-o", "bootx64.efi",
		             "-p", "/grub", "part_gpt", "fat", "normal", "linux", "efi_gop");
	return failed;
}

static int fill_boot(const struct disk *disk, struct nova_error *error)
{
	NOVA_AUTOFREE char *at = nova_format("%s@@%llu", disk->path, (unsigned long long)BOOT_AT);
	NOVA_AUTOFREE char *sectors =
	        nova_format("%llu", (unsigned long long)(disk->boot_bytes / SECTOR));
	NOVA_AUTOFREE char *hidden = nova_format("%llu", (unsigned long long)(BOOT_AT / SECTOR));
	NOVA_AUTOFREE char *serial = nova_format("%.8s", disk->id);
	int failed = RUN(disk, error, "mformat", "-i", at, "-F", "-c", "1", "-T", sectors, "-H",
	                 hidden, "-N", serial, "-v", "NOVACORE", "::");

	if (failed == 0)
		failed = RUN(disk, error, "mmd", "-i", at, "::/EFI", "::/EFI/BOOT", "::/grub");
	if (failed == 0)
		failed = RUN(disk, error, "mcopy", "-i", at, "bootx64.efi",
		             "::/EFI/BOOT/BOOTX64.EFI");
	if (failed == 0)
		failed = RUN(disk, error, "mcopy", "-i", at, "grub.cfg", "::/grub/grub.cfg");
	if (failed == 0)
		failed = RUN(disk, error, "mcopy", "-i", at, disk->guest->kernel, "::/kernel");
	if (failed == 0)
		failed = RUN(disk, error, "mcopy", "-i", at, disk->guest->initrd, "::/initrd");
	return failed;
}

static int fill_root(const struct disk *disk, struct nova_error *error)
{
	NOVA_AUTOFREE char *from = nova_format("if=%s", disk->guest->image);
	NOVA_AUTOFREE char *to = nova_format("of=%s", disk->path);
	NOVA_AUTOFREE char *seek =
	        nova_format("seek=%llu", (unsigned long long)(disk->root_at / MIB));

	return RUN(disk, error, "dd", from, to, seek, "bs=1M", "conv=notrunc,sparse",
	           "status=none");
}

static void put_number(unsigned char *at, uint64_t number)
{
	for (int i = 0; i < 8; i++)
		at[i] = (unsigned char)(number >> 8 * i);
}

static int write_at(const char *path, const void *data, size_t bytes, off_t at,
                    struct nova_error *error)
{
	NOVA_AUTOCLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return nova_error_errno(error, "cannot open %s", path);
	for (size_t done = 0; done < bytes;) {
		ssize_t wrote =
		        pwrite(fd, (const char *)data + done, bytes - done, at + (off_t)done);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return nova_error_errno(error, "cannot write %s", path);
		done += (size_t)wrote;
	}
	return 0;
}

/*
 * boot.img goes before the table's first entry in sector 0 and reads one sector, core.img's first,
 * which reads the others by a list at its end. Offsets: GRUB's include/grub/i386/pc/boot.h
 * (KERNEL_SECTOR, DRIVE_CHECK) and include/grub/offsets.h, unchanged since GRUB 1.97.
 */
static int loader_install(const struct disk *disk, struct nova_error *error)
{
	enum { CODE = 440, KERNEL_SECTOR = 0x5c, DRIVE_CHECK = 0x66, FIRST = 0x1f4, COUNT = 0x1fc };
	NOVA_AUTOFREE char *path = nova_format("%s/core.img", disk->site->directory);
	size_t boot_bytes, core_bytes = 0;
	NOVA_AUTOFREE char *boot =
	        nova_file_read(GRUB "/i386-pc/boot.img", 4096, &boot_bytes, error);
	NOVA_AUTOFREE char *core =
	        boot != NULL ? nova_file_read(path, 4 << 20, &core_bytes, error) : NULL;
	unsigned char *first = (unsigned char *)boot, *second = (unsigned char *)core;

	if (core == NULL)
		return error->code;
	size_t sectors = (core_bytes + SECTOR - 1) / SECTOR;
	if (boot_bytes != SECTOR || sectors < 2 || sectors > BIOS_SECTORS ||
	    (size_t)(second[COUNT] | second[COUNT + 1] << 8) != sectors - 1)
		return nova_error_set(error, NOVA_E_UNAVAILABLE,
		                      "cannot make a bootable disk: this GRUB is not laid out as "
		                      "GRUB 2 is; use Debian's grub-pc-bin");
	put_number(first + KERNEL_SECTOR, BIOS_START);
	/* as grub-bios-setup does for hard disks: do not believe a BIOS that says floppy */
	first[DRIVE_CHECK] = first[DRIVE_CHECK + 1] = 0x90;
	put_number(second + FIRST, BIOS_START + 1);
	int failed = write_at(disk->path, boot, CODE, 0, error);
	return failed != 0
	               ? failed
	               : write_at(disk->path, core, core_bytes, (off_t)BIOS_START * SECTOR, error);
}

int guest_loader_disk(const struct guest_site *site, const struct nova_guest *guest, const char *id,
                      const char *command_line, uint64_t bytes, const char *path,
                      struct nova_error *error)
{
	struct disk disk = {.site = site,
	                    .guest = guest,
	                    .path = path,
	                    .command_line = command_line,
	                    .id = id,
	                    .bytes = bytes};
	int failed = lay_out(&disk, error);

	if (failed == 0)
		failed = guest_site_file(path, "", 0, 0644, error);
	if (failed == 0 && truncate(path, (off_t)bytes) != 0)
		failed = nova_error_errno(error, "cannot make %s", path);
	if (failed == 0)
		failed = write_table(&disk, error);
	if (failed == 0)
		failed = make_grub(&disk, error);
	if (failed == 0)
		failed = loader_install(&disk, error);
	if (failed == 0)
		failed = fill_boot(&disk, error);
	return failed != 0 ? failed : fill_root(&disk, error);
}
