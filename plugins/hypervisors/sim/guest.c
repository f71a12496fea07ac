/* SPDX-License-Identifier: MIT */
/*
 * The guest's programs: echo, cat, true, false, exit N and sleep S. Enough to test whatever runs
 * programs in guests; nothing is executed anywhere.
 */
#include "sim.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_MAX_BYTES (1u << 20)
#define SIGKILL_NUMBER   9
#define PROGRESS         "/run/novacore-dirty" /* of the appliance's load on memory */

/* Everything that a program does, known before it starts. */
struct program {
	char *output;
	uint64_t bytes;
	int64_t exit_status, runs_ns;
	int to_stderr, tells_progress;
};

/* `bytes` more bytes; silently no more than OUTPUT_MAX_BYTES. */
static int say(struct program *program, const void *text, uint64_t bytes)
{
	char *output;

	if (program->bytes + bytes > OUTPUT_MAX_BYTES)
		bytes = OUTPUT_MAX_BYTES - program->bytes;
	output = realloc(program->output, program->bytes + bytes + 1);
	if (!output)
		return NOVA_E_MEMORY;
	if (bytes)
		memcpy(output + program->bytes, text, bytes);
	program->output = output;
	program->bytes += bytes;
	return NOVA_DONE;
}

static int echo(struct program *program, const char *const *words)
{
	int status = NOVA_DONE;

	for (; *words && status == NOVA_DONE; words++) {
		status = say(program, *words, strlen(*words));
		if (status == NOVA_DONE && words[1])
			status = say(program, " ", 1);
	}
	return status == NOVA_DONE ? say(program, "\n", 1) : status;
}

static int complain(struct program *program, const char *what, const char *why, int exit_status)
{
	char text[256];

	snprintf(text, sizeof(text), "%.150s: %s\n", what, why);
	program->to_stderr = 1;
	program->exit_status = exit_status;
	return say(program, text, strlen(text));
}

/* argv[1] as a number from 0 to `most`, or −1. */
static double number(const char *const *argv, double most)
{
	char *end;
	double value;

	if (!argv[1] || argv[2])
		return -1;
	value = strtod(argv[1], &end);
	return end != argv[1] && !*end && isfinite(value) && value <= most ? value : -1;
}

static int understand(struct program *program, const struct nova_exec *exec)
{
	const char *slash = strrchr(exec->argv[0], '/');
	const char *name = slash ? slash + 1 : exec->argv[0];
	double value;

	if (strcmp(name, "echo") == 0)
		return echo(program, exec->argv + 1);
	if (strcmp(name, "cat") == 0 && exec->argv[1] && !exec->argv[2] &&
	    strcmp(exec->argv[1], PROGRESS) == 0)
		return program->tells_progress = 1, NOVA_DONE;
	if (strcmp(name, "cat") == 0 && exec->argv[1])
		return complain(program, exec->argv[1], "No such file or directory", 1);
	if (strcmp(name, "cat") == 0)
		return say(program, exec->input, exec->input ? exec->input_bytes : 0);
	if (strcmp(name, "true") == 0)
		return NOVA_DONE;
	if (strcmp(name, "false") == 0)
		return program->exit_status = 1, NOVA_DONE;
	if (strcmp(name, "exit") == 0) {
		value = number(exec->argv, 255);
		if (value < 0 || value != floor(value))
			return complain(program, "exit", "want one number from 0 to 255", 2);
		program->exit_status = (int64_t)value;
		return NOVA_DONE;
	}
	if (strcmp(name, "sleep") == 0) {
		value = number(exec->argv, 86400);
		if (value < 0)
			return complain(program, "sleep", "want one number of seconds", 2);
		program->runs_ns = llround(value * 1e9);
		return NOVA_DONE;
	}
	return complain(program, exec->argv[0],
	                "not found (a simulated guest has echo, cat, true, false, exit and sleep)",
	                127);
}

/* As novacore's init does for a load on memory: "PAGES NS", a thousand pages a second for ever. */
static int tell_progress(struct task *task)
{
	char text[64];

	snprintf(text, sizeof(text), "%020" PRId64 " %020" PRId64 "\n", task->due_ns / 1000000,
	         task->due_ns);
	task->text = strdup(text);
	task->text_bytes = strlen(text);
	return task->text ? NOVA_DONE : NOVA_E_MEMORY;
}

static int finish_exec(struct sim *sim, struct task *task, struct vm *vm)
{
	const struct nova_host *host = sim->host;

	if (!vm || vm->life != task->life || vm->state == NOVA_STATE_OFF)
		return host->errorf(task->op, NOVA_E_FAILED,
		                    "VM %s stopped while a program ran in it", task->name);
	if (task->killed) {
		host->put_i64(task->op, NOVA_FIELD_SIGNAL, SIGKILL_NUMBER);
		return NOVA_DONE;
	}
	if (task->tells_progress && tell_progress(task) != NOVA_DONE)
		return host->error(task->op, NOVA_E_MEMORY, "out of memory");
	/* Two chunks, because a real driver's output comes in several. */
	if (task->text_bytes > 1)
		host->put_bytes(task->op, task->to_stderr ? NOVA_FIELD_STDERR : NOVA_FIELD_STDOUT,
		                task->text, task->text_bytes / 2);
	if (task->text_bytes > 0)
		host->put_bytes(task->op, task->to_stderr ? NOVA_FIELD_STDERR : NOVA_FIELD_STDOUT,
		                task->text + task->text_bytes / 2,
		                task->text_bytes - task->text_bytes / 2);
	host->put_i64(task->op, NOVA_FIELD_EXIT_STATUS, task->exit_status);
	return NOVA_DONE;
}

int sim_exec(void *self, nova_op op, const struct nova_ref *ref, const struct nova_exec *exec)
{
	struct sim *sim = self;
	const struct nova_host *host = sim->host;
	struct program program = {0};
	struct task *task = NULL;
	struct vm *vm;
	int status = sim_can(sim, op, NOVA_CAN_EXEC);

	op_begins(sim);
	if (status != NOVA_DONE)
		return status;
	if (!exec || !exec->argv || !exec->argv[0])
		return host->error(op, NOVA_E_INVALID, "no program to run");
	vm = vm_enter(sim, op, ref, 0, &status);
	if (!vm)
		return status;
	if (vm->state != NOVA_STATE_RUNNING || !vm->ready) {
		status = host->errorf(op, NOVA_E_BUSY,
		                      "cannot run %s in VM %s: its agent does not answer",
		                      exec->argv[0], vm->name);
		goto error;
	}
	task = task_new(op, EXEC, vm->name);
	if (!task || understand(&program, exec) != NOVA_DONE) {
		status = host->error(op, NOVA_E_MEMORY, "out of memory");
		goto error;
	}
	task->life = vm->life;
	task->pid = (int64_t)++sim->counter;
	task->due_ns = program.runs_ns;
	task->text = program.output;
	task->text_bytes = program.bytes;
	task->to_stderr = program.to_stderr;
	task->tells_progress = program.tells_progress;
	task->exit_status = program.exit_status;
	task->finish = finish_exec;
	host->put_i64(op, NOVA_FIELD_GUEST_PID, task->pid);
	return task_run(sim, task, vm);
error:
	pthread_mutex_unlock(&sim->lock);
	if (task)
		task_free(task);
	free(program.output);
	return status;
}

int sim_exec_kill(void *self, nova_op op, const struct nova_ref *ref, int64_t pid)
{
	struct sim *sim = self;
	int status;

	(void)ref;
	status = pid > 0 ? task_kill(sim, pid) : NOVA_E_NOT_FOUND;
	return status == NOVA_DONE
	               ? status
	               : sim->host->errorf(op, status, "no process %lld runs", (long long)pid);
}
