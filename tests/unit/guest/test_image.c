/* SPDX-License-Identifier: MIT */
/*
 * A user's own image: what is refused, and when two are the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/guest/guest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static char *image, *kernel;

static int make_files(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/novacore-image-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	image = nova_format("%s/image", directory);
	kernel = nova_format("%s/kernel", directory);
	return nova_file_write(image, "disk", 4, 0644, NULL) != 0 ||
	       nova_file_write(kernel, "kernel", 6, 0644, NULL) != 0;
}

static int remove_files(void **state)
{
	(void)state;
	free(image);
	free(kernel);
	return nova_directory_remove(directory, NULL);
}

static void expect(int code, const char *a_image, const char *a_kernel, const char *initrd,
                   const char *cmdline, const char *words)
{
	struct nova_guest guest;
	struct nova_error error = {0};

	assert_int_equal(code,
	                 nova_guest_from_image(a_image, a_kernel, initrd, cmdline, &guest, &error));
	if (strstr(error.text, words) == NULL)
		fail_msg("\"%s\" has no \"%s\"", error.text, words);
	assert_null(guest.image);
	assert_null(guest.inputs);
}

static void takes_an_image_with_or_without_a_kernel(void **state)
{
	struct nova_guest guest;

	(void)state;
	assert_int_equal(0, nova_guest_from_image(image, NULL, NULL, NULL, &guest, NULL));
	assert_string_equal(image, guest.image);
	assert_string_equal("", guest.cmdline);
	assert_null(guest.kernel);
	assert_null(guest.directory);
	assert_int_equal(64, strlen(guest.id));
	nova_guest_release(&guest);
	assert_int_equal(0, nova_guest_from_image(image, kernel, kernel, "quiet", &guest, NULL));
	assert_string_equal(kernel, guest.kernel);
	assert_string_equal("quiet", guest.cmdline);
	nova_guest_release(&guest);
	assert_int_equal(-1, guest.hold);
}

static void refuses_what_cannot_be_booted(void **state)
{
	NOVA_AUTOFREE char *missing = nova_format("%s/missing", directory);
	NOVA_AUTOFREE char *empty = nova_format("%s/empty", directory);
	NOVA_AUTOFREE char *fifo = nova_format("%s/fifo", directory);

	(void)state;
	assert_int_equal(0, nova_file_write(empty, "", 0, 0644, NULL));
	assert_int_equal(0, mkfifo(fifo, 0644));
	expect(NOVA_E_INVALID, NULL, NULL, NULL, NULL, "no name");
	expect(NOVA_E_INVALID, "", NULL, NULL, NULL, "no name");
	expect(NOVA_E_NOT_FOUND, missing, NULL, NULL, NULL, missing);
	expect(NOVA_E_NOT_FOUND, image, missing, NULL, NULL, "guest's kernel");
	expect(NOVA_E_NOT_FOUND, image, kernel, missing, NULL, "guest's initrd");
	expect(NOVA_E_INVALID, empty, NULL, NULL, NULL, "is empty");
	expect(NOVA_E_INVALID, directory, NULL, NULL, NULL, "not a file");
	expect(NOVA_E_INVALID, fifo, NULL, NULL, NULL, "not a file");
	expect(NOVA_E_INVALID, image, NULL, kernel, NULL, "needs a kernel");
	expect(NOVA_E_INVALID, image, NULL, NULL, "quiet", "needs a kernel");
}

static void identify(char id[65])
{
	struct nova_guest guest;

	assert_int_equal(0, nova_guest_from_image(image, NULL, NULL, NULL, &guest, NULL));
	strcpy(id, guest.id);
	nova_guest_release(&guest);
}

static void sees_a_change_at_either_end_and_of_the_time(void **state)
{
	enum { SIZE = 5 << 20 };
	char first[65], again[65], changed[65];
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	const struct timespec later[2] = {{.tv_sec = 1001}, {.tv_sec = 1001}};
	int fd = open(image, O_WRONLY);

	(void)state;
	assert_int_equal(0, ftruncate(fd, SIZE));
	assert_int_equal(0, futimens(fd, times));
	identify(first);
	identify(again);
	assert_string_equal(first, again);
	assert_int_equal(1, pwrite(fd, "x", 1, SIZE - 1));
	assert_int_equal(0, futimens(fd, times));
	identify(changed);
	assert_string_not_equal(first, changed);
	assert_int_equal(1, pwrite(fd, "\0", 1, SIZE - 1));
	assert_int_equal(0, futimens(fd, times));
	identify(again);
	assert_string_equal(first, again);
	assert_int_equal(0, futimens(fd, later));
	identify(changed);
	assert_string_not_equal(first, changed);
	close(fd);
}

int main(void)
{
#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, make_files, remove_files)
	const struct CMUnitTest tests[] = {
	        WITH_FILES(takes_an_image_with_or_without_a_kernel),
	        WITH_FILES(refuses_what_cannot_be_booted),
	        WITH_FILES(sees_a_change_at_either_end_and_of_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
