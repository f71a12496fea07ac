/* SPDX-License-Identifier: MIT */
/*
 * Secrets that must never stand in an error or a log line, whoever wrote it: a peer that sends a
 * request back, a library that quotes a URL. They are registered once; every text that goes through
 * the helpers is then cleaned of them.
 *
 * A secret is found as it is, and in the writings that a peer may give it: percent-encoded (also
 * partly, also '+' for a blank), with JSON's or XML's escapes, and in Base64 (also in the middle of
 * something longer, such as "user:secret"; also with - and _). One that is cut off by the end of
 * the text is found if six bytes of it are there. Not found: encrypted, hashed, backwards, in
 * pieces.
 *
 * Part of the helpers: linked into the plugin, not ABI. @thread one at a time
 */
#ifndef NOVACORE_HELPERS_SECRET_H
#define NOVACORE_HELPERS_SECRET_H

#ifdef __cplusplus
extern "C" {
#endif

struct nova_secrets;

/* An empty set; NULL: out of memory. */
struct nova_secrets *nova_secrets_new(void);
/* Overwrites them. NULL is fine. */
void nova_secrets_free(struct nova_secrets *secrets);
/* Copies it; NULL and "" are no secrets, and a second time counts once. NOVA_DONE or
 * NOVA_E_MEMORY. */
int nova_secrets_add(struct nova_secrets *secrets, const char *secret);
/* Puts at most four stars where each of them stands: the text may become shorter, not longer.
 * Either may be NULL. */
void nova_secrets_hide(const struct nova_secrets *secrets, char *text);

#ifdef __cplusplus
}
#endif

#endif
