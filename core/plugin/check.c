/* SPDX-License-Identifier: MIT */
/*
 * The static check of one plugin file, from its name to its libraries, in the order in which each
 * step may rely on the one before: path, owner, manifest, digest, signature, note, kind, exports,
 * binding, where libraries are looked for, libraries. Each file is read once; what is checked of it
 * is of the same bytes.
 */
#include "core/plugin/inside.h"

#include <novacore/tools/describe.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct subject {
	const struct nova_check *check;
	const char *path;
	enum nova_refusal_reason *reason;
	struct nova_error *error;
	struct nova_manifest *manifest;
	struct nova_elf elf;
	struct nova_opened opened; /* the .so; fd -1 until then */
};

#define REFUSE(subject, why, ...)                                                                  \
	nova_refuse((subject)->reason, NOVA_REFUSED_##why, (subject)->error, __VA_ARGS__)

/* Of the plugin's directory; NULL when refused. */
static char *read_trusted(struct subject *subject, const char *file, const char *path, size_t limit,
                          size_t *bytes, struct nova_opened *opened)
{
	return nova_trust_read(&subject->check->trust, subject->check->fd, file, path, limit, bytes,
	                       opened, subject->reason, subject->error);
}

bool nova_file_name_valid(const char *file)
{
	NOVA_AUTOFREE char *name = nova_strdup(file);
	size_t length = strlen(name);

	if (length <= 3 || strcmp(name + length - 3, ".so"))
		return false;
	name[length - 3] = '\0';
	return nova_name_valid(name);
}

static int check_elf(struct subject *subject, const char *bytes, size_t count)
{
	struct nova_error why = {0};

	if (nova_elf_read(bytes, count, &subject->elf, &why))
		return REFUSE(subject, NOT_ELF,
		              "%s %s, so it is no plugin; remove it or build it for this machine",
		              subject->path, why.text);
	return 0;
}

static int check_manifest(struct subject *subject, const char *name, const char *manifest_path,
                          const char *text, size_t bytes)
{
	struct nova_error why = {0};

	if (nova_manifest_parse(manifest_path, text, bytes, &subject->manifest, &why))
		return REFUSE(subject, BAD_MANIFEST, "%s; make it again with novacore-manifest %s",
		              why.text, subject->path);
	const struct nova_manifest *manifest = subject->manifest;
	bool kind_known = subject->check->kind != 0;
	if (strcmp(manifest->name, name) || (kind_known && manifest->kind != subject->check->kind))
		return REFUSE(
		        subject, WRONG_MANIFEST,
		        "the manifest beside %s is that of %s/%s; put the plugin's own there, "
		        "or make it with novacore-manifest",
		        subject->path, nova_kind_name(manifest->kind), manifest->name);
	return 0;
}

static int check_digest(struct subject *subject, const char *bytes, size_t count)
{
	char digest[65];

	nova_sha256(bytes, count, digest);
	if (strcmp(digest, subject->manifest->sha256))
		return REFUSE(
		        subject, HASH,
		        "%s is not the file that its manifest was made for (SHA-256 %.12s…, "
		        "the manifest says %.12s…); install the plugin again, or, if you built "
		        "or stripped it yourself, run novacore-manifest",
		        subject->path, digest, subject->manifest->sha256);
	return 0;
}

static int check_note(struct subject *subject)
{
	const struct nova_note *note = &subject->elf.note;
	const struct nova_manifest *manifest = subject->manifest;

	if (subject->elf.note_count != 1)
		return REFUSE(
		        subject, NO_NOTE,
		        "%s has %d ABI notes instead of one, so it cannot be told what it was "
		        "built for; build it with the SDK (NOVA_PLUGIN once, novacore_add_plugin)",
		        subject->path, subject->elf.note_count);
	if (note->major != NOVA_ABI_MAJOR)
		return REFUSE(subject, ABI_MAJOR,
		              "%s was built for plugin ABI %u, this novacore has %u; install the "
		              "plugin's version for ABI %u",
		              subject->path, note->major, NOVA_ABI_MAJOR, NOVA_ABI_MAJOR);
	if (note->min_minor > NOVA_ABI_MINOR)
		return REFUSE(subject, ABI_MINOR,
		              "%s needs plugin ABI %u.%u, this novacore has %u.%u; install a newer "
		              "novacore or an older version of the plugin",
		              subject->path, note->major, note->min_minor, NOVA_ABI_MAJOR,
		              NOVA_ABI_MINOR);
	if (note->draft)
		return REFUSE(subject, ABI_DRAFT,
		              "%s was built for draft %u of the plugin ABI, from before ABI 1.0 "
		              "was frozen; "
		              "rebuild the plugin with this novacore's SDK",
		              subject->path, note->draft);
	if (note->kind != subject->check->kind)
		return REFUSE(
		        subject, KIND,
		        "%s lies among the plugins of kind %s and says that it is %s; move it to "
		        "its own directory",
		        subject->path, nova_kind_name(subject->check->kind),
		        nova_kind_name(note->kind));
	if (manifest && (manifest->major != note->major || manifest->minor != note->minor ||
	                 manifest->min_minor != note->min_minor || manifest->draft != note->draft))
		return REFUSE(
		        subject, WRONG_MANIFEST,
		        "the manifest beside %s names another ABI than the file does; make it "
		        "again with novacore-manifest",
		        subject->path);
	return 0;
}

static int check_exports(struct subject *subject)
{
	const struct nova_elf *elf = &subject->elf;

	if (!elf->entry)
		return REFUSE(
		        subject, EXPORTS,
		        "%s does not export %s; build it with NOVA_PLUGIN and novacore_add_plugin",
		        subject->path, NOVA_ENTRY_NAME);
	if (elf->others)
		return REFUSE(
		        subject, EXPORTS,
		        "%s exports %u symbol%s beside %s, such as `%.100s`, which could replace "
		        "another library's; build it with novacore_add_plugin, or hide them by a "
		        "version script",
		        subject->path, elf->others, elf->others == 1 ? "" : "s", NOVA_ENTRY_NAME,
		        elf->other);
	return 0;
}

static int check_binding(struct subject *subject)
{
	if (!subject->elf.bind_now)
		return REFUSE(
		        subject, LAZY_BINDING,
		        "%s is not bound when it is loaded, so a missing function would show in "
		        "the middle of a run; link it with -Wl,-z,now",
		        subject->path);
	return 0;
}

/* What is wrong with looking for libraries there, or nothing. */
static int judge_search(const struct nova_check *check, const char *directory,
                        struct nova_error *why)
{
	static const char *const origins[] = {"$ORIGIN", "${ORIGIN}"};
	NOVA_AUTOFREE char *path = nova_strdup(directory);
	enum nova_refusal_reason reason;
	struct stat status;
	NOVA_AUTOCLOSE int fd = -1;

	for (size_t i = 0; i < NOVA_COUNT(origins); i++) {
		size_t length = strlen(origins[i]);
		if (strncmp(directory, origins[i], length) ||
		    (directory[length] && directory[length] != '/'))
			continue;
		free(path);
		path = nova_format("%s%s", check->directory, directory + length);
	}
	if (*path != '/' || strchr(path, '$'))
		return nova_error_set(why, NOVA_E_REFUSED, "it is no full path");
	if (nova_trust_open(&check->trust, path, &fd, &reason, why))
		return why->code;
	/* sticky protects the files that are there, not the names that are not */
	if (fstat(fd, &status) || (status.st_mode & S_IWOTH))
		return nova_error_set(why, NOVA_E_REFUSED, "everybody can write there");
	return 0;
}

/* Libraries are code of the plugin's as well: they must not come from where others can write. */
static int check_search(struct subject *subject)
{
	for (char **search = subject->elf.search; *search; search++) {
		NOVA_AUTOFREE char *list = nova_strdup(*search);
		char *rest = list, *directory;
		while ((directory = strsep(&rest, ":"))) {
			struct nova_error why = {0};
			if (judge_search(subject->check, directory, &why))
				return REFUSE(subject, LIBRARY_PATH,
				              "%s looks for libraries in `%.200s`, which is not "
				              "safe: %s. Link it without an RPATH, as "
				              "novacore_add_plugin does",
				              subject->path, directory, why.text);
		}
	}
	for (char **name = subject->elf.needed; *name; name++) {
		if (strchr(*name, '/'))
			return REFUSE(subject, LIBRARY_PATH,
			              "%s needs the library `%.200s` by its path instead of its "
			              "name; link it with a library that has a soname",
			              subject->path, *name);
	}
	return 0;
}

/* The package that the manifest names for a library, or NULL. */
static const char *hint_for(const struct nova_manifest *manifest, const char *library)
{
	size_t length = strlen(library);

	for (char **hint = manifest ? manifest->hints : NULL; hint && *hint; hint++) {
		if (!strncmp(*hint, library, length) && (*hint)[length] == '=')
			return *hint + length + 1;
	}
	return NULL;
}

static int check_libraries(struct subject *subject)
{
	NOVA_AUTOTEXT struct nova_text names = {0};
	NOVA_AUTOTEXT struct nova_text packages = {0};

	for (char **name = subject->elf.needed; *name; name++) {
		const char *lack = *name, *by = NULL;
		if (nova_libraries_have(subject->check->libraries, *name))
			lack = nova_libraries_lack(subject->check->libraries, *name, &by);
		if (!lack)
			continue;
		const char *package = hint_for(subject->manifest, lack);
		if (!package && by) /* whose package should have brought it */
			package = hint_for(subject->manifest, *name);
		nova_text_addf(&names, "%s%.100s%s%.100s%s", names.length ? ", " : "", lack,
		               by ? " (for " : "", by ? by : "", by ? ")" : "");
		if (package)
			nova_text_addf(&packages, " %.100s", package);
	}
	if (!names.length)
		return 0;
	if (packages.length)
		return REFUSE(
		        subject, MISSING_LIBRARY,
		        "%s needs %.600s, which is not installed; install the package%s%.300s",
		        subject->path, nova_text_get(&names),
		        strchr(nova_text_get(&packages) + 1, ' ') ? "s" : "",
		        nova_text_get(&packages));
	return REFUSE(subject, MISSING_LIBRARY,
	              "%s needs %.600s, which is not installed; install the package that contains "
	              "it, then run ldconfig",
	              subject->path, nova_text_get(&names));
}

static bool exists(const struct subject *subject, const char *file)
{
	return !faccessat(subject->check->fd, file, F_OK, AT_SYMLINK_NOFOLLOW) || errno != ENOENT;
}

static int check_revoked(struct subject *subject, const char *text, size_t bytes)
{
	const struct nova_keys *keys = subject->check->trust.keys;
	const struct nova_revoked *revoked = nova_keys_revoked(keys, subject->manifest->sha256);
	char digest[65];

	nova_sha256(text, bytes, digest);
	if (!revoked)
		revoked = nova_keys_revoked(keys, digest);
	if (revoked)
		return REFUSE(subject, REVOKED,
		              "%s is revoked (%s); remove it and install a newer version",
		              subject->path, revoked->origin);
	return 0;
}

static bool in_own_directory(const struct nova_check *check)
{
	const char *own = check->trust.own;
	size_t length = own ? strlen(own) : 0;

	return own && !strncmp(check->directory, own, length) && check->directory[length] == '/';
}

/* Nobody that is known here vouches for it: is that enough? */
static int check_unproven(struct subject *subject, const char *path)
{
	const struct nova_trust *trust = &subject->check->trust;
	const struct nova_signer *signer = &subject->manifest->signer;

	if (!trust->privileged || subject->check->named ||
	    subject->manifest->trusted == NOVA_TRUSTED_PREFIX)
		return 0;
	if (signer->state == NOVA_SIGNED_NOT)
		return REFUSE(
		        subject, UNSIGNED,
		        "%s is not signed and lies outside the directory of this novacore, where a "
		        "privileged process loads only signed plugins; get it signed (novacore "
		        "plugin sign), or run novacore as an ordinary user",
		        subject->path);
	if (trust->keys && trust->keys->doubt)
		return REFUSE(subject, UNKNOWN_KEY, "%s is signed with the key %s, but %s", path,
		              signer->id, trust->keys->doubt);
	return REFUSE(subject, UNKNOWN_KEY,
	              "%s is signed with the key %s (its signer calls it %s), which is not known "
	              "here; if you trust its owner, install the public key as "
	              "/etc/novacore/keys.d/%s" NOVA_KEY_SUFFIX,
	              path, signer->id, signer->name, signer->name);
}

/* Who vouches for the manifest, and with it for the file. */
static int check_signature(struct subject *subject, const char *manifest_file, const char *text,
                           size_t bytes)
{
	NOVA_AUTOFREE char *file = nova_format("%s" NOVA_SIGNATURE_SUFFIX, manifest_file);
	NOVA_AUTOFREE char *path = nova_format("%s/%s", subject->check->directory, file);
	struct nova_manifest *manifest = subject->manifest;
	struct nova_signature signature;
	struct nova_error why = {0};
	size_t count;

	if (check_revoked(subject, text, bytes))
		return subject->error->code;
	manifest->trusted =
	        in_own_directory(subject->check) ? NOVA_TRUSTED_PREFIX : NOVA_TRUSTED_OWNER;
	manifest->signer.state = NOVA_SIGNED_NOT;
	if (!exists(subject, file))
		return check_unproven(subject, path);
	NOVA_AUTOFREE char *said =
	        read_trusted(subject, file, path, NOVA_SIGNATURE_LIMIT, &count, NULL);
	if (!said)
		return subject->error->code;
	if (nova_signature_parse(path, said, count, &signature, &why))
		return REFUSE(subject, SIGNATURE, "%s; install the plugin again, or sign it again",
		              why.text);
	if (nova_signature_check(subject->check->trust.keys, path, &signature, text, bytes,
	                         &manifest->signer, subject->reason, subject->error))
		return subject->error->code;
	if (manifest->signer.state != NOVA_SIGNED_WELL)
		return check_unproven(subject, path);
	if (manifest->trusted != NOVA_TRUSTED_PREFIX)
		manifest->trusted = NOVA_TRUSTED_SIGNATURE;
	return 0;
}

static int check_all(struct subject *subject, const char *file, char **text)
{
	size_t bytes, manifest_bytes;
	NOVA_AUTOFREE char *name = nova_strdup(file);
	NOVA_AUTOFREE char *manifest_path = NULL;

	if (!nova_file_name_valid(file))
		return REFUSE(subject, FILE_NAME,
		              "%s: a plugin's file is called <name>.so, where the name has only "
		              "lower-case letters, digits and -, and at most 64 of them; rename it",
		              subject->path);
	name[strlen(name) - 3] = '\0';
	NOVA_AUTOFREE char *manifest_file = nova_format("%s.manifest", name);
	manifest_path = nova_format("%s/%s", subject->check->directory, manifest_file);

	NOVA_AUTOFREE char *data = read_trusted(subject, file, subject->path, NOVA_PLUGIN_LIMIT,
	                                        &bytes, &subject->opened);
	if (!data || check_elf(subject, data, bytes))
		return subject->error->code;
	if (!exists(subject, manifest_file))
		return REFUSE(
		        subject, NO_MANIFEST,
		        "%s has no manifest %s beside it; install the plugin again, or make the "
		        "manifest with novacore-manifest",
		        subject->path, manifest_file);
	*text = read_trusted(subject, manifest_file, manifest_path, NOVA_MANIFEST_LIMIT,
	                     &manifest_bytes, NULL);
	if (!*text || check_manifest(subject, name, manifest_path, *text, manifest_bytes) ||
	    check_digest(subject, data, bytes) ||
	    check_signature(subject, manifest_file, *text, manifest_bytes))
		return subject->error->code;
	if (check_note(subject) || check_exports(subject) || check_binding(subject) ||
	    check_search(subject) || check_libraries(subject))
		return subject->error->code;
	subject->manifest->path = nova_strdup(subject->path);
	subject->manifest->manifest_path = nova_strdup(manifest_path);
	return 0;
}

int nova_check_file(const struct nova_check *check, const char *file,
                    struct nova_manifest **manifest, char **text, struct nova_opened *opened,
                    enum nova_refusal_reason *reason, struct nova_error *error)
{
	NOVA_AUTOFREE char *path = nova_format("%s/%s", check->directory, file);
	NOVA_AUTOFREE char *manifest_text = NULL;
	struct nova_error local = {0};
	struct subject subject = {.check = check,
	                          .path = path,
	                          .reason = reason,
	                          .error = error ? error : &local,
	                          .opened.fd = -1};
	int result = check_all(&subject, file, &manifest_text);

	nova_elf_clear(&subject.elf);
	*manifest = NULL;
	if (opened && !result)
		*opened = subject.opened;
	else if (subject.opened.fd >= 0)
		close(subject.opened.fd);
	if (result) {
		nova_manifest_free(subject.manifest);
		return result;
	}
	*manifest = subject.manifest;
	if (text) {
		*text = manifest_text;
		manifest_text = NULL;
	}
	return 0;
}

/* --- one file, wherever it lies --------------------------------------------------------------- */

static bool is_unsafe(enum nova_refusal_reason reason)
{
	return reason == NOVA_REFUSED_SYMLINK || reason == NOVA_REFUSED_OWNER ||
	       reason == NOVA_REFUSED_WRITABLE || reason == NOVA_REFUSED_SIGNATURE ||
	       reason == NOVA_REFUSED_REVOKED || reason == NOVA_REFUSED_LIBRARY_PATH;
}

static bool is_unloadable(enum nova_refusal_reason reason)
{
	return reason == NOVA_REFUSED_NOT_ELF || reason == NOVA_REFUSED_NO_NOTE ||
	       reason == NOVA_REFUSED_ABI_MAJOR || reason == NOVA_REFUSED_ABI_MINOR ||
	       reason == NOVA_REFUSED_ABI_DRAFT || reason == NOVA_REFUSED_MISSING_LIBRARY;
}

/* Takes what a step has said of the aspect, the first word wins; returns whether it was fine. */
static bool note_result(struct nova_inspection *inspection, enum nova_aspect aspect, int result,
                        const struct subject *subject)
{
	struct nova_aspect_result *noted = &inspection->aspects[aspect];

	noted->tried = true;
	if (!result)
		return true;
	inspection->unsafe |= is_unsafe(*subject->reason);
	inspection->unloadable |= is_unloadable(*subject->reason);
	if (!noted->reason) {
		noted->reason = *subject->reason;
		noted->text = nova_strdup(subject->error->text);
	}
	return false;
}

static void skip(struct nova_inspection *inspection, enum nova_aspect aspect, const char *why)
{
	inspection->aspects[aspect].text = nova_strdup(why);
}

/* Whoever names a file has decided to try it, signed or not; a signature that is there must hold.
 */
static void inspect_signature(struct nova_inspection *inspection, struct subject *subject,
                              const char *manifest_file, const char *text, size_t bytes)
{
	struct nova_aspect_result *noted = &inspection->aspects[NOVA_ASPECT_SIGNATURE];

	if (!note_result(inspection, NOVA_ASPECT_SIGNATURE,
	                 check_signature(subject, manifest_file, text, bytes), subject))
		return;
	const struct nova_signer *signer = &subject->manifest->signer;
	if (signer->state == NOVA_SIGNED_NOT)
		noted->text = nova_strdup("it is not signed");
	else
		noted->text = nova_format(
		        "signed by %s%s", signer->name,
		        signer->state == NOVA_SIGNED_WELL ? "" : ", whose key is not known here");
}

static void inspect_manifest(struct nova_inspection *inspection, struct subject *subject,
                             const char *bytes, size_t count)
{
	size_t manifest_bytes;
	NOVA_AUTOFREE char *file = nova_format("%s.manifest", inspection->name);
	NOVA_AUTOFREE char *path = nova_format("%s/%s", subject->check->directory, file);
	int result;

	if (!exists(subject, file)) {
		result = REFUSE(subject, NO_MANIFEST,
		                "%s has no manifest %s beside it; make it with novacore-manifest",
		                subject->path, file);
		note_result(inspection, NOVA_ASPECT_MANIFEST, result, subject);
		return;
	}
	char *text = read_trusted(subject, file, path, NOVA_MANIFEST_LIMIT, &manifest_bytes, NULL);
	if (!note_result(inspection, NOVA_ASPECT_MANIFEST, text ? 0 : subject->error->code,
	                 subject))
		return;
	result = check_manifest(subject, inspection->name, path, text, manifest_bytes);
	if (note_result(inspection, NOVA_ASPECT_MANIFEST, result, subject))
		note_result(inspection, NOVA_ASPECT_MANIFEST, check_digest(subject, bytes, count),
		            subject);
	if (subject->manifest)
		inspect_signature(inspection, subject, file, text, manifest_bytes);
	if (subject->manifest) {
		subject->manifest->path = nova_strdup(subject->path);
		subject->manifest->manifest_path = nova_strdup(path);
		inspection->manifest = subject->manifest;
		if (!inspection->kind)
			inspection->kind = subject->manifest->kind;
		inspection->manifest_text = text;
	} else {
		free(text);
	}
}

static void inspect_bytes(struct nova_inspection *inspection, struct subject *subject,
                          struct nova_check *check, const char *bytes, size_t count)
{
	nova_sha256(bytes, count, inspection->sha256);
	if (!note_result(inspection, NOVA_ASPECT_FILE, check_elf(subject, bytes, count), subject))
		return;
	if (subject->elf.note_count) {
		inspection->note = subject->elf.note;
		inspection->kind = subject->elf.note.kind;
	}
	check->kind = inspection->kind; /* wherever it lies, it is at home */
	inspect_manifest(inspection, subject, bytes, count);
	note_result(inspection, NOVA_ASPECT_NOTE, check_note(subject), subject);
	note_result(inspection, NOVA_ASPECT_EXPORTS, check_exports(subject), subject);
	note_result(inspection, NOVA_ASPECT_BINDING, check_binding(subject), subject);
	if (note_result(inspection, NOVA_ASPECT_LIBRARIES, check_search(subject), subject))
		note_result(inspection, NOVA_ASPECT_LIBRARIES, check_libraries(subject), subject);
	inspection->unloadable |=
	        !subject->elf.entry || !nova_word_of(nova_kind_words, inspection->kind);
}

static void inspect_file(struct nova_inspection *inspection, struct nova_check *check,
                         const char *file, struct subject *subject)
{
	size_t count;

	/* A wrong name keeps nobody from looking into the file. */
	if (!nova_file_name_valid(file))
		note_result(
		        inspection, NOVA_ASPECT_FILE,
		        REFUSE(subject, FILE_NAME,
		               "%s: a plugin's file is called <name>.so, where the name has only "
		               "lower-case letters, digits and -, and at most 64 of them; rename "
		               "it",
		               inspection->path),
		        subject);
	NOVA_AUTOFREE char *data = read_trusted(subject, file, inspection->path, NOVA_PLUGIN_LIMIT,
	                                        &count, &subject->opened);
	inspection->unloadable |= !data;
	if (note_result(inspection, NOVA_ASPECT_FILE, data ? 0 : subject->error->code, subject))
		inspect_bytes(inspection, subject, check, data, count);
	for (int aspect = 0; aspect < NOVA_ASPECTS; aspect++)
		if (!inspection->aspects[aspect].tried)
			skip(inspection, aspect,
			     aspect == NOVA_ASPECT_SIGNATURE
			             ? "there is no manifest that could be signed"
			             : "the file could not be read as a library");
	nova_elf_clear(&subject->elf);
}

/* Opens the directory, trusted or not: what is in it can be looked at in any case. */
static int open_directory(struct nova_inspection *inspection, struct nova_check *check,
                          struct subject *subject)
{
	int fd, result = nova_trust_open(&check->trust, check->directory, &fd, subject->reason,
	                                 subject->error);

	note_result(inspection, NOVA_ASPECT_FILE, result, subject);
	inspection->unsafe |= result != 0;
	return result ? open(check->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : fd;
}

int nova_inspect(const char *path, struct nova_inspection *inspection, struct nova_opened *opened,
                 struct nova_error *error)
{
	const char *slash = strrchr(path, '/');
	const char *file = slash ? slash + 1 : path;
	NOVA_AUTOFREE char *folder =
	        slash ? nova_format("%.*s", (int)(slash - path), path) : nova_strdup(".");
	NOVA_AUTOFREE char *directory = realpath(slash == path ? "/" : folder, NULL);
	struct nova_error local = {0};
	enum nova_refusal_reason reason = 0;
	struct nova_check check = {.directory = directory, .named = true};
	struct subject subject = {
	        .check = &check, .reason = &reason, .error = &local, .opened.fd = -1};
	struct stat status;
	size_t length = strlen(file);

	*inspection = (struct nova_inspection){0};
	NOVA_AUTOFREE char *whole = directory ? nova_format("%s/%s", directory, file) : NULL;
	if (!whole || lstat(whole, &status))
		return nova_error_errno(error, "cannot open %s", path);
	if (!length || S_ISDIR(status.st_mode))
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s is a directory; name the plugin's file in it, <name>.so",
		                      path);
	if (nova_trust_begin(&check.trust, error))
		return error ? error->code : NOVA_E_UNAVAILABLE;
	inspection->path = nova_strdup(whole);
	inspection->name = nova_strdup(file);
	if (length > 3 && !strcmp(file + length - 3, ".so"))
		inspection->name[length - 3] = '\0';
	check.libraries = nova_libraries_new();
	check.fd = open_directory(inspection, &check, &subject);
	subject.path = inspection->path;
	inspect_file(inspection, &check, file, &subject);
	if (opened)
		*opened = subject.opened;
	else if (subject.opened.fd >= 0)
		close(subject.opened.fd);
	if (check.fd >= 0)
		close(check.fd);
	nova_libraries_free(check.libraries);
	nova_trust_end(&check.trust);
	return 0;
}

int nova_plugin_inspect(const char *path, struct nova_inspection *inspection,
                        struct nova_error *error)
{
	return nova_inspect(path, inspection, NULL, error);
}

void nova_inspection_free(struct nova_inspection *inspection)
{
	for (int aspect = 0; aspect < NOVA_ASPECTS; aspect++)
		free(inspection->aspects[aspect].text);
	nova_manifest_free(inspection->manifest);
	free(inspection->manifest_text);
	free(inspection->path);
	free(inspection->name);
	*inspection = (struct nova_inspection){0};
}
