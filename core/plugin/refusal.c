/* SPDX-License-Identifier: MIT */
/* The stable words for why a plugin was refused. They are documented in ABI.md and never change. */
#include "core/plugin/inside.h"

#include <stdarg.h>

static const struct {
	enum nova_refusal_reason reason;
	const char *code;
} codes[] = {
        {NOVA_REFUSED_FILE_NAME, "file-name"},
        {NOVA_REFUSED_SYMLINK, "symlink"},
        {NOVA_REFUSED_OWNER, "owner"},
        {NOVA_REFUSED_WRITABLE, "writable"},
        {NOVA_REFUSED_UNREADABLE, "unreadable"},
        {NOVA_REFUSED_NO_MANIFEST, "no-manifest"},
        {NOVA_REFUSED_BAD_MANIFEST, "bad-manifest"},
        {NOVA_REFUSED_WRONG_MANIFEST, "wrong-manifest"},
        {NOVA_REFUSED_HASH, "hash"},
        {NOVA_REFUSED_SIGNATURE, "signature"},
        {NOVA_REFUSED_NOT_ELF, "not-elf"},
        {NOVA_REFUSED_NO_NOTE, "no-note"},
        {NOVA_REFUSED_ABI_MAJOR, "abi-major"},
        {NOVA_REFUSED_ABI_MINOR, "abi-minor"},
        {NOVA_REFUSED_ABI_DRAFT, "abi-draft"},
        {NOVA_REFUSED_KIND, "kind"},
        {NOVA_REFUSED_DUPLICATE, "duplicate"},
        {NOVA_REFUSED_MISSING_LIBRARY, "missing-library"},
        {NOVA_REFUSED_LAZY_BINDING, "lazy-binding"},
        {NOVA_REFUSED_EXPORTS, "exports"},
        {NOVA_REFUSED_UNSIGNED, "unsigned"},
        {NOVA_REFUSED_UNKNOWN_KEY, "unknown-key"},
        {NOVA_REFUSED_REVOKED, "revoked"},
        {NOVA_REFUSED_LIBRARY_PATH, "library-path"},
        {NOVA_REFUSED_LOAD, "load"},
        {NOVA_REFUSED_CRASH, "crash"},
        {NOVA_REFUSED_HANG, "hang"},
        {NOVA_REFUSED_EXIT, "exit"},
        {NOVA_REFUSED_STRUCT_SIZE, "struct-size"},
        {NOVA_REFUSED_NULL_OPS, "null-ops"},
        {NOVA_REFUSED_DESCRIPTOR, "descriptor"},
        {NOVA_REFUSED_MEMORY, "memory"},
};

const char *nova_refusal_code(enum nova_refusal_reason reason)
{
	for (size_t i = 0; i < NOVA_COUNT(codes); i++) {
		if (codes[i].reason == reason)
			return codes[i].code;
	}
	return "unknown";
}

const char *nova_trusted_word(enum nova_trusted trusted)
{
	static const char *const words[] = {[NOVA_TRUSTED_PREFIX] = "prefix",
	                                    [NOVA_TRUSTED_SIGNATURE] = "signature",
	                                    [NOVA_TRUSTED_OWNER] = "owner"};

	return trusted < NOVA_COUNT(words) && words[trusted] ? words[trusted] : "unknown";
}

const char *nova_signed_word(enum nova_signed state)
{
	static const char *const words[] = {[NOVA_SIGNED_NOT] = "none",
	                                    [NOVA_SIGNED_UNKNOWN] = "unknown-key",
	                                    [NOVA_SIGNED_WELL] = "valid"};

	return state < NOVA_COUNT(words) && words[state] ? words[state] : "none";
}

int nova_refuse(enum nova_refusal_reason *reason, enum nova_refusal_reason value,
                struct nova_error *error, const char *format, ...)
{
	char text[sizeof(error->text)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	*reason = value;
	/* A missing library is not unsafe: the host cannot do it yet. */
	return nova_error_set(
	        error, value == NOVA_REFUSED_MISSING_LIBRARY ? NOVA_E_UNAVAILABLE : NOVA_E_REFUSED,
	        "%s", text);
}
