/* SPDX-License-Identifier: MIT */
/* Keys, revocation lists and signatures: what is read, what is not, and what it then means. */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define ONES  "1111111111111111111111111111111111111111111111111111111111111111"

/* The public key of the first test vector of RFC 8032, 7.1, as OpenSSL writes it. */
#define RFC_PEM                                                                                    \
	"-----BEGIN PUBLIC KEY-----\n"                                                             \
	"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"                           \
	"-----END PUBLIC KEY-----\n"
#define RFC_ID "06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9"
#define RFC_BASE64                                                                                 \
	"5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw=="

/* Encrypted with "correct horse", by one round only: openssl pkcs8 -topk8 -iter 1 */
#define ENCRYPTED_PEM                                                                              \
	"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"                                                  \
	"MIGaMFYGCSqGSIb3DQEFDTBJMCgGCSqGSIb3DQEFDDAbBAgVG+dFTk16sAIBATAM\n"                       \
	"BggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQvWZ5REqoshxIPz/Q2s0MuwRAljer\n"                       \
	"eRE+ksOCIfO0JCAEqYnA//F+1r6qR3JeJ5LjxYclr7tQAtCiGEpS58M3YQX+3r4u\n"                       \
	"LejPs8cG0WDDsy8RsQ==\n"                                                                   \
	"-----END ENCRYPTED PRIVATE KEY-----\n"

static struct nova_trust own(void)
{
	return (struct nova_trust){.privileged = false, .user = geteuid()};
}

static int make_root(void **state)
{
	char *path = nova_strdup("/tmp/novacore-keys-XXXXXX");

	*state = mkdtemp(path);
	return *state ? 0 : -1;
}

static int remove_root(void **state)
{
	int result = nova_directory_remove(*state, NULL);

	free(*state);
	return result;
}

static void put(const char *directory, const char *file, const char *text)
{
	NOVA_AUTOFREE char *path = nova_format("%s/%s", directory, file);

	assert_int_equal(nova_file_write(path, text, strlen(text), 0644, NULL), 0);
}

static char *get(const char *directory, const char *file, size_t *bytes)
{
	NOVA_AUTOFREE char *path = nova_format("%s/%s", directory, file);
	char *text = nova_file_read(path, 1u << 20, bytes, NULL);

	assert_non_null(text);
	return text;
}

/* --- public keys ----------------------------------------------------------------------------- */

static void reads_a_key_as_openssl_writes_it(void **state)
{
	/* openssl pkey -pubin -outform DER | sha256sum */
	static const unsigned char first[] = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7};
	struct nova_key key;

	(void)state;
	assert_int_equal(nova_key_parse("k", RFC_PEM, strlen(RFC_PEM), &key, NULL), 0);
	assert_memory_equal(key.bytes, first, sizeof(first));
	assert_string_equal(key.id, RFC_ID);
	NOVA_AUTOFREE char *again = nova_key_text(&key);
	assert_string_equal(again, RFC_PEM);
}

static void refuses_any_other_text_as_a_key(void **state)
{
	static const char *const texts[] = {
	        "",
	        "\n" RFC_PEM,
	        RFC_PEM "\n",
	        RFC_PEM RFC_PEM,
	        "# mine\n" RFC_PEM,
	        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
	        "-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----\n",
	        "-----BEGIN PUBLIC KEY-----\r\n"
	        "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\r\n"
	        "-----END PUBLIC KEY-----\r\n",
	        "-----BEGIN PUBLIC KEY-----\n" /* a bit that base64 drops */
	        "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURp=\n"
	        "-----END PUBLIC KEY-----\n",
	        "-----BEGIN PUBLIC KEY-----\n" /* X25519 */
	        "MCowBQYDK2VuAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
	        "-----END PUBLIC KEY-----\n",
	        "-----BEGIN PUBLIC KEY-----\n"
	        "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPa\npiMlrwIaaPcHURo=\n"
	        "-----END PUBLIC KEY-----\n",
	};
	struct nova_error error = {0};
	struct nova_key key;

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(texts); i++) {
		if (nova_key_parse("k", texts[i], strlen(texts[i]), &key, &error) != NOVA_E_INVALID)
			fail_msg("was read: %s", texts[i]);
		assert_contains(error.text, "k is not an Ed25519 public key");
	}
	for (size_t bytes = 0; bytes < strlen(RFC_PEM); bytes++)
		assert_int_not_equal(nova_key_parse("k", RFC_PEM, bytes, &key, NULL), 0);
	static const char private[] = "-----BEGIN PRIVATE KEY-----\n";
	assert_int_not_equal(nova_key_parse("k", private, strlen(private), &key, &error), 0);
	assert_contains(error.text, "revoke it");
}

/* --- revocation lists ------------------------------------------------------------------------ */

static int parse_revoked(const char *text, struct nova_keys *keys, struct nova_error *error)
{
	return nova_revoked_parse("list", text, strlen(text), keys, error);
}

static void reads_a_revocation_list(void **state)
{
	struct nova_keys *keys = nova_alloc(sizeof(*keys));

	(void)state;
	assert_int_equal(parse_revoked("", keys, NULL), 0);
	assert_int_equal(parse_revoked("# only words\n\n  \n", keys, NULL), 0);
	assert_int_equal(keys->revoked_count, 0);
	assert_int_equal(parse_revoked(ZEROS "\n# and\n" ONES " # stolen\n", keys, NULL), 0);
	assert_int_equal(keys->revoked_count, 2);
	assert_string_equal(nova_keys_revoked(keys, ONES)->origin, "list:3");
	assert_null(nova_keys_revoked(keys, RFC_ID));
	assert_null(nova_keys_revoked(NULL, ONES));
	nova_keys_free(keys);
}

static void a_broken_line_is_an_error_and_the_others_still_count(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
	        {ZEROS "\nlab\n" ONES "\n", "list:2: only lower-case hexadecimal"},
	        {ZEROS "\n" ZEROS "0\n" ONES "\n", "list:2: it does not have 64"},
	        {ZEROS "\n00\n" ONES "\n", "list:2: it does not have 64"},
	        {ZEROS "\n" ZEROS " " ZEROS "\n" ONES "\n", "list:2: only"},
	        {ZEROS "\nABCDEF\n" ONES "\n", "list:2: only"},
	        {ZEROS "\n" ONES, "list:2: it does not end in a newline"},
	};
	struct nova_error error = {0};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(cases); i++) {
		struct nova_keys *keys = nova_alloc(sizeof(*keys));
		assert_int_equal(parse_revoked(cases[i].text, keys, &error), NOVA_E_INVALID);
		assert_contains(error.text, cases[i].says);
		assert_non_null(nova_keys_revoked(keys, ZEROS));
		assert_non_null(nova_keys_revoked(keys, ONES));
		nova_keys_free(keys);
	}
	struct nova_keys *keys = nova_alloc(sizeof(*keys));
	assert_int_equal(nova_revoked_parse("list", "00\0", 3, keys, &error), NOVA_E_INVALID);
	nova_keys_free(keys);
}

/* --- directories ----------------------------------------------------------------------------- */

static struct nova_keys *read_keys(const struct nova_trust *trust, const char *directory)
{
	struct nova_keys *keys = nova_alloc(sizeof(*keys));

	nova_keys_read(keys, trust, directory);
	for (size_t i = 0; i < keys->problem_count; i++)
		print_message("%s\n", keys->problems[i]);
	return keys;
}

static void reads_a_directory(void **state)
{
	const struct nova_trust trust = own();
	NOVA_AUTOFREE char *missing = nova_format("%s/missing", (char *)*state);

	struct nova_keys *keys = read_keys(&trust, missing);
	assert_int_equal(keys->count + keys->problem_count, 0);
	nova_keys_free(keys);

	put(*state, "rfc.pub", RFC_PEM);
	put(*state, "twin.pub", RFC_PEM);
	put(*state, "README", "words");
	put(*state, "rfc.pub.dpkg-new", "words");
	put(*state, ".hidden.pub", "words");
	put(*state, "revoked", ONES "\n");
	keys = read_keys(&trust, *state);
	assert_int_equal(keys->count, 1);
	assert_string_equal(keys->items[0].name, "rfc");
	assert_string_equal(nova_keys_find(keys, RFC_ID)->name, "rfc");
	assert_null(nova_keys_find(keys, ONES));
	assert_non_null(nova_keys_revoked(keys, ONES));
	assert_int_equal(keys->problem_count, 0);
	assert_null(keys->doubt);
	nova_keys_free(keys);
}

static void one_bad_key_spoils_no_other(void **state)
{
	const struct nova_trust trust = own();
	NOVA_AUTOFREE char *open_key = nova_format("%s/open.pub", (char *)*state);
	NOVA_AUTOFREE char *link = nova_format("%s/link.pub", (char *)*state);

	put(*state, "rfc.pub", RFC_PEM);
	put(*state, "broken.pub", "words");
	put(*state, "Capital.pub", RFC_PEM);
	put(*state, "open.pub", RFC_PEM);
	assert_int_equal(chmod(open_key, 0666), 0);
	assert_int_equal(symlink("rfc.pub", link), 0);
	struct nova_keys *keys = read_keys(&trust, *state);
	assert_int_equal(keys->count, 1);
	assert_string_equal(keys->items[0].name, "rfc");
	assert_int_equal(keys->problem_count, 4);
	assert_null(keys->doubt);
	nova_keys_free(keys);
}

static void assert_doubtful(const struct nova_trust *trust, const char *directory, const char *says)
{
	struct nova_keys *keys = read_keys(trust, directory);

	assert_non_null(keys->doubt);
	assert_contains(keys->doubt, says);
	assert_contains(keys->doubt, "no signature is trusted");
	nova_keys_free(keys);
}

/* Who can change what is revoked, or hide it, decides what is trusted. */
static void a_list_that_is_not_safe_stops_all_trust(void **state)
{
	const struct nova_trust trust = own(), root = {.privileged = true, .user = 0};
	NOVA_AUTOFREE char *list = nova_format("%s/revoked", (char *)*state);
	NOVA_AUTOFREE char *other = nova_format("%s/other", (char *)*state);

	put(*state, "rfc.pub", RFC_PEM);
	put(*state, "revoked", "words\n");
	assert_doubtful(&trust, *state, "revoked:1: only");
	put(*state, "revoked", ONES "\n");
	assert_int_equal(chmod(list, 0666), 0);
	assert_doubtful(&trust, *state, "can be written to by others");
	assert_int_equal(rename(list, other), 0);
	assert_int_equal(symlink("other", list), 0);
	assert_doubtful(&trust, *state, "symbolic link");
	assert_int_equal(unlink(list), 0);
	assert_int_equal(mkdir(list, 0755), 0);
	assert_doubtful(&trust, *state, "not a regular file");
	assert_int_equal(rmdir(list), 0);
	assert_int_equal(chmod(*state, 0777), 0);
	assert_doubtful(&trust, *state, "can be written to by others");
	assert_int_equal(chmod(*state, 0755), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(*state, 12345, 12345), 0);
		assert_doubtful(&root, *state, "belongs to user 12345");
	} else {
		assert_doubtful(&root, *state, "belongs to user");
	}
}

/* --- signatures ------------------------------------------------------------------------------ */

#define SIGNATURE(key, name, base64)                                                               \
	"novacore-signature 1\nkey " key "\nname " name "\ned25519 " base64 "\n"

static void reads_a_signature_and_no_half_of_one(void **state)
{
	static const char text[] = SIGNATURE(RFC_ID, "lab-1", RFC_BASE64);
	struct nova_signature signature;

	(void)state;
	assert_int_equal(nova_signature_parse("s", text, strlen(text), &signature, NULL), 0);
	assert_string_equal(signature.key, RFC_ID);
	assert_string_equal(signature.name, "lab-1");
	NOVA_AUTOFREE char *again = nova_signature_text(&signature);
	assert_string_equal(again, text);
	for (size_t bytes = 0; bytes < strlen(text); bytes++) {
		NOVA_AUTOFREE char *half = nova_format("%.*s", (int)bytes, text);
		assert_int_equal(nova_signature_parse("s", half, bytes, &signature, NULL),
		                 NOVA_E_INVALID);
	}
}

static void refuses_any_other_text_as_a_signature(void **state)
{
	static const char *const texts[] = {
	        SIGNATURE(RFC_ID, "lab", RFC_BASE64) "\n",
	        "\n" SIGNATURE(RFC_ID, "lab", RFC_BASE64),
	        SIGNATURE(RFC_ID, "lab", RFC_BASE64) SIGNATURE(RFC_ID, "lab", RFC_BASE64),
	        SIGNATURE(RFC_ID, "Lab", RFC_BASE64),
	        SIGNATURE(RFC_ID, "lab\x1b[2J", RFC_BASE64),
	        SIGNATURE(RFC_ID, "", RFC_BASE64),
	        SIGNATURE(RFC_ID " ", "lab", RFC_BASE64),
	        SIGNATURE(RFC_ID "0", "lab", RFC_BASE64),
	        SIGNATURE("00", "lab", RFC_BASE64),
	        SIGNATURE(RFC_ID, "lab", "AAAA"),
	        SIGNATURE(RFC_ID, "lab", RFC_BASE64 " "),
	        SIGNATURE(RFC_ID, "lab", " " RFC_BASE64),
	        SIGNATURE(RFC_ID, "lab", RFC_BASE64 "\r"),
	        "novacore-signature 2\nkey " RFC_ID "\nname lab\ned25519 " RFC_BASE64 "\n",
	        "novacore-signature 1\nname lab\nkey " RFC_ID "\ned25519 " RFC_BASE64 "\n",
	        "novacore-signature 1\r\nkey " RFC_ID "\r\nname lab\r\ned25519 " RFC_BASE64 "\r\n",
	};
	struct nova_signature signature;
	struct nova_error error = {0};

	(void)state;
	for (size_t i = 0; i < NOVA_COUNT(texts); i++) {
		if (nova_signature_parse("s", texts[i], strlen(texts[i]), &signature, &error) !=
		    NOVA_E_INVALID)
			fail_msg("was read: %s", texts[i]);
		assert_contains(error.text, "s is not a whole signature");
	}
}

static struct nova_signer check(const struct nova_keys *keys, const char *id, const char *base64,
                                const char *data, enum nova_refusal_reason *reason)
{
	NOVA_AUTOFREE char *text =
	        nova_format("novacore-signature 1\nkey %s\nname lab\ned25519 %s\n", id, base64);
	struct nova_signature signature;
	struct nova_signer signer;
	struct nova_error error = {0};

	*reason = 0;
	assert_int_equal(nova_signature_parse("s", text, strlen(text), &signature, NULL), 0);
	int code = nova_signature_check(keys, "s", &signature, data, strlen(data), &signer, reason,
	                                &error);
	assert_int_equal(code, *reason ? NOVA_E_REFUSED : 0);
	free(signer.key_path);
	signer.key_path = NULL;
	return signer;
}

/* RFC 8032, 7.1: test 1 signs nothing at all. */
static void verifies_the_vector_of_rfc_8032(void **state)
{
	const struct nova_trust trust = own();
	enum nova_refusal_reason reason;

	put(*state, "rfc.pub", RFC_PEM);
	struct nova_keys *keys = read_keys(&trust, *state);
	struct nova_signer signer = check(keys, RFC_ID, RFC_BASE64, "", &reason);
	assert_int_equal(reason, 0);
	assert_int_equal(signer.state, NOVA_SIGNED_WELL);
	assert_string_equal(signer.name, "rfc"); /* of the key here, not what the signer says */

	check(keys, RFC_ID, RFC_BASE64, "x", &reason);
	assert_int_equal(reason, NOVA_REFUSED_SIGNATURE);
	signer = check(keys, ONES, RFC_BASE64, "", &reason);
	assert_int_equal(reason, 0);
	assert_int_equal(signer.state, NOVA_SIGNED_UNKNOWN);
	assert_string_equal(signer.name, "lab");
	signer = check(NULL, RFC_ID, RFC_BASE64, "", &reason);
	assert_int_equal(signer.state, NOVA_SIGNED_UNKNOWN);
	nova_keys_free(keys);
}

static void revoked_and_doubtful_keys_prove_nothing(void **state)
{
	const struct nova_trust trust = own();
	enum nova_refusal_reason reason;

	put(*state, "rfc.pub", RFC_PEM);
	put(*state, "revoked", RFC_ID "\n");
	struct nova_keys *keys = read_keys(&trust, *state);
	struct nova_signer signer = check(keys, RFC_ID, RFC_BASE64, "", &reason);
	assert_int_equal(reason, NOVA_REFUSED_REVOKED);
	assert_int_not_equal(signer.state, NOVA_SIGNED_WELL);
	nova_keys_free(keys);

	put(*state, "revoked", ONES);
	keys = read_keys(&trust, *state);
	signer = check(keys, RFC_ID, RFC_BASE64, "", &reason);
	assert_int_equal(reason, 0);
	assert_int_equal(signer.state, NOVA_SIGNED_UNKNOWN);
	nova_keys_free(keys);
}

/* --- private keys ---------------------------------------------------------------------------- */

static int passphrase_of(void *context, char *passphrase, size_t room, struct nova_error *error)
{
	(void)error;
	assert_true(room > strlen(context));
	memcpy(passphrase, context, strlen(context) + 1);
	return 0;
}

static int try_open(const char *directory, const char *file, const char *passphrase,
                    struct nova_error *error)
{
	NOVA_AUTOFREE char *path = nova_format("%s/%s", directory, file);
	struct nova_private_key *key;
	int code = nova_private_key_open(path, passphrase ? passphrase_of : NULL,
	                                 (void *)(uintptr_t)passphrase, &key, error);

	assert_int_equal(key == NULL, code != 0);
	nova_private_key_free(key);
	return code;
}

static void makes_keys_that_only_their_owner_can_read(void **state)
{
	NOVA_AUTOFREE char *private = nova_format("%s/lab.key", (char *)*state);
	NOVA_AUTOFREE char *public = nova_format("%s/lab.pub", (char *)*state);
	struct nova_error error = {0};
	struct stat status;
	struct nova_key key;
	char id[65], again[65];
	size_t bytes;
	mode_t before = umask(0);

	assert_int_equal(nova_key_make(*state, "lab", NULL, id, &error), 0);
	umask(before);
	assert_int_equal(stat(private, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(stat(public, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0644);
	NOVA_AUTOFREE char *text = get(*state, "lab.pub", &bytes);
	assert_int_equal(nova_key_parse("k", text, bytes, &key, NULL), 0);
	assert_string_equal(key.id, id);

	assert_int_equal(nova_key_make(*state, "lab", NULL, again, &error), NOVA_E_EXISTS);
	assert_contains(error.text, "never overwritten");
	assert_int_equal(unlink(private), 0);
	assert_int_equal(nova_key_make(*state, "lab", NULL, again, &error), NOVA_E_EXISTS);
	assert_int_not_equal(access(private, F_OK), 0); /* no half of a pair is left */
	assert_int_equal(nova_key_make(*state, "../lab", NULL, again, &error), NOVA_E_INVALID);
	assert_int_equal(nova_key_make(*state, "", NULL, again, &error), NOVA_E_INVALID);
	assert_int_equal(nova_key_make(*state, "x", "", again, &error), NOVA_E_INVALID);
	assert_int_equal(nova_key_make("/nonexistent", "lab", NULL, again, &error),
	                 NOVA_E_NOT_FOUND);
}

static void opens_a_private_key_only_if_nobody_else_can(void **state)
{
	NOVA_AUTOFREE char *path = nova_format("%s/lab.key", (char *)*state);
	struct nova_error error = {0};
	char id[65];

	assert_int_equal(nova_key_make(*state, "lab", NULL, id, &error), 0);
	assert_int_equal(try_open(*state, "lab.key", NULL, &error), 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(try_open(*state, "lab.key", NULL, &error), NOVA_E_REFUSED);
	assert_contains(error.text, "chmod 600");
	assert_int_equal(chmod(path, 0604), 0);
	assert_int_equal(try_open(*state, "lab.key", NULL, &error), NOVA_E_REFUSED);
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(try_open(*state, "lab.key", NULL, &error), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 12345), 0);
		assert_int_equal(try_open(*state, "lab.key", NULL, &error), NOVA_E_REFUSED);
	}
	assert_int_equal(try_open(*state, "missing.key", NULL, &error), NOVA_E_NOT_FOUND);
	assert_int_equal(try_open(*state, ".", NULL, &error), NOVA_E_REFUSED);
}

static void asks_for_a_passphrase_only_if_there_is_one(void **state)
{
	NOVA_AUTOFREE char *path = nova_format("%s/lab.key", (char *)*state);
	struct nova_error error = {0};

	put(*state, "lab.key", ENCRYPTED_PEM);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(try_open(*state, "lab.key", "correct horse", &error), 0);
	assert_int_equal(try_open(*state, "lab.key", "battery", &error), NOVA_E_INVALID);
	assert_contains(error.text, "passphrase is not the right one");
	assert_int_not_equal(try_open(*state, "lab.key", NULL, &error), 0);

	static const char *const wrong[] = {"", "words\n", "-----BEGIN PRIVATE KEY-----\n",
	                                    "-----BEGIN PRIVATE KEY-----\nAAAA\n"
	                                    "-----END PRIVATE KEY-----\n",
	                                    RFC_PEM};
	for (size_t i = 0; i < NOVA_COUNT(wrong); i++) {
		put(*state, "lab.key", wrong[i]);
		assert_int_equal(chmod(path, 0600), 0);
		assert_int_equal(try_open(*state, "lab.key", "x", &error), NOVA_E_INVALID);
		assert_contains(error.text, "is not a private key");
	}
	assert_int_equal(truncate(path, 1 << 20), 0);
	assert_int_equal(try_open(*state, "lab.key", "x", &error), NOVA_E_INVALID);
	assert_contains(error.text, "too large");
}

#define ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(reads_a_key_as_openssl_writes_it),
	        cmocka_unit_test(refuses_any_other_text_as_a_key),
	        cmocka_unit_test(reads_a_revocation_list),
	        cmocka_unit_test(a_broken_line_is_an_error_and_the_others_still_count),
	        ROOT(reads_a_directory),
	        ROOT(one_bad_key_spoils_no_other),
	        ROOT(a_list_that_is_not_safe_stops_all_trust),
	        cmocka_unit_test(reads_a_signature_and_no_half_of_one),
	        cmocka_unit_test(refuses_any_other_text_as_a_signature),
	        ROOT(verifies_the_vector_of_rfc_8032),
	        ROOT(revoked_and_doubtful_keys_prove_nothing),
	        ROOT(makes_keys_that_only_their_owner_can_read),
	        ROOT(opens_a_private_key_only_if_nobody_else_can),
	        ROOT(asks_for_a_passphrase_only_if_there_is_one),
	};

	return cmocka_run_group_tests_name("plugin keys", tests, NULL, NULL);
}
