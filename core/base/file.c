/* SPDX-License-Identifier: MIT */
/*
 * Files as novacore uses them: read whole, replaced atomically, locked against a second process;
 * directories made and removed as trees; and where a user's files belong.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/base.h"
#include "core/base/internal.h"

int base_write_all(int fd, const void *data, size_t bytes)
{
	const char *at = data;
	while (bytes > 0) {
		ssize_t written = write(fd, at, bytes);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -1;
		at += written;
		bytes -= (size_t)written;
	}
	return 0;
}

void base_close_quietly(int fd)
{
	int saved = errno;
	close(fd);
	errno = saved;
}

char *nova_file_read(const char *path, size_t limit, size_t *bytes, struct nova_error *error)
{
	NOVA_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		nova_error_errno(error, "cannot open %s", path);
		return NULL;
	}
	/* the size that stat tells is 0 for /proc and stale for a growing file: read to the end */
	NOVA_AUTOTEXT struct nova_text text = {0};
	NOVA_AUTOFREE char *piece = nova_alloc(64 * 1024);
	for (;;) {
		ssize_t got = read(fd, piece, 64 * 1024);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			nova_error_errno(error, "cannot read %s", path);
			return NULL;
		}
		if ((size_t)got > limit - text.length) {
			nova_error_set(error, NOVA_E_INVALID,
			               "cannot read %s: it is larger than the %zu bytes allowed",
			               path, limit);
			return NULL;
		}
		nova_text_add_bytes(&text, piece, (size_t)got);
		if (got == 0)
			break;
	}
	if (bytes)
		*bytes = text.length;
	char *data = text.data;
	text = (struct nova_text){0};
	return data;
}

/* The directory part of `path`, "." if it has none; heap. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return nova_strdup(".");
	return slash == path ? nova_strdup("/") : nova_format("%.*s", (int)(slash - path), path);
}

static int sync_directory(const char *path, struct nova_error *error)
{
	NOVA_AUTOFREE char *directory = directory_of(path);
	NOVA_AUTOCLOSE int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return nova_error_errno(error, "cannot open directory %s", directory);
	/* EINVAL: a file system that has nothing to sync for a directory */
	if (fsync(fd) < 0 && errno != EINVAL)
		return nova_error_errno(error, "cannot sync directory %s", directory);
	return 0;
}

/* A new file beside `path`; *temporary (heap) is its name. mkostemp would ignore the umask. */
static int open_temporary(const char *path, mode_t mode, char **temporary)
{
	for (int attempt = 0;; attempt++) {
		uint32_t number = 0;
		if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
			number = (uint32_t)nova_now_ns();
		*temporary = nova_format("%s.%08x.new", path, number);
		int fd = open(*temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		              mode);
		if (fd >= 0 || errno != EEXIST || attempt == 100)
			return fd;
		free(*temporary);
	}
}

static int replace_file(const char *path, const void *data, size_t bytes, mode_t mode,
                        struct nova_error *error)
{
	NOVA_AUTOFREE char *temporary = NULL;
	int fd = open_temporary(path, mode, &temporary);
	if (fd < 0)
		return nova_error_errno(error, "cannot write %s", path);
	int failed = base_write_all(fd, data, bytes) < 0 || fsync(fd) < 0;
	if (failed)
		base_close_quietly(fd);
	else
		failed = close(fd) < 0;
	if (failed || rename(temporary, path) < 0) {
		nova_error_errno(error, "cannot write %s", path);
		unlink(temporary);
		return error ? error->code : NOVA_E_IO;
	}
	return sync_directory(path, error);
}

int nova_file_write(const char *path, const void *data, size_t bytes, mode_t mode,
                    struct nova_error *error)
{
	struct nova_error own = {0};
	struct stat about;

	error = error ? error : &own;
	if (stat(path, &about) < 0)
		return replace_file(path, data, bytes, mode, error);
	if (S_ISREG(about.st_mode)) {
		/* through a link, the file that it points to is replaced, not the link */
		NOVA_AUTOFREE char *real = realpath(path, NULL);
		return replace_file(real ? real : path, data, bytes, mode, error);
	}
	/* /dev/stdout, a pipe: nothing to replace, and renaming over a device would destroy it */
	NOVA_AUTOCLOSE int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || base_write_all(fd, data, bytes) < 0)
		return nova_error_errno(error, "cannot write %s", path);
	return 0;
}

static int make_one(const char *path, mode_t mode, struct nova_error *error)
{
	struct stat about;
	if (mkdir(path, mode) == 0)
		return 0;
	int reason = errno;
	/* asked only now: another process may have made it meanwhile */
	if (stat(path, &about) == 0) {
		if (S_ISDIR(about.st_mode))
			return 0;
		return nova_error_set(error, NOVA_E_EXISTS,
		                      "cannot make directory %s: a file of that name is there",
		                      path);
	}
	errno = reason;
	return nova_error_errno(error, "cannot make directory %s", path);
}

int nova_directory_make(const char *path, mode_t mode, struct nova_error *error)
{
	NOVA_AUTOFREE char *part = nova_strdup(path);
	if (!*part)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "cannot make a directory without a name");
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int code = make_one(part, mode, error);
		*slash = '/';
		if (code < 0)
			return code;
	}
	return make_one(part, mode, error);
}

static int remove_entries(int fd, const char *path, dev_t device, struct nova_error *error);

static int remove_entry(int parent, const char *name, const char *path, dev_t device,
                        struct nova_error *error)
{
	struct stat about;
	NOVA_AUTOFREE char *full = nova_format("%s/%s", path, name);

	if (fstatat(parent, name, &about, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : nova_error_errno(error, "cannot look at %s", full);
	if (!S_ISDIR(about.st_mode)) {
		if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
			return nova_error_errno(error, "cannot remove %s", full);
		return 0;
	}
	if (about.st_dev != device)
		return nova_error_set(error, NOVA_E_REFUSED,
		                      "will not remove %s: another file system is mounted there; "
		                      "unmount it first",
		                      full);
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return nova_error_errno(error, "cannot open directory %s", full);
	int code = remove_entries(fd, full, device, error);
	if (code == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		code = nova_error_errno(error, "cannot remove directory %s", full);
	return code;
}

/* Takes `fd` over. */
static int remove_entries(int fd, const char *path, dev_t device, struct nova_error *error)
{
	int code = 0;
	DIR *directory = fdopendir(fd);
	if (!directory) {
		code = nova_error_errno(error, "cannot read directory %s", path);
		close(fd);
		return code;
	}
	while (code == 0) {
		errno = 0;
		struct dirent *entry = readdir(directory);
		if (!entry && errno != 0)
			code = nova_error_errno(error, "cannot read directory %s", path);
		if (!entry)
			break;
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			code = remove_entry(dirfd(directory), entry->d_name, path, device, error);
	}
	closedir(directory);
	return code;
}

int nova_directory_remove(const char *path, struct nova_error *error)
{
	struct stat about;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return nova_error_errno(error, "cannot open directory %s", path);
	if (fstat(fd, &about) < 0) {
		int code = nova_error_errno(error, "cannot look at %s", path);
		close(fd);
		return code;
	}
	int code = remove_entries(fd, path, about.st_dev, error);
	if (code == 0 && rmdir(path) < 0 && errno != ENOENT)
		code = nova_error_errno(error, "cannot remove directory %s", path);
	return code;
}

/* The descriptor holds the lock on the file that has the name now, not on one removed meanwhile. */
static bool still_named(int fd, const char *path)
{
	struct stat held, named;
	return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
	       held.st_dev == named.st_dev;
}

static int lock_is_held(int fd, const char *path, struct nova_error *error)
{
	char holder[32] = "";
	ssize_t got = pread(fd, holder, sizeof(holder) - 1, 0);
	holder[got > 0 ? strspn(holder, "0123456789") : 0] = '\0';
	return nova_error_set(error, NOVA_E_BUSY,
	                      "%s is locked by another process (pid %s); wait until it ends", path,
	                      holder[0] ? holder : "unknown");
}

int nova_file_lock(const char *path, struct nova_error *error)
{
	char pid[32];
	int length = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0644);
		if (fd < 0)
			return nova_error_errno(error, "cannot open lock file %s", path);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			int code = errno == EWOULDBLOCK
			                   ? lock_is_held(fd, path, error)
			                   : nova_error_errno(error, "cannot lock %s", path);
			close(fd);
			return code;
		}
		if (!still_named(fd, path)) {
			close(fd);
			continue;
		}
		if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)length, 0) != length) {
			int code = nova_error_errno(error, "cannot write lock file %s", path);
			close(fd);
			return code;
		}
		return fd;
	}
}

static const struct {
	const char *override, *root, *variable, *home;
} places[] = {
        [NOVA_PLACE_STATE] = {"state", "/var/lib/novacore", "XDG_STATE_HOME", ".local/state"},
        [NOVA_PLACE_CACHE] = {"cache", "/var/cache/novacore", "XDG_CACHE_HOME", ".cache"},
        [NOVA_PLACE_CONFIG] = {"config", "/etc/novacore", "XDG_CONFIG_HOME", ".config"},
        [NOVA_PLACE_RUNTIME] = {"run", "/run/novacore", "XDG_RUNTIME_DIR", NULL},
        [NOVA_PLACE_SYSTEM] = {"config", "/etc/novacore", NULL, NULL},
};

static char *home_directory(void)
{
	const char *home = secure_getenv("HOME");
	if (home && home[0] == '/')
		return nova_strdup(home);
	char room[4096];
	struct passwd entry, *found = NULL;
	if (getpwuid_r(getuid(), &entry, room, sizeof(room), &found) == 0 && found &&
	    found->pw_dir[0] == '/')
		return nova_strdup(found->pw_dir);
	return nova_strdup("/");
}

static char *place_of_user(enum nova_place place)
{
	const char *variable = secure_getenv(places[place].variable);
	/* the XDG specification: a relative path is to be ignored */
	if (variable && variable[0] == '/')
		return nova_format("%s/novacore", variable);
	NOVA_AUTOFREE char *home = home_directory();
	const char *slash = strcmp(home, "/") == 0 ? "" : home;
	if (!places[place].home) /* no /run/user/N: not /tmp, where others could be first */
		return nova_format("%s/.local/state/novacore/run", slash);
	return nova_format("%s/%s/novacore", slash, places[place].home);
}

char *nova_place(enum nova_place place, const char *below)
{
	const char *all = secure_getenv("NOVACORE_HOME");
	NOVA_AUTOFREE char *base = NULL;

	if (place < NOVA_PLACE_STATE || place > NOVA_PLACE_SYSTEM)
		abort();
	if (all && all[0] == '/')
		base = nova_format("%s/%s", all, places[place].override);
	else if (geteuid() == 0 || place == NOVA_PLACE_SYSTEM)
		base = nova_strdup(places[place].root);
	else
		base = place_of_user(place);
	return below ? nova_format("%s/%s", base, below) : nova_strdup(base);
}
