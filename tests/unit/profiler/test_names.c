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

/* --- frames -----------------------------------------------------------------------------------
 */

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
	        cmocka_unit_test(only_what_unwinding_needs_is_copied),
	        cmocka_unit_test(frames_of_what_is_no_program_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
