/* SPDX-License-Identifier: MIT */
/* Names of the kernel's modules, programs and vDSO; what is read of files that may be anything. */
#include "core/profiler/record.h"

#include <fcntl.h>
#include <gelf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct nova_value_type type = {"samples", "count"};

static bool section_of(int fd, const char *name, uint64_t *at, uint64_t *bytes)
{
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	Elf_Scn *section = NULL;
	bool found = false;
	size_t names;

	assert_non_null(elf);
	assert_int_equal(elf_getshdrstrndx(elf, &names), 0);
	while (!found && (section = elf_nextscn(elf, section))) {
		GElf_Shdr head;

		assert_non_null(gelf_getshdr(section, &head));
		found = head.sh_type != SHT_NOBITS &&
		        strcmp(elf_strptr(elf, names, head.sh_name), name) == 0;
		*at = head.sh_offset;
		*bytes = head.sh_size;
	}
	elf_end(elf);
	return found;
}

/* --- the kernel -------------------------------------------------------------------------------
 */

struct named {
	uint64_t at;
	const char *name, *library; /* NULL: it has none */
};

static void names_are(struct recording *recording, FILE *kallsyms, const struct named *wanted,
                      uint32_t count)
{
	struct object object = {.kind = OBJECT_KERNEL, .path = (char[]){"[kernel]"}};
	struct address addresses[16] = {0};
	uint32_t numbers[16];

	for (uint32_t i = 0; i < count; i++) {
		addresses[i].offset = wanted[i].at;
		numbers[i] = i;
	}
	recording->addresses = addresses;
	recording->texts = nova_stacks_new(&type, 1);
	symbols_of_kernel(&(struct address_run){recording, &object, numbers, count}, kallsyms);
	for (uint32_t i = 0; i < count; i++) {
		const struct nova_frame *frame =
		        &recording->texts->frames[recording->names[addresses[i].first]];

		assert_int_equal(addresses[i].count, wanted[i].name ? 1 : 0);
		if (!wanted[i].name)
			continue;
		assert_string_equal(frame->name, wanted[i].name);
		assert_string_equal(frame->library, wanted[i].library);
		assert_int_equal(frame->flags, NOVA_FRAME_KERNEL);
	}
	nova_stacks_free(recording->texts);
	free(recording->names);
}

static void modules_and_programs_of_the_kernel_are_its_libraries(void **state)
{
	static const char kallsyms[] = "ffffffff81000000 T _stext\n"
	                               "ffffffff81001000 t do_work\n"
	                               "ffffffff8220bb08 T _etext\n"
	                               "ffffffffc0000000 t nf_hash\t[nf_conntrack]\n"
	                               "ffffffffc0000100 t nf_find\t[nf_conntrack]\n"
	                               "ffffffffc0100000 t bpf_prog_9b92522e365f8863\t[bpf]\n"
	                               "ffffffffc0201000 t kvm_run\t[kvm]\n";
	static const struct named wanted[] = {
	        {0xffffffff81001004, "do_work", "[kernel]"},
	        {0xffffffffc0000004, "nf_hash", "[nf_conntrack]"},
	        {0xffffffffc00001f0, "nf_find", "[nf_conntrack]"},
	        {0xffffffffc0080000, NULL, NULL}, /* behind the module */
	        {0xffffffffc0100010, "bpf_prog_9b92522e365f8863", "[bpf]"},
	        {0xffffffffc0110010, "bpf_prog_77", "[bpf]"}, /* it was there for a while only */
	        {0xffffffffc0110040, NULL, NULL},
	        {0xffffffffc0201800, "kvm_run", "[kvm]"},
	        {0xffffffffd0000000, NULL, NULL}};
	struct ksymbol made = {0xffffffffc0110000, 0x40, "bpf_prog_77"};
	struct recording recording = {.ksymbols = &made, .ksymbol_count = 1};
	FILE *file = fmemopen((void *)(uintptr_t)kallsyms, sizeof(kallsyms) - 1, "r");

	(void)state;
	names_are(&recording, file, wanted, NOVA_COUNT(wanted));
	fclose(file);
}

/* Where the vDSO has a function of that name; it is linked to 0, so addresses are offsets. */
static uint64_t vdso_function(const char *name)
{
	int fd = object_vdso();
	Elf *elf = elf_version(EV_CURRENT) ? elf_begin(fd, ELF_C_READ, NULL) : NULL;
	Elf_Scn *section = NULL;
	uint64_t found = 0;

	assert_non_null(elf);
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr head;
		GElf_Sym symbol;
		Elf_Data *data = elf_getdata(section, NULL);

		if (!gelf_getshdr(section, &head) || head.sh_type != SHT_DYNSYM)
			continue;
		for (int i = 0; gelf_getsym(data, i, &symbol); i++)
			if (strcmp(elf_strptr(elf, head.sh_link, symbol.st_name), name) == 0)
				found = symbol.st_value;
	}
	elf_end(elf);
	close(fd);
	return found;
}

static void functions_of_the_vdso_have_names(void **state)
{
	struct object object = {.kind = OBJECT_VDSO, .path = (char[]){"[vdso]"}, .fd = -1};
	struct address address = {0};
	struct recording recording = {
	        .objects = &object, .object_count = 1, .addresses = &address, .address_count = 1};

	(void)state;
	if (!getauxval(AT_SYSINFO_EHDR)) {
		print_message("valgrind hides the vDSO\n");
		return;
	}
	address.offset = vdso_function("__vdso_gettimeofday") + 1;
	assert_true(address.offset > 1);
	recording.texts = nova_stacks_new(&type, 1);
	assert_int_equal(recording_symbolise(&recording, NULL, NULL), 0);
	assert_int_equal(address.count, 1);
	assert_non_null(strstr(recording.texts->frames[recording.names[0]].name, "gettimeofday"));
	nova_stacks_free(recording.texts);
	free(recording.names);
}

/* --- what could not be named ------------------------------------------------------------------ */

static void what_has_no_name_is_told_by_the_recording(void **state)
{
	char path[] = "/tmp/nct-names-XXXXXX";
	struct writer writer = {.fd = -1};
	struct recording recording;
	struct nova_stacks *stacks;
	struct source source;
	NOVA_AUTOJSON json_t *about = json_object();
	int fd = mkstemp(path);
	bool told = false;

	(void)state;
	close(fd);
	unlink(path);
	assert_int_equal(writer_open(&writer, path, NULL), 0);
	writer_json(&writer, CHUNK_ABOUT, about);
	writer_begin(&writer, CHUNK_OBJECTS);
	writer_number(&writer, OBJECT_FILE);
	writer_number(&writer, 0);
	writer_text(&writer, "12345678901234567890", BUILD_ID_BYTES);
	writer_text(&writer, "/nowhere/program", 16);
	writer_end(&writer);
	writer_begin(&writer, CHUNK_STACKS);
	writer_number(&writer, 1);
	writer_number(&writer, 0);
	writer_number(&writer, 0x1000);
	writer_end(&writer);
	assert_int_equal(writer_close(&writer, NULL), 0);
	recording_add_names(path, NULL, 0, 0);
	assert_int_equal(source_open(&source, path, NULL), 0);
	assert_int_equal(recording_load(&source, 0, &recording, NULL), 0);
	source_close(&source);
	assert_true(recording.objects[0].named);
	stacks = recording_stacks(&recording);
	for (uint32_t i = 0; i < stacks->note_count; i++)
		told = told || strstr(stacks->notes[i], "/nowhere/program have no names: the file "
		                                        "is not here any more");
	assert_true(told);
	nova_stacks_free(stacks);
	recording_free(&recording);
	unlink(path);
}

/* --- what was found earlier -------------------------------------------------------------------
 */

#define PLACES 4000u

static char own_path[] = "/proc/self/exe";

struct fixture {
	struct object object;
	struct address addresses[PLACES];
	struct recording recording;
};

/* Of this program: every `step`th place of its code, from `first` on. */
static void find_names(struct fixture *fixture, uint32_t first, uint32_t step, bool cached)
{
	uint64_t at = 0, bytes = 0;

	memset(fixture, 0, sizeof(*fixture));
	fixture->object = (struct object){.kind = OBJECT_FILE,
	                                  .path = own_path,
	                                  .fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
	assert_true(fixture->object.fd >= 0);
	fixture->object.build_id_bytes =
	        (uint8_t)object_build_id(fixture->object.fd, fixture->object.build_id);
	assert_true(section_of(fixture->object.fd, ".text", &at, &bytes));
	fixture->recording.objects = &fixture->object;
	fixture->recording.object_count = 1;
	fixture->recording.addresses = fixture->addresses;
	fixture->recording.cached = cached;
	for (uint32_t i = first; i < PLACES; i += step)
		fixture->addresses[fixture->recording.address_count++].offset =
		        at + bytes * i / PLACES;
	fixture->recording.texts = nova_stacks_new(&type, 1);
	assert_int_equal(recording_symbolise(&fixture->recording, NULL, NULL), 0);
}

static void free_names(struct fixture *fixture)
{
	close(fixture->object.fd);
	nova_stacks_free(fixture->recording.texts);
	free(fixture->recording.names);
}

static void names_are_the_same(const struct fixture *a, const struct fixture *b)
{
	const struct recording *x = &a->recording, *y = &b->recording;

	assert_int_equal(x->address_count, y->address_count);
	for (uint32_t i = 0; i < x->address_count; i++) {
		const struct address *one = &x->addresses[i], *other = &y->addresses[i];

		assert_int_equal(one->count, other->count);
		for (uint32_t j = 0; j < one->count; j++) {
			const struct nova_frame *f = &x->texts->frames[x->names[one->first + j]];
			const struct nova_frame *g = &y->texts->frames[y->names[other->first + j]];

			assert_string_equal(f->name, g->name);
			assert_string_equal(f->library, g->library);
			assert_string_equal(f->file, g->file);
			assert_int_equal(f->flags, g->flags);
		}
	}
}

static struct fixture plain, cached;
static char home[] = "/tmp/nct-cache-XXXXXX";
static char *kept; /* the file that is made */

static void what_was_found_once_is_found_again(void **state)
{
	char id[2 * BUILD_ID_BYTES + 1] = "";
	struct stat is;

	(void)state;
	find_names(&plain, 0, 2, false);
	for (uint32_t i = 0; i < plain.object.build_id_bytes; i++)
		snprintf(id + 2 * (size_t)i, 3, "%02x", plain.object.build_id[i]);
	kept = nova_format("%s/cache/names/%s", home, id);
	assert_int_equal(stat(kept, &is), -1);
	find_names(&cached, 0, 2, true);
	names_are_the_same(&plain, &cached);
	free_names(&cached);
	assert_int_equal(stat(kept, &is), 0);
	assert_int_equal(is.st_mode & 0777, 0600);
	find_names(&cached, 0, 2, true);
	names_are_the_same(&plain, &cached);
	free_names(&cached);
	free_names(&plain);
	/* other places, most of which are in the same ranges */
	find_names(&plain, 0, 1, false);
	find_names(&cached, 0, 1, true);
	names_are_the_same(&plain, &cached);
	free_names(&cached);
	/* now nothing is read of the file: it need not even be it */
	find_names(&cached, 0, 1, true);
	names_are_the_same(&plain, &cached);
	cached.object.kind = OBJECT_FILE;
	cached.object.named = false;
	close(cached.object.fd);
	cached.object.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (uint32_t i = 0; i < cached.recording.address_count; i++)
		cached.addresses[i].count = 0;
	assert_int_equal(recording_symbolise(&cached.recording, NULL, NULL), 0);
	assert_int_equal(cached.recording.texts->note_count, 0);
	names_are_the_same(&plain, &cached);
	free_names(&cached);
	free_names(&plain);
}

static void what_is_broken_or_of_others_is_not_taken(void **state)
{
	NOVA_AUTOFREE char *directory = nova_format("%s/cache/names", home);
	size_t bytes;
	char *data = nova_file_read(kept, 16 << 20, &bytes, NULL);
	struct stat is;

	(void)state;
	assert_non_null(data);
	find_names(&plain, 0, 3, false);
	for (size_t cut = 0; cut < 3; cut++) {
		data[bytes / 2] ^= 1;
		assert_int_equal(nova_file_write(kept, data, bytes >> cut, 0600, NULL), 0);
		find_names(&cached, 0, 3, true);
		names_are_the_same(&plain, &cached);
		free_names(&cached);
		free(data);
		data = nova_file_read(kept, 16 << 20, &bytes, NULL); /* written anew */
	}
	assert_int_equal(unlink(kept), 0);
	assert_int_equal(symlink("/dev/zero", kept), 0);
	find_names(&cached, 0, 3, true);
	names_are_the_same(&plain, &cached);
	free_names(&cached);
	assert_int_equal(lstat(kept, &is), 0);
	assert_true(S_ISREG(is.st_mode)); /* in place of the link */
	assert_int_equal(unlink(kept), 0);
	assert_int_equal(chmod(directory, 0777), 0);
	find_names(&cached, 0, 3, true);
	names_are_the_same(&plain, &cached);
	free_names(&cached);
	assert_int_equal(stat(kept, &is), -1);
	assert_int_equal(chmod(directory, 0700), 0);
	free_names(&plain);
	free(data);
}

static void what_was_used_longest_ago_makes_room(void **state)
{
	NOVA_AUTOFREE char *old = nova_format("%s/cache/names/00", home);
	NOVA_AUTOFREE char *older = nova_format("%s/cache/names/01", home);
	const char *const files[] = {old, older};
	struct stat is;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct timespec when[2] = {{1000 - (time_t)i, 0}, {1000 - (time_t)i, 0}};
		int fd = open(files[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, 80 << 20), 0);
		assert_int_equal(futimens(fd, when), 0);
		close(fd);
	}
	find_names(&cached, 0, 5, true);
	free_names(&cached);
	assert_int_equal(stat(kept, &is), 0);
	assert_int_equal(stat(old, &is), 0);
	assert_int_equal(stat(older, &is), -1);
}

static int make_home(void **state)
{
	(void)state;
	return mkdtemp(home) ? setenv("NOVACORE_HOME", home, 1) : -1;
}

static int remove_home(void **state)
{
	(void)state;
	free(kept);
	return nova_directory_remove(home, NULL);
}

/* --- frames -----------------------------------------------------------------------------------
 */

static void only_what_unwinding_needs_is_copied(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint64_t at, bytes, copied;
	NOVA_AUTOFREE char *one = NULL, *other = NULL;
	struct stat is;
	int copy;

	(void)state;
	assert_true(fd >= 0);
	elf_version(EV_CURRENT);
	assert_true(section_of(fd, ".eh_frame", &at, &bytes));
	copy = frames_copy(fd, &copied);
	assert_true(copy >= 0);
	one = nova_alloc(bytes);
	other = nova_alloc(bytes);
	assert_int_equal(pread(fd, one, bytes, (off_t)at), bytes);
	assert_int_equal(pread(copy, other, bytes, (off_t)at), bytes);
	assert_memory_equal(one, other, bytes);
	assert_true(section_of(copy, ".eh_frame", &at, &bytes));
	assert_false(section_of(copy, ".text", &at, &bytes));
	assert_int_equal(fstat(copy, &is), 0);
	assert_true((uint64_t)is.st_blocks * 512 < copied + 16 * 4096);
	close(copy);
	close(fd);
}

static void frames_of_what_is_no_program_are_none(void **state)
{
	int whole = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int file = memfd_create("piece", MFD_CLOEXEC);
	NOVA_AUTOFREE char *data = nova_alloc(1 << 20);
	uint64_t at, bytes, copied;
	Elf64_Ehdr head = {0};

	(void)state;
	assert_true(section_of(whole, ".eh_frame", &at, &bytes));
	/* nothing; then its beginning only, whose tables are behind the end */
	assert_int_equal(frames_copy(file, &copied), -1);
	assert_int_equal(pread(whole, data, 4096, 0), 4096);
	assert_int_equal(pwrite(file, data, 4096, 0), 4096);
	assert_int_equal(frames_copy(file, &copied), -1);
	/* counts that are not true */
	memcpy(&head, data, sizeof(head));
	head.e_shnum = 0xfeff;
	head.e_phnum = 0xffff;
	assert_int_equal(pwrite(file, &head, sizeof(head), 0), sizeof(head));
	assert_int_equal(frames_copy(file, &copied), -1);
	close(file);
	close(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(modules_and_programs_of_the_kernel_are_its_libraries),
	        cmocka_unit_test(functions_of_the_vdso_have_names),
	        cmocka_unit_test(what_has_no_name_is_told_by_the_recording),
	        cmocka_unit_test(what_was_found_once_is_found_again),
	        cmocka_unit_test(what_is_broken_or_of_others_is_not_taken),
	        cmocka_unit_test(what_was_used_longest_ago_makes_room),
	        cmocka_unit_test(only_what_unwinding_needs_is_copied),
	        cmocka_unit_test(frames_of_what_is_no_program_are_none),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
