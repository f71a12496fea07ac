/* SPDX-License-Identifier: MIT */
/*
 * Programs in a guest, by VMware Tools: the shell there runs one with its output in files of a
 * directory of its own; when it has ended, the files are fetched and removed. Where the op is given
 * up the directory stays, until the VM is deleted.
 */
#include "vsphere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the shell of a guest is given in one argument. */
#define COMMAND_BYTES 65536u

static void fetch(struct call *call, const char *file, uint32_t field);

/* --- requests -----------------------------------------------------------------------------------
 */

static void begin(struct call *call, const char *method, const struct moref *manager)
{
	soap_begin(call, method, manager);
	soap_add_moref(&call->body, "vm", &call->vm);
	nova_text_add(&call->body, "<auth xsi:type=\"NamePasswordAuthentication\">");
	nova_xml_add_flag(&call->body, "interactiveSession", 0);
	nova_xml_add(&call->body, "username", call->self->guest_user);
	nova_xml_add(&call->body, "password", call->self->guest_password);
	nova_text_add(&call->body, "</auth>");
}

static void add_file(struct call *call, const char *element, const char *file)
{
	struct nova_text path = {0};

	nova_text_printf(&path, "%s/%s", call->directory, file);
	nova_xml_add(&call->body, element, nova_text_get(&path));
	call->body.broken |= path.broken;
	nova_text_free(&path);
}

/* So that the shell takes it as one word. */
static void quote(struct nova_text *text, const char *word)
{
	nova_text_add(text, "'");
	for (; *word; word++) {
		if (*word == '\'')
			nova_text_add(text, "'\\''");
		else
			nova_text_append(text, word, 1);
	}
	nova_text_add(text, "'");
}

/* --- files --------------------------------------------------------------------------------------
 */

/* Where a file is to be had: on the server, which may call itself "*", or on a host of its. The
 * session stays here: the address has a token of its own. */
static int transfer(struct call *call, const char *url, const char *what, nova_step step,
                    struct nova_http_request *request)
{
	static const char *const no_session[] = {"Cookie:", NULL};
	const char *path = strncmp(url, "https://", 8) == 0 ? strchr(url + 8, '/') : NULL;

	if (!path) {
		call_puzzled(call, "it names no address for a file");
		return 0;
	}
	request->url = url[8] == '*' ? path : url;
	request->headers = no_session;
	nova_call_request(&call->base, step, what, request);
	return 1;
}

static int ignore(void *context, const char *bytes, size_t count)
{
	(void)context;
	(void)bytes;
	(void)count;
	return 0;
}

static int put_output(void *context, const char *bytes, size_t count)
{
	struct call *call = context;

	return call->self->host->put_bytes(call->base.op, call->field, bytes, count) != NOVA_DONE;
}

/* --- the end ------------------------------------------------------------------------------------
 */

static void ended(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	call->self->host->put_i64(call->base.op, NOVA_FIELD_EXIT_STATUS, call->exit_code);
	nova_call_done(&call->base);
}

static int not_removed(struct nova_call *base, const struct nova_refusal *refusal)
{
	(void)refusal;
	ended((struct call *)base, NULL); /* it is a VM of ours, and goes with it */
	return 1;
}

static void remove_files(struct call *call)
{
	begin(call, "DeleteDirectoryInGuest", &call->self->guest_files);
	nova_xml_add(&call->body, "directoryPath", call->directory);
	nova_xml_add_flag(&call->body, "recursive", 1);
	soap_order(call, ended);
	nova_call_on_refusal(&call->base, not_removed);
}

static void fetched(struct nova_call *base, const struct nova_reply *reply)
{
	struct call *call = (struct call *)base;

	(void)reply;
	if (call->field == NOVA_FIELD_STDOUT)
		fetch(call, "err", NOVA_FIELD_STDERR);
	else
		remove_files(call);
}

static void take_address(struct call *call, const struct nova_xml_node *result)
{
	struct nova_http_request request = {.chunk = put_output};

	if (nova_xml_number(result, VIM, "returnval/size", 1) == 0)
		fetched(&call->base, NULL);
	else
		transfer(call, nova_xml_text(result, VIM, "returnval/url", ""),
		         "the program's output", fetched, &request);
}

static void fetch(struct call *call, const char *file, uint32_t field)
{
	call->field = field;
	begin(call, "InitiateFileTransferFromGuest", &call->self->guest_files);
	add_file(call, "guestFilePath", file);
	soap_order(call, take_address); /* an address is good for one transfer */
}

/* --- the program --------------------------------------------------------------------------------
 */

static void ask_process(struct nova_call *base)
{
	struct call *call = (struct call *)base;

	begin(call, "ListProcessesInGuest", &call->self->guest_processes);
	nova_xml_add_number(&call->body, "pids", call->pid);
	soap_ask(call, NULL);
}

static void stop_process(struct nova_call *base)
{
	struct call *call = (struct call *)base;

	begin(call, "TerminateProcessInGuest", &call->self->guest_processes);
	nova_xml_add_number(&call->body, "pid", call->pid);
	soap_order(call, NULL);
}

static int look_at_process(struct nova_call *base, const struct nova_reply *reply,
                           struct nova_text *words)
{
	struct call *call = (struct call *)base;
	const struct nova_xml_node *process =
	        nova_xml_at(nova_xml_first(nova_xml_reply(reply), SOAP, "Body"), VIM,
	                    "ListProcessesInGuestResponse/returnval");

	(void)words;
	if (!process || nova_xml_number(process, VIM, "pid", 0) != call->pid) {
		/* VMware Tools forget ended programs after five minutes, or when they start anew */
		call_puzzled(call, "VMware Tools know nothing of the program any more");
		return NOVA_E_PROTOCOL;
	}
	if (!nova_xml_first(process, VIM, "endTime"))
		return NOVA_PENDING;
	call->exit_code = nova_xml_number(process, VIM, "exitCode", 0);
	return NOVA_DONE;
}

static void exited(struct nova_call *base, const struct nova_reply *reply)
{
	(void)reply;
	fetch((struct call *)base, "out", NOVA_FIELD_STDOUT);
}

static void take_pid(struct call *call, const struct nova_xml_node *result)
{
	struct nova_poll poll = {.name = "the program in the guest",
	                         .first_ns = call->self->poll_first_ns,
	                         .longest_ns = call->self->poll_longest_ns,
	                         .ask = ask_process,
	                         .look = look_at_process,
	                         .stop = stop_process,
	                         .then = exited};

	call->pid = nova_xml_number(result, VIM, "returnval", 0);
	if (call->pid <= 0) {
		call_puzzled(call, "VMware Tools gave no process number");
		return;
	}
	call->self->host->put_i64(call->base.op, NOVA_FIELD_GUEST_PID, call->pid);
	nova_call_poll(&call->base, &poll);
}

static void start_program(struct call *call)
{
	struct nova_text script = {0};
	struct nova_text arguments = {0};

	nova_text_printf(&script, "exec %s >%s/out 2>%s/err <%s%s", nova_text_get(&call->command),
	                 call->directory, call->directory, call->input.used ? call->directory : "",
	                 call->input.used ? "/in" : "/dev/null");
	nova_text_add(&arguments, "-c ");
	quote(&arguments, nova_text_get(&script));
	begin(call, "StartProgramInGuest", &call->self->guest_processes);
	nova_text_add(&call->body, "<spec xsi:type=\"GuestProgramSpec\">");
	nova_xml_add(&call->body, "programPath", "/bin/sh");
	nova_xml_add(&call->body, "arguments", nova_text_get(&arguments));
	nova_text_add(&call->body, "</spec>");
	call->body.broken |= script.broken || arguments.broken;
	nova_text_wipe(&script);
	nova_text_wipe(&arguments);
	soap_order(call, take_pid);
}

/* --- before it ----------------------------------------------------------------------------------
 */

static void input_sent(struct nova_call *base, const struct nova_reply *reply)
{
	(void)reply;
	start_program((struct call *)base);
}

static void send_input(struct call *call, const struct nova_xml_node *result)
{
	struct nova_http_request request = {.method = "PUT",
	                                    .content_type = "application/octet-stream",
	                                    .body = call->input.text,
	                                    .bytes = call->input.used,
	                                    .chunk = ignore};

	transfer(call, nova_xml_text(result, VIM, "returnval", ""), "the program's input",
	         input_sent, &request);
}

/* Something that the guest's shell could take for more than a name is no directory of ours. */
static int is_plain_path(const char *path)
{
	return path[0] == '/' && strlen(path) < 1024 &&
	       path[strspn(path, "/._-+abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                         "0123456789")] == '\0';
}

static void take_directory(struct call *call, const struct nova_xml_node *result)
{
	const char *path = nova_xml_text(result, VIM, "returnval", "");

	if (!is_plain_path(path)) {
		call_puzzled(call, "the guest's temporary directory has no path that is one");
		return;
	}
	call->directory = strdup(path);
	if (!call->directory) {
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	} else if (!call->input.used) {
		start_program(call);
	} else {
		begin(call, "InitiateFileTransferToGuest", &call->self->guest_files);
		add_file(call, "guestFilePath", "in");
		nova_text_add(&call->body, "<fileAttributes xsi:type=\"GuestPosixFileAttributes\">"
		                           "<permissions>384</permissions></fileAttributes>");
		nova_xml_add_number(&call->body, "fileSize", (int64_t)call->input.used);
		nova_xml_add_flag(&call->body, "overwrite", 0);
		soap_order(call, send_input);
	}
}

static void make_directory(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	begin(call, "CreateTemporaryDirectoryInGuest", &call->self->guest_files);
	nova_xml_add(&call->body, "prefix", "novacore-");
	nova_xml_add(&call->body, "suffix", "");
	soap_order(call, take_directory);
}

/* --- the ops ------------------------------------------------------------------------------------
 */

static const char *impossible(const struct vsphere *self)
{
	if (!self->tools)
		return "no VMware Tools: install them in the template and set "
		       "hypervisor.vsphere.tools=true";
	if (!self->guest_user || !self->guest_password)
		return "no account in the guest: set hypervisor.vsphere.guest_user and "
		       "…guest_password";
	if (!self->guest_processes.value[0] || !self->guest_files.value[0])
		return "this server has no guest operations";
	return NULL;
}

/* The API's environment replaces the whole one; the guest has env(1). */
static void fill_command(struct call *call, const struct nova_exec *exec)
{
	nova_text_add(&call->command, "env");
	for (size_t i = 0; exec->env && exec->env[i]; i++) {
		nova_text_add(&call->command, " ");
		quote(&call->command, exec->env[i]);
	}
	for (size_t i = 0; exec->argv[i]; i++) {
		nova_text_add(&call->command, " ");
		quote(&call->command, exec->argv[i]);
	}
	nova_text_append(&call->input, exec->input, (size_t)exec->input_bytes);
}

int vsphere_exec(void *self, nova_op op, const struct nova_ref *vm, const struct nova_exec *exec)
{
	struct vsphere *vsphere = self;
	const char *why = impossible(vsphere);
	struct call *call;

	if (!why && (!exec->argv || !exec->argv[0]))
		return vsphere->host->error(op, NOVA_E_INVALID, "no program to run");
	if (why)
		return vsphere->host->error(op, NOVA_E_UNSUPPORTED, why);
	call = call_new(vsphere, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	fill_command(call, exec);
	if (call->command.broken || call->input.broken)
		nova_call_fail(&call->base, NOVA_E_MEMORY, "out of memory");
	else if (call->command.used > COMMAND_BYTES)
		nova_call_fail(&call->base, NOVA_E_INVALID,
		               "a command of %zu bytes is more than a guest's shell takes in one "
		               "argument (%u)",
		               call->command.used, COMMAND_BYTES);
	else
		vm_identify(call, make_directory);
	return nova_call_return(&call->base);
}

static void killed(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	nova_call_done(&call->base);
}

static void send_kill(struct call *call, const struct nova_xml_node *unused)
{
	(void)unused;
	begin(call, "TerminateProcessInGuest", &call->self->guest_processes);
	nova_xml_add_number(&call->body, "pid", call->pid);
	soap_order(call, killed);
}

int vsphere_exec_kill(void *self, nova_op op, const struct nova_ref *vm, int64_t pid)
{
	struct vsphere *vsphere = self;
	const char *why = impossible(vsphere);
	struct call *call;

	if (why)
		return vsphere->host->error(op, NOVA_E_UNSUPPORTED, why);
	call = call_new(vsphere, op, vm);
	if (!call)
		return NOVA_E_INVALID;
	call->pid = pid;
	vm_identify(call, send_kill);
	return nova_call_return(&call->base);
}
