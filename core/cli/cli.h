/* SPDX-License-Identifier: MIT */
/*
 * core/cli: main() and one file per command: parse, call a room, print. Only here and in
 * core/report is stdout written.
 *
 * A command is `int nova_command_<name>(int argc, char **argv)`: argv[0] is the command's name, it
 * parses with getopt_long (set optind = 0 first), and returns the process exit code.
 */
#ifndef NOVACORE_CLI_H
#define NOVACORE_CLI_H

#include "core/base/base.h"
#include "core/config/config.h"
#include "core/plugin/plugin.h"

#include <getopt.h>

/* Options that every command takes; put NOVA_COMMON_OPTIONS last but the terminator. */
enum nova_common_option {
	NOVA_OPTION_HELP = 1000,
	NOVA_OPTION_QUIET,
	NOVA_OPTION_VERBOSE,
	NOVA_OPTION_LOG_FILE
};
#define NOVA_COMMON_OPTIONS                                                                        \
	{"help", no_argument, NULL, NOVA_OPTION_HELP},                                             \
	        {"quiet", no_argument, NULL, NOVA_OPTION_QUIET},                                   \
	        {"verbose", no_argument, NULL, NOVA_OPTION_VERBOSE},                               \
	{                                                                                          \
		"log-file", required_argument, NULL, NOVA_OPTION_LOG_FILE                          \
	}
#define NOVA_COMMON_HELP                                                                           \
	"  --quiet               only errors\n"                                                    \
	"  --verbose             also what is done in detail, on stderr\n"                         \
	"  --log-file FILE       everything, as JSON lines\n"                                      \
	"  --help                this text\n"

/*
 * Handles what getopt_long returned if it is common, or '?' / ':' (unknown option, missing
 * argument: says so with the nearest valid option). Returns -1 if the command must go on, else the
 * exit code to return. `help` is the command's whole help text.
 */
int nova_common_option(int option, char **argv, const struct option *options, const char *help);
/* Prints "novacore: <text>" to stderr and returns the exit code for the error. */
int nova_complain(const struct nova_error *error);
/* stdout, or the file that appears under `path` only when nova_output_close succeeds; a device or
 * pipe that is there is written to as it is. */
FILE *nova_output_open(const char *path, struct nova_error *error);
int nova_output_close(FILE *file, const char *path, struct nova_error *error);
/* Closes it without letting it appear. */
void nova_output_discard(FILE *file, const char *path);
/*
 * Scans plugins, declares all their parameters and loads the layers: profile (may be NULL: then
 * `profile` of the other layers, else "development"), system, user, `file`, `settings`.
 */
struct nova_settings {
	struct nova_registry *registry;
	struct nova_config *config;
	char *profile; /* canonical name */
};
int nova_settings_load(const char *profile, const char *file, const char *const *settings,
                       size_t setting_count, struct nova_settings *out, struct nova_error *error);
/* Those that a stored plan was made with (its "command"); secrets come from where they came from
 * then. `profile` is the run's. */
int nova_settings_load_planned(const json_t *command, const char *profile,
                               struct nova_settings *out, struct nova_error *error);
/* The same without any configuration file: what it says is the same for every user. */
int nova_settings_load_alone(const char *profile, const char *const *settings, size_t setting_count,
                             struct nova_settings *out, struct nova_error *error);
void nova_settings_free(struct nova_settings *settings);
/* An error if run.suite names a benchmark that is not installed. To be asked before a run. */
int nova_settings_check_suite(const struct nova_settings *settings, struct nova_error *error);

/* The database that the settings name; close it with nova_store_close. */
struct nova_store;
int nova_settings_store(const struct nova_settings *settings, struct nova_store **store,
                        struct nova_error *error);
/* A JSON document from a file, "-" is standard input; NULL and `error` if it cannot be read. It is
 * not checked. Owned by the caller. */
json_t *nova_document_read(const char *path, struct nova_error *error);

int nova_command_run(int argc, char **argv);
int nova_command_ab(int argc, char **argv);
int nova_command_worker(int argc, char **argv);
int nova_command_recorder(int argc, char **argv);
int nova_command_status(int argc, char **argv);
int nova_command_clean(int argc, char **argv);
int nova_command_plugin(int argc, char **argv);
int nova_command_config(int argc, char **argv);
int nova_command_profile(int argc, char **argv);
int nova_command_results(int argc, char **argv);
int nova_command_plan_samples(int argc, char **argv);
int nova_command_report(int argc, char **argv);
int nova_command_analyze(int argc, char **argv);
int nova_command_baseline(int argc, char **argv);
int nova_command_compare(int argc, char **argv);
int nova_command_history(int argc, char **argv);
int nova_command_rank(int argc, char **argv);
int nova_command_ack(int argc, char **argv);
int nova_command_record(int argc, char **argv);
int nova_command_recordings(int argc, char **argv);
int nova_command_hotspots(int argc, char **argv);
int nova_command_flame(int argc, char **argv);
int nova_command_selftest(int argc, char **argv);
int nova_command_guest(int argc, char **argv);
int nova_command_target(int argc, char **argv);
int nova_command_doctor(int argc, char **argv);
int nova_command_complete(int argc, char **argv);

#endif
