/* SPDX-License-Identifier: MIT */
/*
 * How long nobody on the network hears from the VM that migrates: a second VM, the witness, stays
 * where both began, and asks it over and over again. Whatever this lacks, the migration itself is
 * measured all the same.
 */
#include "migration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE         "novacore-probe"
#define PORT          "5203"
#define WITNESS       "192.0.2.1" /* TEST-NET-1 of RFC 5737: nobody's */
#define TRAVELLER     "192.0.2.2"
#define FILE_NAME     "/run/novacore-silence"
#define WITNESS_BYTES (UINT64_C(256) << 20)
#define COUNT_MOST    1000000 /* datagrams of one watch: the probe's own limit */
#define SPARE_S       120     /* beyond the migration: for the window and what is around it */

/* $1: its process. It waits a second for the last answers; under emulation all takes longer. */
static const char STOP[] = "kill -TERM \"$1\" || exit 1\n"
                           "n=0; until [ -e " FILE_NAME " ]; do\n"
                           "  n=$((n + 1)); [ $n -lt 200 ] || exit 2\n"
                           "  sleep 0.1\n"
                           "done\n"
                           "cat " FILE_NAME "; rm -f " FILE_NAME "\n";

static int give_up(struct traveller *traveller, const char *what)
{
	struct migration *self = traveller->self;
	char text[WHY_BYTES];

	snprintf(text, sizeof(text), "no migration.blackout: %s", what);
	if (!self->said_no_blackout)
		say(self, NOVA_SAY_WARNING, text);
	self->said_no_blackout = 1;
	traveller->watched = 0;
	return NOVA_DONE;
}

static const char *address_argument(const char *address, char *text, size_t room)
{
	snprintf(text, room, " novacore.net=eth0:%s/24", address);
	return text;
}

int make_network(struct traveller *traveller, struct nova_shape *shape, char *arguments,
                 size_t room)
{
	struct migration *self = traveller->self;
	int status;

	if (!self->blackout)
		return NOVA_DONE;
	status = self->lab->net_create(self->run, traveller->at, NOVA_NET_ISOLATED, 0,
	                               traveller->network);
	if (ends_the_run(status))
		return status;
	if (status != NOVA_DONE)
		return give_up(traveller, "a network for the VMs cannot be made");
	traveller->networks[0] = traveller->network;
	shape->networks = traveller->networks;
	address_argument(TRAVELLER, arguments, room);
	traveller->watched = 1;
	return NOVA_DONE;
}

static int start_witness(struct traveller *traveller)
{
	struct migration *self = traveller->self;
	char arguments[64];
	const struct nova_shape shape = {
	        .struct_size = sizeof(shape),
	        .memory_bytes = WITNESS_BYTES,
	        .networks = traveller->networks,
	        .arguments = address_argument(WITNESS, arguments, sizeof(arguments))};
	int status = self->lab->vm_create(self->run, traveller->at, &shape, 0, &traveller->witness);

	if (status == NOVA_DONE)
		status = self->lab->vm_power(self->run, traveller->witness, NOVA_POWER_START, 0);
	return status == NOVA_DONE
	               ? self->lab->wait(self->run, traveller->witness, NOVA_EVENT_READY, 0, NULL)
	               : status;
}

static int start_echo(struct traveller *traveller)
{
	const char *const argv[] = {PROBE, "echo", TRAVELLER, PORT, "86400", "background", NULL};
	char text[16];

	return run_in(traveller->self, traveller->vm, argv, text, sizeof(text));
}

int call_witness(struct traveller *traveller)
{
	int status;

	if (!traveller->watched)
		return NOVA_DONE;
	status = start_echo(traveller);
	if (ends_the_run(status))
		return status;
	if (status != NOVA_DONE)
		return give_up(traveller, "the VM does not answer on its network; novacore's "
		                          "appliance, booted directly, does");
	status = start_witness(traveller);
	if (ends_the_run(status))
		return status;
	return status == NOVA_DONE
	               ? NOVA_DONE
	               : give_up(traveller,
	                         "the second VM, which is to look on, did not become ready");
}

int begin_watch(struct traveller *traveller)
{
	struct migration *self = traveller->self;
	int64_t rate = SECOND_NS / self->probe_ns > 0 ? SECOND_NS / self->probe_ns : 1;
	int64_t seconds = (self->timeout_ns + self->window_ns) / SECOND_NS + SPARE_S;
	char rate_text[24], seconds_text[24];
	const char *const argv[] = {PROBE,     "watch",      TRAVELLER, PORT,
	                            rate_text, seconds_text, FILE_NAME, NULL};
	size_t length;
	int status;

	if (!traveller->watched)
		return NOVA_DONE;
	if (seconds > COUNT_MOST / rate)
		seconds = COUNT_MOST / rate;
	snprintf(rate_text, sizeof(rate_text), "%lld", (long long)rate);
	snprintf(seconds_text, sizeof(seconds_text), "%lld", (long long)seconds);
	status = run_in(self, traveller->witness, argv, traveller->pid, sizeof(traveller->pid));
	if (ends_the_run(status))
		return status;
	length = strspn(traveller->pid, "0123456789");
	if (status != NOVA_DONE || length == 0 || strcmp(traveller->pid + length, "\n") != 0)
		return give_up(traveller, "the second VM hears nothing from the one that is to "
		                          "migrate");
	traveller->pid[length] = '\0';
	return NOVA_DONE;
}

int end_watch(struct traveller *traveller, struct silence *silence)
{
	const char *const argv[] = {"sh", "-c", STOP, "novacore-blackout", traveller->pid, NULL};
	char text[128];
	int status;

	if (!traveller->watched)
		return NOVA_DONE;
	status = run_in(traveller->self, traveller->witness, argv, text, sizeof(text));
	if (ends_the_run(status))
		return status;
	if (status == NOVA_DONE && read_silence(text, silence) != 0)
		status = NOVA_E_FAILED;
	silence->known = status == NOVA_DONE;
	return silence->known ? NOVA_DONE
	                      : give_up(traveller, "the second VM does not say what it heard");
}
