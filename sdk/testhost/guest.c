/* SPDX-License-Identifier: MIT */
/* What a simulated VM tells of itself, and the programs that it only seems to run. */
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- queries ----------------------------------------------- */

/* A VM keeps a quarter of a CPU and of its memory busy. */
static void put_stats(struct doing *doing)
{
	const struct vm *vm = doing->vm;
	int64_t up_ns = vm->started_ns ? doing->task->now_ns - vm->started_ns : 0;

	th_put_i64(doing, NOVA_FIELD_CPU_NS, up_ns / 4);
	th_put_i64(doing, NOVA_FIELD_MEMORY_BYTES, (int64_t)vm->memory_bytes);
	th_put_i64(doing, NOVA_FIELD_RESIDENT_BYTES, (int64_t)vm->memory_bytes / 4);
	th_put_i64(doing, NOVA_FIELD_DISK_READ_BYTES, 64 * MEBIBYTE);
	th_put_i64(doing, NOVA_FIELD_DISK_WRITE_BYTES, 16 * MEBIBYTE);
	th_put_i64(doing, NOVA_FIELD_DISK_READS, 1024);
	th_put_i64(doing, NOVA_FIELD_DISK_WRITES, 256);
	th_put_i64(doing, NOVA_FIELD_NET_RX_BYTES, MEBIBYTE);
	th_put_i64(doing, NOVA_FIELD_NET_TX_BYTES, MEBIBYTE);
	th_put_i64(doing, NOVA_FIELD_DISK_ALLOCATED_BYTES, 16 * MEBIBYTE);
	th_put_presets(doing, NOVA_FIELD_CPU_NS, NOVA_FIELD_TICKET - 1);
}

int th_lab_vm_query(nova_run run, nova_vm number, uint32_t what, int64_t deadline_ns)
{
	static const char *const words[] = {"vm_query", "vm_query.state", "vm_query.stats",
	                                    "vm_query.address"};
	struct doing doing;
	int status = th_begin(&doing, run, words[what <= NOVA_QUERY_ADDRESS ? what : 0], number,
	                      deadline_ns);
	char address[32];

	if (status != NOVA_DONE)
		return status;
	if (what < NOVA_QUERY_STATE || what > NOVA_QUERY_ADDRESS)
		return th_go(&doing, th_broken(&doing, "there is no query %u", what));
	status = th_find(&doing, number);
	if (status == NOVA_DONE && what != NOVA_QUERY_STATE)
		status = th_able(&doing,
		                 what == NOVA_QUERY_STATS ? NOVA_CAN_STATS : NOVA_CAN_ADDRESS);
	if (status == NOVA_DONE)
		status = th_pass(&doing);
	if (status != NOVA_DONE)
		return th_go(&doing, status);
	if (what == NOVA_QUERY_STATE) {
		th_put_i64(&doing, NOVA_FIELD_STATE, th_state_of(doing.vm, doing.task->now_ns));
		th_put_i64(&doing, NOVA_FIELD_PID, 1000 + (int64_t)number);
	} else if (what == NOVA_QUERY_STATS) {
		put_stats(&doing);
	} else { /* 192.0.2.0/24 is for documents (RFC 5737) */
		snprintf(address, sizeof(address), "192.0.2.%u", (unsigned)(number % 254 + 1));
		th_put_fact(&doing, NOVA_FIELD_ADDRESS, "eth0", address);
	}
	return th_go(&doing, status);
}

/* --- programs ----------------------------------------------------------------------------- */

/* argv with blanks between. */
static char *command_line(const char *const *argv)
{
	size_t used = 0;
	char *all = NULL;

	for (; *argv; argv++) {
		all = th_memory(all, used + strlen(*argv) + 2);
		used += (size_t)sprintf(all + used, used ? " %s" : "%s", *argv);
	}
	return all;
}

static int check_exec(struct doing *doing, const struct nova_exec *exec)
{
	if (!exec || th_sized(doing, "exec", exec->struct_size, sizeof(*exec)) != NOVA_DONE)
		return exec ? NOVA_E_INVALID : th_broken(doing, "no program");
	if (!exec->argv || !exec->argv[0] || !exec->argv[0][0])
		return th_broken(doing, "no program: argv is empty");
	for (const char *const *env = exec->env; env && *env; env++)
		if (!strchr(*env, '='))
			return th_broken(doing, "\"%s\" of env is not NAME=value", *env);
	if (exec->input_bytes > 0 && !exec->input)
		return th_broken(doing, "input_bytes, but no input");
	return NOVA_DONE;
}

static int run_program(struct doing *doing, const struct nova_exec *exec)
{
	struct lab *lab = doing->lab;
	const struct program *program = th_script_program(lab, exec->argv[0]);
	int64_t ended = program ? program->status : 0;
	int status;

	lab->commands = th_grow(lab->commands, lab->command_count, sizeof(*lab->commands));
	lab->commands[lab->command_count++] = command_line(exec->argv);
	status = th_pass(doing);
	if (status != NOVA_DONE)
		return status;
	if (doing->vm)
		th_put_i64(doing, NOVA_FIELD_GUEST_PID, 1000 + lab->command_count);
	if (program && *program->output)
		th_add_result(&doing->task->last,
		              &(struct result){.field = NOVA_FIELD_STDOUT,
		                               .type = 'b',
		                               .text = program->output,
		                               .bytes = strlen(program->output)});
	th_put_i64(doing, ended < 0 ? NOVA_FIELD_SIGNAL : NOVA_FIELD_EXIT_STATUS,
	           ended < 0 ? -ended : ended);
	th_put_presets(doing, NOVA_FIELD_STDOUT, NOVA_FIELD_STARTED_NS - 1);
	return NOVA_DONE;
}

int th_lab_exec(nova_run run, nova_vm number, const struct nova_exec *exec, int64_t deadline_ns)
{
	struct doing doing;
	int status = th_begin(&doing, run, "exec", number, deadline_ns);

	if (status != NOVA_DONE)
		return status;
	status = check_exec(&doing, exec);
	if (status == NOVA_DONE && number != 0) {
		status = th_find(&doing, number);
		if (status == NOVA_DONE)
			status = th_able(&doing, NOVA_CAN_EXEC);
		if (status == NOVA_DONE)
			status = th_in_state(&doing, FROM(RUNNING));
		if (status == NOVA_DONE && !th_is_ready(doing.vm, doing.started_ns) &&
		    !th_script_denial(doing.lab, NOVA_CAN_READY))
			status = th_fail(&doing, NOVA_E_BUSY,
			                 "the VM takes no commands yet: wait for READY");
	}
	if (status == NOVA_DONE)
		status = run_program(&doing, exec);
	return th_go(&doing, status);
}

int th_lab_process(struct nova_testhost *host, const struct nova_exec *exec,
                   void (*output)(void *, uint32_t, const void *, uint64_t), void *context,
                   int32_t *ended)
{
	struct doing doing;
	int status = th_begin(&doing, host->instance, "process", 0, 0);
	const struct result *found;
	char *text = NULL;
	uint32_t count;

	if (status != NOVA_DONE)
		return status;
	doing.word = "exec"; /* scripts of it hold for this too */
	status = check_exec(&doing, exec);
	if (status == NOVA_DONE)
		status = run_program(&doing, exec);
	if (status == NOVA_DONE) {
		found = th_find_result(&doing.task->last, NOVA_FIELD_SIGNAL, 0, &count);
		if (ended && found)
			*ended = -(int32_t)found->i64;
		found = th_find_result(&doing.task->last, NOVA_FIELD_EXIT_STATUS, 0, &count);
		if (ended && found)
			*ended = (int32_t)found->i64;
		found = th_find_result(&doing.task->last, NOVA_FIELD_STDOUT, 0, &count);
		text = found ? th_copy(found->text) : NULL;
	}
	status = th_go(&doing, status);
	if (text && output)
		output(context, NOVA_FIELD_STDOUT, text, strlen(text));
	free(text);
	return status;
}
