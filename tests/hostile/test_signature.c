/* SPDX-License-Identifier: MIT */
/*
 * Who may vouch for a plugin: unsigned and signed ones, in the prefix's own directory and outside,
 * for privileged processes and others. As an ordinary user the files are not root's, so there a
 * privileged process refuses all of them for their owner; what it says of signatures is then left
 * to the run as root.
 */
#include "scratch.h"

#include <sys/stat.h>

/* A scratch root, and beside the plugins keys `lab` and `other`, of which only lab's is known. */
struct lab {
	struct scratch *scratch;
	char *keys; /* directory */
	char id[65], other_id[65];
};

static int set_up_lab(void **state)
{
	struct lab *lab = nova_alloc(sizeof(*lab));

	assert_int_equal(set_up((void **)&lab->scratch), 0);
	assert_int_equal(chmod(lab->scratch->root, 0755), 0);
	lab->keys = nova_format("%s/keys.d", lab->scratch->root);
	assert_int_equal(nova_directory_make(lab->keys, 0755, NULL), 0);
	assert_int_equal(nova_key_make(lab->keys, "lab", NULL, lab->id, NULL), 0);
	assert_int_equal(nova_key_make(lab->scratch->root, "other", NULL, lab->other_id, NULL), 0);
	*state = lab;
	return 0;
}

static int tear_down_lab(void **state)
{
	struct lab *lab = *state;
	void *scratch = lab->scratch;

	free(lab->keys);
	free(lab);
	return tear_down(&scratch);
}

static void sign_with(const struct lab *lab, const char *directory, const char *key_name)
{
	NOVA_AUTOFREE char *path = nova_format("%s/%s.key", directory, key_name);
	NOVA_AUTOFREE char *so = in(lab->scratch, "good.so");
	NOVA_AUTOFREE char *written = NULL;
	struct nova_private_key *key;
	struct nova_error error = {0};

	if (nova_private_key_open(path, NULL, NULL, &key, &error) ||
	    nova_signature_make(key, so, NULL, &written, &error))
		fail_msg("%.500s", error.text);
	nova_private_key_free(key);
}

static void sign_well(const struct lab *lab)
{
	sign_with(lab, lab->keys, "lab");
}

static void sign_by_other(const struct lab *lab)
{
	sign_with(lab, lab->scratch->root, "other");
}

static void put_revoked(const struct lab *lab, const char *text)
{
	NOVA_AUTOFREE char *path = nova_format("%s/revoked", lab->keys);
	NOVA_AUTOFREE char *lines = nova_format("# since today\n%s\n", text);

	put(path, lines, strlen(lines));
}

/* How it is seen. */
enum view { USER, ROOT_OUTSIDE, ROOT_PREFIX };

/* The code of the refusal, or "" with *seen (free it) if there is none. */
static const char *look(const struct lab *lab, enum view view, const char *says,
                        struct nova_registry **seen)
{
	struct nova_trust trust = {.privileged = view != USER, .user = geteuid()};
	struct nova_keys *keys = nova_alloc(sizeof(*keys));
	static char code[64];

	nova_keys_read(keys, &trust, lab->keys);
	trust.keys = keys;
	trust.own = view == ROOT_PREFIX ? lab->scratch->root : NULL;
	struct nova_registry *registry = scan(&trust, lab->scratch->root, NULL);
	nova_keys_free(keys);
	assert_int_equal(registry->plugin_count + registry->refusal_count, 1);
	code[0] = '\0';
	if (registry->refusal_count) {
		snprintf(code, sizeof(code), "%s", nova_refusal_code(registry->refusals[0].reason));
		print_message("%s: %s\n", code, registry->refusals[0].text);
		if (says && !strstr(registry->refusals[0].text, says))
			fail_msg("`%s` does not say `%s`", registry->refusals[0].text, says);
	}
	if (seen)
		*seen = registry;
	else
		nova_registry_free(registry);
	return code;
}

static void assert_seen(const struct lab *lab, enum view view, const char *code, const char *says)
{
	/* the files are the user's, so for root another user's */
	const char *expected = view != USER && geteuid() != 0 ? "owner" : code;

	assert_string_equal(look(lab, view, expected == code ? says : NULL, NULL), expected);
}

static void assert_accepted(const struct lab *lab, enum view view, enum nova_trusted trusted,
                            enum nova_signed state)
{
	struct nova_registry *registry;

	if (view != USER && geteuid() != 0) {
		assert_seen(lab, view, "", NULL);
		return;
	}
	assert_string_equal(look(lab, view, NULL, &registry), "");
	const struct nova_manifest *plugin = registry->plugins[0];
	assert_string_equal(nova_trusted_word(plugin->trusted), nova_trusted_word(trusted));
	assert_string_equal(nova_signed_word(plugin->signer.state), nova_signed_word(state));
	if (state == NOVA_SIGNED_WELL) {
		assert_string_equal(plugin->signer.id, lab->id);
		assert_string_equal(plugin->signer.name, "lab");
		assert_non_null(strstr(plugin->signer.key_path, "/keys.d/lab.pub"));
	}
	nova_registry_free(registry);
}

/* --- whether one is needed ------------------------------------------------------------------- */

static void unsigned_is_enough_only_in_the_prefix_or_without_privileges(void **state)
{
	assert_accepted(*state, USER, NOVA_TRUSTED_OWNER, NOVA_SIGNED_NOT);
	assert_accepted(*state, ROOT_PREFIX, NOVA_TRUSTED_PREFIX, NOVA_SIGNED_NOT);
	assert_seen(*state, ROOT_OUTSIDE, "unsigned", "novacore plugin sign");
}

static void a_good_signature_is_enough_everywhere(void **state)
{
	sign_well(*state);
	assert_accepted(*state, USER, NOVA_TRUSTED_SIGNATURE, NOVA_SIGNED_WELL);
	assert_accepted(*state, ROOT_PREFIX, NOVA_TRUSTED_PREFIX, NOVA_SIGNED_WELL);
	assert_accepted(*state, ROOT_OUTSIDE, NOVA_TRUSTED_SIGNATURE, NOVA_SIGNED_WELL);
}

static void a_neighbour_of_the_prefix_is_not_in_it(void **state)
{
	struct lab *lab = *state;
	struct nova_trust trust = {.privileged = true, .user = 0};
	NOVA_AUTOFREE char *part =
	        nova_format("%.*s", (int)strlen(lab->scratch->root) - 1, lab->scratch->root);

	trust.own = part; /* /tmp/novacore-hostile-abcde of /tmp/novacore-hostile-abcdef */
	struct nova_registry *registry = scan(&trust, lab->scratch->root, NULL);
	assert_int_equal(registry->refusal_count, 1);
	assert_string_equal(nova_refusal_code(registry->refusals[0].reason),
	                    geteuid() == 0 ? "unsigned" : "owner");
	nova_registry_free(registry);
}

static void an_unknown_key_proves_nothing(void **state)
{
	const struct lab *lab = *state;

	sign_by_other(lab);
	assert_accepted(lab, USER, NOVA_TRUSTED_OWNER, NOVA_SIGNED_UNKNOWN);
	assert_accepted(lab, ROOT_PREFIX, NOVA_TRUSTED_PREFIX, NOVA_SIGNED_UNKNOWN);
	assert_seen(lab, ROOT_OUTSIDE, "unknown-key", lab->other_id);
	assert_seen(lab, ROOT_OUTSIDE, "unknown-key", "/etc/novacore/keys.d/other.pub");
}

/* --- wrong ones ------------------------------------------------------------------------------ */

static void assert_refused_everywhere(const struct lab *lab, const char *code, const char *says)
{
	assert_seen(lab, USER, code, says);
	assert_seen(lab, ROOT_PREFIX, code, says);
	assert_seen(lab, ROOT_OUTSIDE, code, says);
}

static char *signature_path(const struct lab *lab)
{
	return in(lab->scratch, "good.manifest.sig");
}

/* Replaces a part of the signature's text. */
static void edit_signature(const struct lab *lab, const char *from, const char *to)
{
	NOVA_AUTOFREE char *path = signature_path(lab);
	NOVA_AUTOFREE char *text = slurp(path, NULL);
	char *at = strstr(text, from);

	assert_non_null(at);
	NOVA_AUTOFREE char *edited =
	        nova_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	put(path, edited, strlen(edited));
}

static void refuses_signature_of_another_key_under_a_known_one(void **state)
{
	const struct lab *lab = *state;

	sign_by_other(lab);
	edit_signature(lab, lab->other_id, lab->id);
	assert_refused_everywhere(lab, "signature", "not a signature of this manifest");
}

static void refuses_signature_of_another_manifest(void **state)
{
	const struct lab *lab = *state;

	sign_well(lab);
	edit_manifest(lab->scratch, "version = \"1.0.0\"", "version = \"1.0.1\"");
	assert_refused_everywhere(lab, "signature", "the manifest was changed");
}

/* The whole triple of one plugin under the name of another. */
static void refuses_signed_plugin_under_another_name(void **state)
{
	const struct lab *lab = *state;
	static const char *const ends[] = {"so", "manifest", "manifest.sig"};

	sign_well(lab);
	for (size_t i = 0; i < NOVA_COUNT(ends); i++) {
		NOVA_AUTOFREE char *old_name = nova_format("good.%s", ends[i]);
		NOVA_AUTOFREE char *new_name = nova_format("lifecycle.%s", ends[i]);
		NOVA_AUTOFREE char *old_path = in(lab->scratch, old_name);
		NOVA_AUTOFREE char *new_path = in(lab->scratch, new_name);
		assert_int_equal(rename(old_path, new_path), 0);
	}
	assert_refused_everywhere(lab, "wrong-manifest", "is that of benchmark/good");
}

/* A manifest that was signed, with its signature, beside another file. */
static void refuses_another_file_with_a_signed_manifest(void **state)
{
	const struct lab *lab = *state;
	NOVA_AUTOFREE char *path = in(lab->scratch, "good.so");
	size_t bytes;

	sign_well(lab);
	NOVA_AUTOFREE char *data = slurp(path, &bytes);
	data = nova_realloc(data, bytes + 1);
	data[bytes] = '\0';
	put(path, data, bytes + 1);
	assert_refused_everywhere(lab, "hash", "install the plugin again");
	/* and with the digest put right, by whoever did that */
	put_plugin(lab->scratch, data, bytes + 1);
	assert_refused_everywhere(lab, "signature", "the manifest was changed");
}

static void refuses_what_is_not_a_whole_signature(void **state)
{
	const struct lab *lab = *state;
	NOVA_AUTOFREE char *path = signature_path(lab);
	size_t bytes;

	sign_well(lab);
	NOVA_AUTOFREE char *text = slurp(path, &bytes);
	for (size_t cut = 0; cut < bytes; cut += 37) {
		put(path, text, cut);
		assert_seen(lab, USER, "signature", "not a whole signature");
	}
	put(path, text, bytes - 1);
	assert_refused_everywhere(lab, "signature", "not a whole signature");
	assert_int_equal(truncate(path, NOVA_SIGNATURE_LIMIT + 1), 0);
	assert_refused_everywhere(lab, "unreadable", "larger than the 1 KiB");
}

static void refuses_signature_that_is_no_plain_safe_file(void **state)
{
	const struct lab *lab = *state;
	NOVA_AUTOFREE char *path = signature_path(lab);
	NOVA_AUTOFREE char *other = in(lab->scratch, "elsewhere");

	sign_well(lab);
	assert_int_equal(chmod(path, 0666), 0);
	assert_refused_everywhere(lab, "writable", "good.manifest.sig");
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_refused_everywhere(lab, "symlink", "good.manifest.sig");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("nowhere", path), 0); /* a dangling one is not "unsigned" */
	assert_refused_everywhere(lab, "symlink", "good.manifest.sig");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_refused_everywhere(lab, "unreadable", "not a regular file");
	if (geteuid() == 0) {
		assert_int_equal(unlink(path), 0);
		assert_int_equal(rename(other, path), 0);
		assert_int_equal(chmod(path, 0644), 0);
		assert_int_equal(chown(path, 12345, 12345), 0);
		assert_refused_everywhere(lab, "owner", "good.manifest.sig");
	}
}

/* --- revoked --------------------------------------------------------------------------------- */

static void refuses_revoked_key(void **state)
{
	const struct lab *lab = *state;

	sign_well(lab);
	put_revoked(lab, lab->id);
	assert_refused_everywhere(lab, "revoked", "keys.d/revoked:2");
}

static void refuses_revoked_key_that_nobody_knew(void **state)
{
	const struct lab *lab = *state;

	sign_by_other(lab);
	put_revoked(lab, lab->other_id);
	assert_refused_everywhere(lab, "revoked", "keys.d/revoked:2");
}

static void refuses_revoked_file_and_manifest(void **state)
{
	const struct lab *lab = *state;
	static const char *const files[] = {"good.so", "good.manifest"};

	for (size_t i = 0; i < NOVA_COUNT(files); i++) {
		NOVA_AUTOFREE char *path = in(lab->scratch, files[i]);
		NOVA_AUTOFREE char *sig = signature_path(lab);
		char digest[65];

		assert_int_equal(nova_sha256_file(path, digest, NULL), 0);
		unlink(sig);
		put_revoked(lab, digest);
		assert_refused_everywhere(lab, "revoked", "install a newer version");
		sign_well(lab);
		assert_refused_everywhere(lab, "revoked", "install a newer version");
	}
}

static void a_broken_revocation_list_stops_all_trust_in_signatures(void **state)
{
	const struct lab *lab = *state;

	sign_well(lab);
	put_revoked(lab, "lab");
	assert_accepted(lab, USER, NOVA_TRUSTED_OWNER, NOVA_SIGNED_UNKNOWN);
	assert_accepted(lab, ROOT_PREFIX, NOVA_TRUSTED_PREFIX, NOVA_SIGNED_UNKNOWN);
	assert_seen(lab, ROOT_OUTSIDE, "unknown-key", "keys.d/revoked:2");
}

static void keys_that_others_could_have_put_there_do_not_count(void **state)
{
	const struct lab *lab = *state;
	NOVA_AUTOFREE char *path = nova_format("%s/lab.pub", lab->keys);

	sign_well(lab);
	assert_int_equal(chmod(path, 0666), 0);
	assert_accepted(lab, USER, NOVA_TRUSTED_OWNER, NOVA_SIGNED_UNKNOWN);
	assert_seen(lab, ROOT_OUTSIDE, "unknown-key", lab->id);
	assert_int_equal(chmod(path, 0664), 0);
	assert_accepted(lab, USER, NOVA_TRUSTED_SIGNATURE, NOVA_SIGNED_WELL);
	assert_seen(lab, ROOT_OUTSIDE, "unknown-key", lab->id);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chmod(lab->keys, 0777), 0);
	assert_accepted(lab, USER, NOVA_TRUSTED_OWNER, NOVA_SIGNED_UNKNOWN);
	assert_seen(lab, ROOT_OUTSIDE, "unknown-key", "can be written to by others");
}

/* --- signing --------------------------------------------------------------------------------- */

static void signs_only_a_manifest_of_the_file_beside_it(void **state)
{
	const struct lab *lab = *state;
	NOVA_AUTOFREE char *key_path = nova_format("%s/lab.key", lab->keys);
	NOVA_AUTOFREE char *so = in(lab->scratch, "good.so");
	NOVA_AUTOFREE char *written = NULL, *none = NULL;
	NOVA_AUTOFREE char *sig = signature_path(lab);
	struct nova_private_key *key;
	struct nova_error error = {0};

	assert_int_equal(nova_private_key_open(key_path, NULL, NULL, &key, &error), 0);
	int fd = open(so, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(nova_signature_make(key, so, NULL, &none, &error), NOVA_E_REFUSED);
	assert_non_null(strstr(error.text, "novacore-manifest --rehash"));
	assert_int_not_equal(access(sig, F_OK), 0);
	copy_good(lab->scratch, "so", "good.so");
	edit_manifest(lab->scratch, "name = \"good\"", "name = \"other\"");
	assert_int_equal(nova_signature_make(key, so, NULL, &none, &error), NOVA_E_REFUSED);
	copy_good(lab->scratch, "manifest", "good.manifest");
	assert_int_equal(nova_signature_make(key, so, NULL, &written, &error), 0);
	assert_string_equal(written, sig);
	nova_private_key_free(key);
}

#define LAB(test) cmocka_unit_test_setup_teardown(test, set_up_lab, tear_down_lab)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        LAB(unsigned_is_enough_only_in_the_prefix_or_without_privileges),
	        LAB(a_good_signature_is_enough_everywhere),
	        LAB(a_neighbour_of_the_prefix_is_not_in_it),
	        LAB(an_unknown_key_proves_nothing),
	        LAB(refuses_signature_of_another_key_under_a_known_one),
	        LAB(refuses_signature_of_another_manifest),
	        LAB(refuses_signed_plugin_under_another_name),
	        LAB(refuses_another_file_with_a_signed_manifest),
	        LAB(refuses_what_is_not_a_whole_signature),
	        LAB(refuses_signature_that_is_no_plain_safe_file),
	        LAB(refuses_revoked_key),
	        LAB(refuses_revoked_key_that_nobody_knew),
	        LAB(refuses_revoked_file_and_manifest),
	        LAB(a_broken_revocation_list_stops_all_trust_in_signatures),
	        LAB(keys_that_others_could_have_put_there_do_not_count),
	        LAB(signs_only_a_manifest_of_the_file_beside_it),
	};

	umask(022);
	return cmocka_run_group_tests_name("signatures of plugins", tests, NULL, NULL);
}
