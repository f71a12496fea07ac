/* SPDX-License-Identifier: MIT */
/*
 * core/base: what every other room stands on. Errors, logging, text, time, units, files, child
 * processes. It knows nothing of plugins, hypervisors or runs.
 *
 * Errors: a function that can fail returns 0 or a negative NOVA_E_* and takes `struct nova_error *`
 * last; the text is a sentence for the person who reads it (what failed, on what, why, what to do).
 * Memory: out of memory ends the process (nova_alloc and friends never return NULL).
 */
#ifndef NOVACORE_BASE_H
#define NOVACORE_BASE_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <novacore/types.h>

#define NOVA_COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define NOVA_PRINTF(at, va) __attribute__((format(printf, at, va)))
#define NOVA_AUTO(function) __attribute__((cleanup(function)))
#define NOVA_AUTOFREE       NOVA_AUTO(nova_cleanup_free)
#define NOVA_AUTOCLOSE      NOVA_AUTO(nova_cleanup_close)
#define NOVA_AUTOJSON       NOVA_AUTO(nova_cleanup_json)
#define NOVA_AUTOTEXT       NOVA_AUTO(nova_text_free)
#define NOVA_SECOND_NS      INT64_C(1000000000)

void nova_cleanup_free(void *pointer_to_pointer);
void nova_cleanup_close(int *fd);
void nova_cleanup_json(json_t **json);

/* --- errors ---------------------------------------------------------------------------------- */

struct nova_error {
	int code;        /* NOVA_E_*, 0 while nothing failed */
	char text[1536]; /* truncated with "…" when longer */
};

/* Sets code and text (replacing what was there) and returns `code`. `error` may be NULL. */
int nova_error_set(struct nova_error *error, int code, const char *format, ...) NOVA_PRINTF(3, 4);
/* As nova_error_set, with code and ": <reason>" from errno (ENOSPC is NOVA_E_FULL …). */
int nova_error_errno(struct nova_error *error, const char *format, ...) NOVA_PRINTF(2, 3);
/* Puts "<format>: " in front of the text; returns the code. */
int nova_error_prefix(struct nova_error *error, const char *format, ...) NOVA_PRINTF(2, 3);
/* "invalid", "timeout", …: the stable word for a code, for JSON. */
const char *nova_code_name(int code);
/* The process exit code for a failure (architecture: 130, 5, 2, 3, 4, 1, 0). */
int nova_code_exit(int code);

/* --- logging --------------------------------------------------------------------------------- */

enum nova_level { NOVA_LOG_DEBUG = 1, NOVA_LOG_INFO, NOVA_LOG_WARNING, NOVA_LOG_ERROR };

/*
 * Every record goes as one JSON line to the log file, if one is open, and records at or above
 * `terminal` as plain text to stderr. Safe from any thread.
 */
void nova_log(enum nova_level level, const char *format, ...) NOVA_PRINTF(2, 3);
int nova_log_open(const char *path, struct nova_error *error);
void nova_log_terminal(enum nova_level lowest);
/*
 * Called around writes to the terminal, so that a live progress line can step aside. May be NULL.
 * They run under the log's lock and must not log.
 */
void nova_log_around(void (*before)(void), void (*after)(void));
/*
 * From now on `secret` is printed as "***" by nova_log and nova_error_set. Kept until exit. Shorter
 * than 4 bytes it is ignored: it would blacken innocent text.
 */
void nova_secret_add(const char *secret);
/* Replaces every known secret in `text`, in place (never grows). */
void nova_secret_redact(char *text);

/* --- memory and text ------------------------------------------------------------------------- */

void *nova_alloc(size_t bytes); /* zeroed */
void *nova_realloc(void *pointer, size_t bytes);
/* Room for one more element: returns `array`, grown when `count` has reached a power of two. */
void *nova_grow(void *array, size_t count, size_t element_bytes);
char *nova_strdup(const char *text); /* NULL stays NULL */
char *nova_format(const char *format, ...) NOVA_PRINTF(1, 2);

/* Growable text; zero-initialise. `data` is NULL until something is added, then NUL-terminated. */
struct nova_text {
	char *data;
	size_t length, room;
};
void nova_text_add(struct nova_text *text, const char *piece);
void nova_text_add_bytes(struct nova_text *text, const void *bytes, size_t count);
void nova_text_addf(struct nova_text *text, const char *format, ...) NOVA_PRINTF(2, 3);
void nova_text_free(struct nova_text *text);
/* The text, "" if empty; owned by `text`. */
const char *nova_text_get(const struct nova_text *text);

/*
 * The candidate nearest to `word` by edit distance, or NULL if none is near enough to suggest.
 * `candidates` is NULL-terminated. O(candidates · length²).
 */
const char *nova_nearest(const char *word, const char *const *candidates);
/* `word` matches ^[a-z0-9][a-z0-9-]*$ and is at most 64 bytes: the form of plugin and target names.
 */
bool nova_name_valid(const char *word);
/* "host:port" of "driver://user@host:port/path"; NULL: there is none, it is this one. Owned by the
 * caller. */
char *nova_uri_host(const char *uri);
/* Every byte that is not part of well-formed UTF-8 becomes '?', so that JSON takes the text. */
void nova_utf8_repair(char *text);
/*
 * What a terminal may be sent of a text of others: what is no UTF-8, control characters (C0 but
 * newline and tab, DEL, C1) and those that reorder text become '?', byte by byte.
 */
void nova_text_clean(char *text);
/* nova_text_clean would change it. */
bool nova_text_is_dirty(const char *text);
/* Columns that UTF-8 text takes on a terminal (wcwidth); colour sequences take none. */
size_t nova_columns(const char *text);

/* --- time, identity, digests ----------------------------------------------------------------- */

int64_t nova_now_ns(void); /* CLOCK_MONOTONIC */
int64_t nova_utc_ns(void); /* CLOCK_REALTIME */
/* "2026-11-20T11:39:16.123Z" */
void nova_utc_format(int64_t utc_ns, char out[32]);
/* RFC 9562 version 7, lower case, 36 characters. */
void nova_uuid7(char out[37]);
/* Lower-case hex of SHA-256 (OpenSSL). */
void nova_sha256(const void *data, size_t bytes, char out[65]);
int nova_sha256_file(const char *path, char out[65], struct nova_error *error);
/* Canonical JSON (sorted keys, no white space, reals of 17 digits): equal values, equal bytes. */
char *nova_json_canonical(const json_t *json);
/* A member's text, "" if there is none; the object's own. */
const char *nova_json_text(const json_t *object, const char *name);
/* splitmix64: a seed for stream `stream` derived from `seed`. */
uint64_t nova_seed_derive(uint64_t seed, uint64_t stream);

/* --- keys ------------------------------------------------------------------------------------ */

/*
 * A new pair of SSH keys (Ed25519): the private one as OpenSSH's files have it, without passphrase,
 * the public one as a line of authorized_keys. Owned by the caller, who overwrites the private one.
 */
int nova_ssh_key_make(char **private_key, char **public_key, struct nova_error *error);

/* --- units ----------------------------------------------------------------------------------- */

enum nova_quantity { NOVA_SIZE = 1, NOVA_DURATION, NOVA_RATE };

/*
 * "16GiB" → bytes (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB), "1.5s" → ns (ns, us, ms, s, min, h, d),
 * "100MB/s" or "10/s" → per second. A bare number other than 0 is refused: the text names the
 * units.
 */
int nova_quantity_parse(const char *text, enum nova_quantity quantity, double *value,
                        struct nova_error *error);
/*
 * The other way: exactly `value`, as a whole number of the unit that makes it shortest ("64MiB",
 * "1500ms"). A rate without bytes ("10/s") is the caller's to write.
 */
void nova_quantity_format(int64_t value, enum nova_quantity quantity, char out[32]);
/* For people: 3 significant digits and a scaled unit. `unit` is NOVA_UNIT_*. */
void nova_value_format(double value, uint32_t unit, char out[32]);
const char *nova_unit_name(uint32_t unit); /* "s", "B", "B/s", "1/s", "1" */

/* --- files ----------------------------------------------------------------------------------- */

/* The whole file, NUL-terminated, at most `limit` bytes; NULL and `error` on failure. */
char *nova_file_read(const char *path, size_t limit, size_t *bytes, struct nova_error *error);
/*
 * Temporary file beside it, fsync, rename, fsync of the directory: old or new, never half. `mode`
 * is subject to the umask. A device or pipe (/dev/stdout) is written to as it is.
 */
int nova_file_write(const char *path, const void *data, size_t bytes, mode_t mode,
                    struct nova_error *error);
int nova_directory_make(const char *path, mode_t mode, struct nova_error *error); /* with parents */
/* Removes a tree, if it is there; does not follow links and stays on one file system. */
int nova_directory_remove(const char *path, struct nova_error *error);
/* A locked descriptor (flock, close-on-exec) or NOVA_E_BUSY with the holder's pid in the text. */
int nova_file_lock(const char *path, struct nova_error *error);
/*
 * Per-user places: $XDG_STATE_HOME/novacore, $XDG_CACHE_HOME/novacore, $XDG_CONFIG_HOME/novacore,
 * $XDG_RUNTIME_DIR/novacore; as root /var/lib, /var/cache, /etc and /run (+ /novacore). With
 * NOVACORE_HOME=/dir: /dir/state, /dir/cache, /dir/config, /dir/run. SYSTEM is the configuration
 * for all users, /etc/novacore, or with NOVACORE_HOME /dir/config. Owned by the caller.
 */
enum nova_place {
	NOVA_PLACE_STATE = 1,
	NOVA_PLACE_CACHE,
	NOVA_PLACE_CONFIG,
	NOVA_PLACE_RUNTIME,
	NOVA_PLACE_SYSTEM
};
char *nova_place(enum nova_place place, const char *below); /* `below` may be NULL */

/* --- CSV ------------------------------------------------------------------------------------- */

/*
 * A reader of CSV (RFC 4180; LF and CRLF, a byte order mark is skipped). The separator is the
 * comma, the semicolon or the tab, whichever stands first in the first record. Set `file` and
 * `name`, the rest zero. Memory: one record, of at most 1 MiB and 4096 fields.
 */
struct nova_csv {
	FILE *file;       /* the caller's */
	const char *name; /* of it, for errors */
	char separator;   /* 0: by the first record */
	/* of the record that was read last */
	size_t line;  /* where it begins, from 1 */
	size_t count; /* of its fields, ≥ 1 */
	bool blank;   /* an empty line */
	/* the reader's own */
	size_t at, *starts;
	struct nova_text text;
};
/* 1: there is a record; 0: the file has ended; NOVA_E_INVALID with the line, or what reading gave.
 */
int nova_csv_read(struct nova_csv *csv, struct nova_error *error);
/* Field `i` < count, NUL-terminated; until the next record is read. */
const char *nova_csv_field(const struct nova_csv *csv, size_t i);
void nova_csv_free(struct nova_csv *csv);

/* --- child processes ------------------------------------------------------------------------- */

struct nova_child {
	const char *const *argv; /* NULL-terminated; argv[0] searched in PATH */
	const char *const *env;  /* additions "NAME=value", NULL-terminated, or NULL */
	const char *directory;   /* or NULL */
	const void *input;       /* to stdin; without it stdin is /dev/null */
	size_t input_bytes;
	/* CLOCK_MONOTONIC, 0 for none: then SIGTERM, 2 s later SIGKILL, to its group */
	int64_t deadline_ns;
	const volatile int *stop; /* or NULL: non-zero ends it likewise, NOVA_E_INTERRUPTED */
	size_t output_limit; /* of stdout and of stderr each; 0 is 16 MiB; more fails the call */
	void (*on_line)(void *context,
	                const char *line); /* each stdout line as it comes, or NULL */
	void *context;
};
struct nova_child_result {
	int status; /* exit status, or -signal */
	struct nova_text output, errors;
};
/*
 * Runs a process to its end in a process group of its own, which dies with this process. A non-zero
 * status is not an error here. After the deadline NOVA_E_TIMEOUT; a program that is not there is
 * NOVA_E_UNAVAILABLE. `result` (may be NULL) is set in any case: free it in any case.
 */
int nova_child_run(const struct nova_child *child, struct nova_child_result *result,
                   struct nova_error *error);
/* As above, but a non-zero status is NOVA_E_FAILED with the last line of its stderr. */
int nova_child_check(const struct nova_child *child, struct nova_child_result *result,
                     struct nova_error *error);
void nova_child_result_free(struct nova_child_result *result);
/*
 * `pid` belongs to a nova_child_run in flight: a reaper of orphans asks before it takes the status
 * (waitid(P_ALL, …, WEXITED | WNOWAIT), then waitid(P_PID) if not owned).
 */
bool nova_child_owned(pid_t pid);

#endif
