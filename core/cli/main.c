/* SPDX-License-Identifier: MIT */
/* main(): finds the command. Without one, options mean `novacore run`. */
#include "core/cli/check.h"
#include "core/cli/cli.h"

#include <locale.h>
#include <signal.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *doc; /* NULL: not for people */
} commands[] = {
        {"run", nova_command_run, "run a profile's suite on a hypervisor (also without \"run\")"},
        {"ab", nova_command_ab,
         "compare two choices of settings, interleaved, until it is decided"},
        {"status", nova_command_status, "what is running now, and how far it is"},
        {"results", nova_command_results, "list, show, export, import and delete results"},
        {"plan-samples", nova_command_plan_samples,
         "how many VMs a comparison needs, and how long they take"},
        {"report", nova_command_report, "a run as a page to read: HTML or Markdown"},
        {"analyze", nova_command_analyze, "find where the level of any CSV series changes"},
        {"baseline", nova_command_baseline, "name runs that later ones are judged by"},
        {"compare", nova_command_compare, "how two runs, baselines or files differ"},
        {"history", nova_command_history, "a metric over time, with its change points"},
        {"rank", nova_command_rank, "targets by a metric, with ties"},
        {"ack", nova_command_ack, "acknowledge a change or a regression, so that it is known"},
        {"record", nova_command_record, "sample this host, a process, a VM or a command"},
        {"recordings", nova_command_recordings, "list, show and delete recordings"},
        {"hotspots", nova_command_hotspots, "where the time of a recording goes"},
        {"flame", nova_command_flame,
         "a recording, or what has changed since another, as a flame graph"},
        {"selftest", nova_command_selftest,
         "check on this host that novacore measures and judges rightly"},
        {"clean", nova_command_clean, "delete what dead runs left on a hypervisor"},
        {"doctor", nova_command_doctor, "check this host and name each fix"},
        {"plugin", nova_command_plugin, "list, write, check and sign plugins"},
        {"profile", nova_command_profile, "list, show, create and optimize environment profiles"},
        {"config", nova_command_config,
         "show the settings and where each comes from; check a file"},
        {"target", nova_command_target, "add, list and try hypervisors that runs can use"},
        {"guest", nova_command_guest, "build, list and clean the appliance (our guest image)"},
        {"worker", nova_command_worker, NULL},
        {"recorder", nova_command_recorder, NULL},
        {"check-one", nova_command_check_one, NULL},
        {"complete", nova_command_complete, NULL},
};

static void print_help(FILE *out)
{
	fprintf(out,
	        "usage: novacore [COMMAND] [OPTION]…\n\n"
	        "Measures hypervisors and judges what it measured.\n\n"
	        "examples:\n"
	        "  novacore --profile hpc --plugin kvm     the hpc suite on this host's KVM/QEMU\n"
	        "  novacore doctor                         is everything there that it needs?\n"
	        "  novacore plugin new benchmark hello     a plugin of your own, ready to build\n\n"
	        "Commands:\n");
	for (size_t i = 0; i < NOVA_COUNT(commands); i++)
		if (commands[i].doc)
			fprintf(out, "  %-12s  %s\n", commands[i].name, commands[i].doc);
	fprintf(out, "\nnovacore COMMAND --help explains a command by examples. novacore --version "
	             "prints the "
	             "version.\n");
}

static int unknown(const char *word)
{
	const char *names[NOVA_COUNT(commands) + 1] = {NULL};
	size_t count = 0;
	const char *near;

	for (size_t i = 0; i < NOVA_COUNT(commands); i++)
		if (commands[i].doc)
			names[count++] = commands[i].name;
	near = nova_nearest(word, names);
	fprintf(stderr, "novacore: there is no command \"%s\"%s%s%s; novacore --help lists them\n",
	        word, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	return 2;
}

int main(int argc, char **argv)
{
	/* A closed pipe is an error of a write, not the end of a run that has VMs to delete. */
	signal(SIGPIPE, SIG_IGN);
	setlocale(LC_CTYPE, "C.UTF-8"); /* columns; numbers stay as in C */
	nova_log_terminal(NOVA_LOG_INFO);
	if (argc < 2) {
		print_help(stderr);
		return 2;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("novacore %s (plugin ABI %u.%u)\n", NOVACORE_VERSION, NOVA_ABI_MAJOR,
		       NOVA_ABI_MINOR);
		return 0;
	}
	if (argv[1][0] == '-')
		return nova_command_run(argc, argv);
	for (size_t i = 0; i < NOVA_COUNT(commands); i++)
		if (!strcmp(commands[i].name, argv[1]))
			return commands[i].run(argc - 1, argv + 1);
	return unknown(argv[1]);
}
