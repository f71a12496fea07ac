/* SPDX-License-Identifier: MIT */
/*
 * Errors as sentences, and the one table that says what each code is called and how the process
 * exits for it. Secrets are taken out before a text is cut, so that no half of one survives.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"

static const struct {
	int code;
	const char *name;
	int exit;
} codes[] = {
        {0, "ok", 0},
        {NOVA_E_INVALID, "invalid", 2},
        {NOVA_E_UNSUPPORTED, "unsupported", 3},
        {NOVA_E_UNAVAILABLE, "unavailable", 3},
        {NOVA_E_PERMISSION, "permission", 3},
        {NOVA_E_NOT_FOUND, "not_found", 2},
        {NOVA_E_EXISTS, "exists", 2},
        {NOVA_E_BUSY, "busy", 3},
        {NOVA_E_TIMEOUT, "timeout", 4},
        {NOVA_E_CANCELLED, "cancelled", 130},
        {NOVA_E_FAILED, "failed", 4},
        {NOVA_E_PROTOCOL, "protocol", 4},
        {NOVA_E_MEMORY, "memory", 4},
        {NOVA_E_IO, "io", 4},
        {NOVA_E_FULL, "full", 4},
        {NOVA_E_REFUSED, "refused", 5},
        {NOVA_E_INTERNAL, "internal", 4},
        {NOVA_E_INTERRUPTED, "interrupted", 130},
        {NOVA_E_UNKNOWN, "unknown", 4},
};

static const struct {
	int number, code;
} errnos[] = {
        {EACCES, NOVA_E_PERMISSION},
        {EPERM, NOVA_E_PERMISSION},
        {EROFS, NOVA_E_PERMISSION},
        {ENOENT, NOVA_E_NOT_FOUND},
        {ESRCH, NOVA_E_NOT_FOUND},
        {EEXIST, NOVA_E_EXISTS},
        {ENOTEMPTY, NOVA_E_EXISTS},
        {EBUSY, NOVA_E_BUSY},
        {EAGAIN, NOVA_E_BUSY},
        {ETXTBSY, NOVA_E_BUSY},
        {EADDRINUSE, NOVA_E_BUSY},
        {ETIMEDOUT, NOVA_E_TIMEOUT},
        {ECANCELED, NOVA_E_CANCELLED},
        {EINTR, NOVA_E_INTERRUPTED},
        {ENOSPC, NOVA_E_FULL},
        {EDQUOT, NOVA_E_FULL},
        {ENOMEM, NOVA_E_MEMORY},
        {ENOSYS, NOVA_E_UNSUPPORTED},
        {EOPNOTSUPP, NOVA_E_UNSUPPORTED},
        {ENODEV, NOVA_E_UNAVAILABLE},
        {ENXIO, NOVA_E_UNAVAILABLE},
        {ECONNREFUSED, NOVA_E_UNAVAILABLE},
        {EHOSTUNREACH, NOVA_E_UNAVAILABLE},
        {ENETUNREACH, NOVA_E_UNAVAILABLE},
        {EISDIR, NOVA_E_INVALID},
        {ENOTDIR, NOVA_E_INVALID},
        {ELOOP, NOVA_E_INVALID},
        {ENAMETOOLONG, NOVA_E_INVALID},
};

const char *nova_code_name(int code)
{
	for (size_t i = 0; i < NOVA_COUNT(codes); i++)
		if (codes[i].code == code)
			return codes[i].name;
	return "unknown";
}

int nova_code_exit(int code)
{
	for (size_t i = 0; i < NOVA_COUNT(codes); i++)
		if (codes[i].code == code)
			return codes[i].exit;
	return 4;
}

static int code_of_errno(int number)
{
	for (size_t i = 0; i < NOVA_COUNT(errnos); i++)
		if (errnos[i].number == number)
			return errnos[i].code;
	return NOVA_E_IO;
}

/* Takes `text` (heap) over: redacts it, cuts it to fit between characters, frees it. */
static void store(struct nova_error *error, int code, char *text)
{
	static const char ellipsis[] = "…";
	size_t room = sizeof(error->text) - 1;

	nova_secret_redact(text);
	nova_text_clean(text); /* it may be a plugin's, a guest's or a server's */
	error->code = code;
	size_t length = strlen(text);
	if (length > room) {
		length = room - (sizeof(ellipsis) - 1);
		while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
			length--;
		memcpy(text + length, ellipsis, sizeof(ellipsis));
		length += sizeof(ellipsis) - 1;
	}
	memcpy(error->text, text, length);
	error->text[length] = '\0';
	free(text);
}

static char *format_list(const char *format, va_list list)
{
	char *text = NULL;
	if (vasprintf(&text, format, list) < 0)
		text = nova_strdup(format);
	return text;
}

int nova_error_set(struct nova_error *error, int code, const char *format, ...)
{
	if (error) {
		va_list list;
		va_start(list, format);
		/* into memory of its own: the arguments may be the text that is replaced */
		store(error, code, format_list(format, list));
		va_end(list);
	}
	return code;
}

int nova_error_errno(struct nova_error *error, const char *format, ...)
{
	int number = errno, code = code_of_errno(number);
	if (error) {
		va_list list;
		va_start(list, format);
		NOVA_AUTOFREE char *front = format_list(format, list);
		va_end(list);
		char reason[128];
		const char *why = strerror_r(number, reason, sizeof(reason));
		/* in the middle of a sentence: "Permission denied" → "permission denied" */
		bool lower = why[0] >= 'A' && why[0] <= 'Z' && why[1] >= 'a' && why[1] <= 'z';
		store(error, code,
		      nova_format("%s: %c%s", front, lower ? why[0] + ('a' - 'A') : why[0],
		                  why[0] ? why + 1 : ""));
	}
	errno = number;
	return code;
}

int nova_error_prefix(struct nova_error *error, const char *format, ...)
{
	if (!error)
		return NOVA_E_INTERNAL;
	va_list list;
	va_start(list, format);
	NOVA_AUTOFREE char *front = format_list(format, list);
	va_end(list);
	store(error, error->code, nova_format("%s: %s", front, error->text));
	return error->code;
}
