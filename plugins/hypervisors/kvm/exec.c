/* SPDX-License-Identifier: MIT */
/*
 * Programs in a guest, through its agent. The agent returns output only at the end and in one
 * message, which libvirt limits and reads in quadratic time; so a shell in the guest redirects the
 * output to files and becomes the program, and the files are fetched when it has ended: small ones
 * at once, large ones in chunks. The guest needs a /bin/sh.
 */
#include "kvm.h"

#include <libvirt/libvirt-qemu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INLINE_BYTES 65536 /* of output, fetched in one message */
#define CHUNK_BYTES  98304 /* of a file; 128 KiB as base64 */
#define NO_FILES     121   /* exit statuses of the fetching script */
#define LARGE        122

#define WHERE "for d in /tmp /var/tmp /run /dev/shm; do "

/* $1: name of the files, $2: 1 if input comes from one, then NAME=value …, --, the program */
static const char run_script[] =
        "n=$1 i=$2; shift 2\n" WHERE "[ -d $d ] && [ -w $d ] && break; done\n"
        "while [ \"$1\" != -- ]; do export \"$1\"; shift; done; shift\n"
        "[ $i = 1 ] && exec <$d/$n.i\n"
        "exec \"$@\" >$d/$n.o 2>$d/$n.e\n";
/* $1: name of the files, $2: how much may come inline */
static const char fetch_script[] = "n=$1\n" WHERE "[ -e $d/$n.o ] && break; d=; done\n"
                                   "[ -n \"$d\" ] || exit 121\n"
                                   "o=$(wc -c <$d/$n.o) e=$(wc -c <$d/$n.e)\n"
                                   "if [ $((o + e)) -gt $2 ]; then echo $d; exit 122; fi\n"
                                   "cat $d/$n.o; cat $d/$n.e >&2; rm -f $d/$n.o $d/$n.e $d/$n.i\n";
static const char remove_script[] = "rm -f $1.o $1.e $1.i";
/* A killed shell must not leave its pipeline running, nor run on when its pipeline is gone: each is
 * stopped before its children are killed. */
static const char kill_script[] =
        "k() { kill -STOP $1; for c in $(cat /proc/$1/task/*/children 2>/dev/null); do k $c; done; "
        "kill -KILL $1; }; k $1";
static const char place_script[] = WHERE "[ -d $d ] && [ -w $d ] && break; done; echo $d";

/* One program in the guest: what it was given, and what became of it. */
struct job {
	struct kvm *self;
	nova_op op;
	virDomainPtr domain;
	int64_t pid;
	json_t *end; /* guest-exec-status once it has exited */
};

static int start(struct job *job, const char *path, json_t *arguments, const void *input,
                 size_t input_bytes)
{
	char *encoded = input ? kvm_base64(input, input_bytes) : NULL;
	json_t *answer = NULL;
	json_t *options =
	        json_pack("{s:s, s:o, s:b}", "path", path, "arg", arguments, "capture-output", 1);
	if (encoded)
		json_object_set_new(options, "input-data", json_string(encoded));
	free(encoded);
	int status = kvm_agent(
	        job->self, job->op, job->domain,
	        json_pack("{s:s, s:o}", "execute", "guest-exec", "arguments", options), &answer);
	job->pid = json_integer_value(json_object_get(answer, "pid"));
	json_decref(answer);
	return status;
}

static int ask_status(struct job *job, json_t **answer)
{
	return kvm_agent(job->self, job->op, job->domain,
	                 json_pack("{s:s, s:{s:I}}", "execute", "guest-exec-status", "arguments",
	                           "pid", (json_int_t)job->pid),
	                 answer);
}

/* Looks at once, then at growing intervals up to `exec_poll`. */
static int await(struct job *job)
{
	const struct nova_host *host = job->self->host;
	int64_t pause = KVM_MS, longest = kvm_number(job->self, "exec_poll", 50 * KVM_MS);
	for (;;) {
		json_t *answer = NULL;
		int status = ask_status(job, &answer);
		if (status != NOVA_DONE)
			return status;
		if (json_is_true(json_object_get(answer, "exited"))) {
			job->end = answer;
			return NOVA_DONE;
		}
		json_decref(answer);
		if (host->cancelled(job->op))
			return NOVA_E_CANCELLED;
		int64_t now = host->now_ns(), deadline = host->deadline_ns(job->op);
		if (now >= deadline)
			return host->errorf(job->op, NOVA_E_TIMEOUT,
			                    "the program in VM %s did not end in time",
			                    virDomainGetName(job->domain));
		kvm_sleep_until(now + pause < deadline ? now + pause : deadline);
		pause = pause * 3 / 2 < longest ? pause * 3 / 2 : longest;
	}
}

/* Runs a script of ours to its end. */
static int run_script_once(struct job *job, const char *script, const char *first,
                           const char *second)
{
	json_t *arguments = json_pack("[s, s, s, s*, s*]", "-c", script, "novacore", first, second);
	int status = start(job, "/bin/sh", arguments, NULL, 0);
	return status == NOVA_DONE ? await(job) : status;
}

static void forget(struct job *job)
{
	json_decref(job->end);
	job->end = NULL;
}

static int64_t exit_code(const struct job *job)
{
	json_t *code = json_object_get(job->end, "exitcode");
	return code ? json_integer_value(code) : -1;
}

static int put_captured(struct job *job, const char *key, uint32_t field)
{
	const char *text = json_string_value(json_object_get(job->end, key));
	size_t count = 0;
	void *bytes = text ? kvm_unbase64(text, &count) : NULL;
	if (text && !bytes)
		return job->self->host->errorf(job->op, NOVA_E_PROTOCOL,
		                               "the guest agent of VM %s sent broken base64",
		                               virDomainGetName(job->domain));
	if (count > 0)
		job->self->host->put_bytes(job->op, field, bytes, count);
	free(bytes);
	return NOVA_DONE;
}

/* What the agent captured itself. */
static int put_capture(struct job *job)
{
	int status = put_captured(job, "out-data", NOVA_FIELD_STDOUT);
	if (status == NOVA_DONE)
		status = put_captured(job, "err-data", NOVA_FIELD_STDERR);
	if (json_is_true(json_object_get(job->end, "out-truncated")) ||
	    json_is_true(json_object_get(job->end, "err-truncated")))
		job->self->host->put_i64(job->op, NOVA_FIELD_TRUNCATED, 1);
	return status;
}

static int file_open(struct job *job, const char *path, const char *mode, int64_t *handle)
{
	json_t *answer = NULL;
	int status = kvm_agent(job->self, job->op, job->domain,
	                       json_pack("{s:s, s:{s:s, s:s}}", "execute", "guest-file-open",
	                                 "arguments", "path", path, "mode", mode),
	                       &answer);
	*handle = json_integer_value(answer);
	json_decref(answer);
	return status;
}

static int file_close(struct job *job, int64_t handle)
{
	json_t *answer = NULL;
	int status = kvm_agent(job->self, job->op, job->domain,
	                       json_pack("{s:s, s:{s:I}}", "execute", "guest-file-close",
	                                 "arguments", "handle", (json_int_t)handle),
	                       &answer);
	json_decref(answer);
	return status;
}

/* One chunk; *end when there is no more. */
static int file_read(struct job *job, int64_t handle, uint32_t field, bool *end)
{
	json_t *answer = NULL;
	int status = kvm_agent(job->self, job->op, job->domain,
	                       json_pack("{s:s, s:{s:I, s:i}}", "execute", "guest-file-read",
	                                 "arguments", "handle", (json_int_t)handle, "count",
	                                 CHUNK_BYTES),
	                       &answer);
	const char *text = json_string_value(json_object_get(answer, "buf-b64"));
	size_t count = 0;
	void *bytes = text ? kvm_unbase64(text, &count) : NULL;
	if (status == NOVA_DONE && text && !bytes)
		status = job->self->host->error(job->op, NOVA_E_PROTOCOL,
		                                "the guest agent sent broken base64");
	if (status == NOVA_DONE && count > 0)
		job->self->host->put_bytes(job->op, field, bytes, count);
	*end = count == 0 || json_is_true(json_object_get(answer, "eof"));
	free(bytes);
	json_decref(answer);
	return status;
}

static int fetch_file(struct job *job, const char *stem, const char *suffix, uint32_t field)
{
	char *path = kvm_format("%s.%s", stem, suffix);
	int64_t handle = 0;
	bool end = false;
	int status = path ? file_open(job, path, "r", &handle) : NOVA_E_MEMORY;
	free(path);
	if (status != NOVA_DONE)
		return status;
	while (status == NOVA_DONE && !end)
		status = job->self->host->cancelled(job->op) ? NOVA_E_CANCELLED
		                                             : file_read(job, handle, field, &end);
	int closed = file_close(job, handle);
	return status == NOVA_DONE ? closed : status;
}

/* Fetches what the program wrote; false in *found if the shell could not make the files. */
static int fetch(struct job *job, const char *files, bool *found)
{
	char limit[16], *folder = NULL, *stem = NULL;
	size_t count;
	snprintf(limit, sizeof(limit), "%d", INLINE_BYTES);
	int status = run_script_once(job, fetch_script, files, limit);
	*found = status == NOVA_DONE && exit_code(job) != NO_FILES;
	if (status != NOVA_DONE || !*found)
		goto done;
	if (exit_code(job) != LARGE) {
		status = put_capture(job);
		goto done;
	}
	const char *out = json_string_value(json_object_get(job->end, "out-data"));
	folder = out ? kvm_unbase64(out, &count) : NULL;
	if (folder)
		folder[strcspn(folder, "\n")] = '\0';
	stem = folder ? kvm_format("%s/%s", folder, files) : NULL;
	if (!stem) {
		status = job->self->host->error(job->op, NOVA_E_PROTOCOL,
		                                "the guest did not say where the output is");
		goto done;
	}
	status = fetch_file(job, stem, "o", NOVA_FIELD_STDOUT);
	if (status == NOVA_DONE)
		status = fetch_file(job, stem, "e", NOVA_FIELD_STDERR);
	forget(job);
	if (status == NOVA_DONE)
		status = run_script_once(job, remove_script, stem, NULL);
done:
	free(folder);
	free(stem);
	forget(job);
	return status;
}

/* Input beyond one message goes into a file first. */
static int put_input(struct job *job, const char *files, const struct nova_exec *exec)
{
	size_t length = 0;
	int64_t handle = 0;
	char *folder = NULL, *path = NULL;
	int status = run_script_once(job, place_script, NULL, NULL);
	const char *out = json_string_value(json_object_get(job->end, "out-data"));
	if (status == NOVA_DONE)
		folder = out ? kvm_unbase64(out, &length) : NULL;
	forget(job);
	if (folder)
		folder[strcspn(folder, "\n")] = '\0';
	path = folder ? kvm_format("%s/%s.i", folder, files) : NULL;
	if (status == NOVA_DONE)
		status = path ? file_open(job, path, "w", &handle)
		              : job->self->host->error(job->op, NOVA_E_PROTOCOL,
		                                       "the guest did not say where input may go");
	for (uint64_t at = 0; handle && status == NOVA_DONE && at < exec->input_bytes;) {
		uint64_t left = exec->input_bytes - at;
		size_t take = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
		char *text = kvm_base64((const char *)exec->input + at, take);
		json_t *answer = NULL;
		status = kvm_agent(job->self, job->op, job->domain,
		                   json_pack("{s:s, s:{s:I, s:s}}", "execute", "guest-file-write",
		                             "arguments", "handle", (json_int_t)handle, "buf-b64",
		                             text ? text : ""),
		                   &answer);
		int64_t written = json_integer_value(json_object_get(answer, "count"));
		json_decref(answer);
		free(text);
		if (status == NOVA_DONE && written <= 0)
			status = job->self->host->error(job->op, NOVA_E_FULL,
			                                "the guest could not take the input");
		at += written > 0 ? (uint64_t)written : 0;
	}
	if (handle) {
		int closed = file_close(job, handle);
		status = status == NOVA_DONE ? closed : status;
	}
	free(folder);
	free(path);
	return status;
}

static int put_end(struct job *job, json_t *end)
{
	json_t *code = json_object_get(end, "exitcode"), *signal = json_object_get(end, "signal");
	if (signal)
		job->self->host->put_i64(job->op, NOVA_FIELD_SIGNAL, json_integer_value(signal));
	else if (code)
		job->self->host->put_i64(job->op, NOVA_FIELD_EXIT_STATUS, json_integer_value(code));
	else
		return job->self->host->errorf(
		        job->op, NOVA_E_PROTOCOL,
		        "the guest agent of VM %s did not say how the program "
		        "ended",
		        virDomainGetName(job->domain));
	return NOVA_DONE;
}

/* After a timeout or cancellation: the program must not go on in the guest. Its own errors are of
 * no interest. */
static void kill_now(struct job *job, int64_t pid)
{
	char number[24], *text;
	snprintf(number, sizeof(number), "%lld", (long long)pid);
	json_t *command =
	        json_pack("{s:s, s:{s:s, s:[s, s, s, s]}}", "execute", "guest-exec", "arguments",
	                  "path", "/bin/sh", "arg", "-c", kill_script, "novacore", number);
	text = command ? json_dumps(command, JSON_COMPACT) : NULL;
	if (text)
		free(virDomainQemuAgentCommand(job->domain, text, 2, 0));
	free(text);
	json_decref(command);
}

static bool valid_env(const char *const *env)
{
	for (; env && *env; env++) {
		size_t name = strspn(*env, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
		                           "0123456789");
		if (name == 0 || (*env)[name] != '=' || strchr("0123456789", (*env)[0]))
			return false;
	}
	return true;
}

static json_t *shell_arguments(const char *files, bool input_file, const struct nova_exec *exec)
{
	json_t *list = json_pack("[s, s, s, s, s]", "-c", run_script, "novacore", files,
	                         input_file ? "1" : "0");
	for (const char *const *env = exec->env; env && *env; env++)
		json_array_append_new(list, json_string(*env));
	json_array_append_new(list, json_string("--"));
	for (const char *const *argument = exec->argv; *argument; argument++)
		json_array_append_new(list, json_string(*argument));
	return list;
}

static int run(struct job *job, const char *files, const struct nova_exec *exec)
{
	bool input_file = exec->input_bytes > INLINE_BYTES, found = false;
	int status = input_file ? put_input(job, files, exec) : NOVA_DONE;
	if (status == NOVA_DONE)
		status = start(job, "/bin/sh", shell_arguments(files, input_file, exec),
		               input_file ? NULL : exec->input, (size_t)exec->input_bytes);
	if (status != NOVA_DONE)
		return status;
	int64_t pid = job->pid;
	job->self->host->put_i64(job->op, NOVA_FIELD_GUEST_PID, pid);
	status = await(job);
	if (status != NOVA_DONE) {
		kill_now(job, pid);
		return status;
	}
	json_t *end = job->end;
	job->end = NULL;
	status = fetch(job, files, &found);
	if (status == NOVA_DONE && !found) { /* the shell itself failed and said why */
		job->end = json_incref(end);
		status = put_capture(job);
		forget(job);
	}
	if (status == NOVA_DONE)
		status = put_end(job, end);
	json_decref(end);
	return status;
}

int kvm_exec(void *instance, nova_op op, const struct nova_ref *ref, const struct nova_exec *exec)
{
	struct kvm *self = instance;
	struct job job = {.self = self, .op = op};
	int status;
	if (!exec->argv || !exec->argv[0] || !valid_env(exec->env))
		return self->host->error(
		        op, NOVA_E_INVALID,
		        "nothing to run, or an environment that is not NAME=value");
	status = kvm_lookup(self, op, ref, &job.domain);
	if (status != NOVA_DONE)
		return status;
	pthread_mutex_lock(&self->lock);
	uint64_t number = ++self->counter;
	pthread_mutex_unlock(&self->lock);
	char *files = kvm_format("novacore-%llx-%llx", (unsigned long long)self->host->now_ns(),
	                         (unsigned long long)number);
	status = files ? run(&job, files, exec)
	               : self->host->error(op, NOVA_E_MEMORY, "out of memory");
	free(files);
	forget(&job);
	virDomainFree(job.domain);
	return status;
}

int kvm_exec_kill(void *instance, nova_op op, const struct nova_ref *ref, int64_t pid)
{
	struct kvm *self = instance;
	struct job job = {.self = self, .op = op};
	char number[24];
	int status = kvm_lookup(self, op, ref, &job.domain);
	if (status != NOVA_DONE)
		return status;
	snprintf(number, sizeof(number), "%lld", (long long)pid);
	if (pid <= 1)
		status = self->host->errorf(op, NOVA_E_INVALID, "%s is no program's process id",
		                            number);
	else
		status = run_script_once(&job, kill_script, number, NULL);
	if (status == NOVA_DONE && exit_code(&job) != 0)
		status = self->host->errorf(op, NOVA_E_NOT_FOUND,
		                            "VM %s has no process %s that can be killed", ref->name,
		                            number);
	forget(&job);
	virDomainFree(job.domain);
	return status;
}
