/* SPDX-License-Identifier: MIT */
/*
 * `novacore plugin keygen`, `sign` and `verify`: keys, signatures, and whose a plugin is. A
 * passphrase comes from a file or the terminal, never from arguments or the environment, where
 * others could read it.
 */
#include "core/cli/cli.h"
#include "core/cli/plugin_actions.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSPHRASE_ROOM 1024
#define PASSPHRASE_MIN  8

static const char keygen_help[] =
        "usage: novacore plugin keygen NAME [--output DIR] [--passphrase] [--passphrase-file "
        "FILE]\n"
        "\n"
        "Makes a pair of keys for signing plugins (Ed25519): NAME.key, the private one, which "
        "only\n"
        "you can read, and NAME.pub, the public one, which others install to trust what you sign.\n"
        "\n"
        "  --output DIR            where to put both (default: the current directory)\n"
        "  --passphrase            ask for a passphrase that encrypts the private key\n"
        "  --passphrase-file FILE  the first line of this file is the passphrase\n" NOVA_COMMON_HELP
        "\n"
        "Nothing is overwritten. Whoever has NAME.key signs in your name: keep it off the "
        "machines\n"
        "that run the plugins. Exit code 2: the name cannot be used, or is.\n"
        "\n"
        "examples:\n"
        "  novacore plugin keygen example-2026 --passphrase\n"
        "  novacore plugin sign hello.so --key example-2026.key\n";

static const char sign_help[] =
        "usage: novacore plugin sign FILE.so|FILE.manifest… --key KEY [--output FILE]\n"
        "                            [--passphrase-file FILE]\n"
        "\n"
        "Signs the manifest of each plugin, which holds the digest of its .so, into\n"
        "NAME.manifest.sig beside it. Sign what is installed: stripping changes the digest.\n"
        "\n"
        "  --key FILE              the private key, from novacore plugin keygen\n"
        "  --output FILE           write the signature there (one plugin only)\n"
        "  --passphrase-file FILE  the first line of this file decrypts the key; without, an\n"
        "                          encrypted key asks on the terminal\n" NOVA_COMMON_HELP "\n"
        "Exit code 5: the manifest is not that of the .so beside it, or others can read the key.\n"
        "\n"
        "examples:\n"
        "  novacore plugin sign lib/novacore/plugins/1/benchmark/hello.so --key example-2026.key\n"
        "  novacore plugin verify lib/novacore/plugins/1/benchmark/hello.so --key "
        "example-2026.pub\n";

static const char verify_help[] =
        "usage: novacore plugin verify FILE [--key PUB] [--json]\n"
        "\n"
        "Says who signed a plugin, and whether that counts here: FILE is its .so, .manifest or\n"
        ".manifest.sig. The keys that count are those in share/novacore/keys.d of this prefix, in\n"
        "/etc/novacore/keys.d and, for an ordinary user, in ~/.config/novacore/keys.d; a list\n"
        "`revoked` beside them takes back keys and files.\n"
        "\n"
        "  --key FILE            only this public key counts\n"
        "  --json                print the answer as JSON\n" NOVA_COMMON_HELP "\n"
        "Exit code 0: signed well. 5: not, with the reason code. 2: there is no such file.\n"
        "\n"
        "examples:\n"
        "  novacore plugin verify hello.so --key example-2026.pub\n"
        "  novacore plugin verify /opt/lab/1/benchmark/hello.so --json\n";

/* --- passphrases ----------------------------------------------------------------------------- */

/* Where the passphrase of a key is from. */
struct source {
	const char *file; /* or NULL: the terminal */
	const char *key;  /* for the prompt */
	bool twice;       /* a new one: asked twice, and not too short */
};

static int read_passphrase_file(const char *path, char *passphrase, size_t room,
                                struct nova_error *error)
{
	struct stat status;
	NOVA_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t count = 0;
	ssize_t got = 0;

	if (fd < 0 || fstat(fd, &status))
		return nova_error_errno(error, "cannot read the passphrase in %s", path);
	if ((!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode)) || (status.st_mode & 077) ||
	    (status.st_uid != geteuid() && status.st_uid != 0))
		return nova_error_set(
		        error, NOVA_E_REFUSED,
		        "the passphrase in %s is not safe there: it must be a file of "
		        "yours that nobody else can read; chmod 600 %s",
		        path, path);
	while (count < room && (got = read(fd, passphrase + count, room - count)) > 0)
		count += (size_t)got;
	if (got < 0)
		return nova_error_errno(error, "cannot read the passphrase in %s", path);
	size_t length = 0;
	while (length < count && !strchr("\r\n", passphrase[length]))
		length++;
	if (length == 0 || length == room)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "the first line of %s is no passphrase: it is %s", path,
		                      length ? "too long" : "empty");
	passphrase[length] = '\0';
	return 0;
}

static int ask_terminal(const struct source *source, char *passphrase, size_t room,
                        struct nova_error *error)
{
	NOVA_AUTOCLOSE int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	NOVA_AUTOFREE char *prompt = nova_format("Passphrase of %s: ", source->key);

	if (terminal < 0)
		return nova_error_set(error, NOVA_E_INVALID,
		                      "%s needs a passphrase, and there is no terminal to ask at; "
		                      "use --passphrase-file",
		                      source->key);
	if (EVP_read_pw_string_min(passphrase, source->twice ? PASSPHRASE_MIN : 1, (int)room - 1,
	                           prompt, source->twice))
		return nova_error_set(error, NOVA_E_INVALID, "no passphrase%s",
		                      source->twice ? ", or not the same one twice" : "");
	return 0;
}

static int get_passphrase(void *context, char *passphrase, size_t room, struct nova_error *error)
{
	const struct source *source = context;
	int code = source->file ? read_passphrase_file(source->file, passphrase, room, error)
	                        : ask_terminal(source, passphrase, room, error);

	if (code == 0 && source->twice && strlen(passphrase) < PASSPHRASE_MIN)
		code = nova_error_set(error, NOVA_E_INVALID,
		                      "the passphrase is shorter than %d characters; take several "
		                      "words",
		                      PASSPHRASE_MIN);
	return code;
}

/* --- arguments ------------------------------------------------------------------------------- */

enum { OUTPUT = 1, PASSPHRASE, PASSPHRASE_FILE, KEY, JSON };

struct arguments {
	const char *output, *passphrase_file, *key;
	bool passphrase, json;
	char **files; /* the rest of argv */
	int file_count;
};

static int complain(const char *text)
{
	struct nova_error error = {0};

	nova_error_set(&error, NOVA_E_INVALID, "%s", text);
	return nova_complain(&error);
}

/* -1 to go on. */
static int parse(int argc, char **argv, const struct option *options, const char *help,
                 struct arguments *arguments)
{
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int result = -1;
		switch (option) {
		case OUTPUT: arguments->output = optarg; break;
		case PASSPHRASE: arguments->passphrase = true; break;
		case PASSPHRASE_FILE: arguments->passphrase_file = optarg; break;
		case KEY: arguments->key = optarg; break;
		case JSON: arguments->json = true; break;
		default: result = nova_common_option(option, argv, options, help); break;
		}
		if (result >= 0)
			return result;
	}
	arguments->files = argv + optind;
	arguments->file_count = argc - optind;
	return -1;
}

/* --- keygen ---------------------------------------------------------------------------------- */

static void explain_key(const char *directory, const char *name, const char *id)
{
	bool here = !strcmp(directory, ".");

	printf("key      %s  %s\n"
	       "private  %s%s%s.key   keep it secret: whoever has it signs in your name\n"
	       "public   %s%s%s.pub   give it to those who are to trust what you sign\n\n",
	       name, id, here ? "" : directory, here ? "" : "/", name, here ? "" : directory,
	       here ? "" : "/", name);
	printf("Sign a plugin:             novacore plugin sign FILE.so --key %s%s%s.key\n",
	       here ? "" : directory, here ? "" : "/", name);
	printf("Trust it on a machine:     sudo install -D -m 644 %s.pub "
	       "/etc/novacore/keys.d/%s.pub\n"
	       "Trust it for one user:     install -D -m 644 %s.pub "
	       "~/.config/novacore/keys.d/%s.pub\n"
	       "Should it be lost or read: echo %s >>/etc/novacore/keys.d/revoked\n",
	       name, name, name, name, id);
}

int nova_plugin_keygen(int argc, char **argv)
{
	static const struct option options[] = {
	        {"output", required_argument, NULL, OUTPUT},
	        {"passphrase", no_argument, NULL, PASSPHRASE},
	        {"passphrase-file", required_argument, NULL, PASSPHRASE_FILE},
	        NOVA_COMMON_OPTIONS,
	        {NULL, 0, NULL, 0}};
	struct arguments arguments = {.output = "."};
	struct nova_error error = {0};
	char passphrase[PASSPHRASE_ROOM] = "", id[65];
	int result = parse(argc, argv, options, keygen_help, &arguments);

	if (result >= 0)
		return result;
	if (arguments.file_count != 1)
		return complain(arguments.file_count
		                        ? "keygen makes one key; see novacore plugin keygen --help"
		                        : "keygen needs a name for the key, such as example-2026; "
		                          "see novacore plugin keygen --help");
	const char *name = arguments.files[0];
	struct source source = {.file = arguments.passphrase_file, .key = name, .twice = true};
	bool encrypt = arguments.passphrase || arguments.passphrase_file;
	int code = encrypt ? get_passphrase(&source, passphrase, sizeof(passphrase), &error) : 0;
	if (code == 0)
		code = nova_key_make(arguments.output, name, encrypt ? passphrase : NULL, id,
		                     &error);
	OPENSSL_cleanse(passphrase, sizeof(passphrase));
	if (code != 0)
		return nova_complain(&error);
	explain_key(arguments.output, name, id);
	return 0;
}

/* --- sign ------------------------------------------------------------------------------------ */

static int sign_all(const struct arguments *arguments, const struct nova_private_key *key,
                    struct nova_error *error)
{
	for (int i = 0; i < arguments->file_count; i++) {
		NOVA_AUTOFREE char *written = NULL;
		int code = nova_signature_make(key, arguments->files[i], arguments->output,
		                               &written, error);
		if (code != 0)
			return code;
		printf("%s: signed by %s (%s)\n", written, nova_private_key_name(key),
		       nova_private_key_id(key));
	}
	return 0;
}

int nova_plugin_sign(int argc, char **argv)
{
	static const struct option options[] = {
	        {"key", required_argument, NULL, KEY},
	        {"output", required_argument, NULL, OUTPUT},
	        {"passphrase-file", required_argument, NULL, PASSPHRASE_FILE},
	        NOVA_COMMON_OPTIONS,
	        {NULL, 0, NULL, 0}};
	struct arguments arguments = {0};
	struct nova_error error = {0};
	struct nova_private_key *key;
	int result = parse(argc, argv, options, sign_help, &arguments);

	if (result >= 0)
		return result;
	if (!arguments.file_count)
		return complain("sign needs a plugin, such as hello.so; see novacore plugin sign "
		                "--help");
	if (!arguments.key)
		return complain("sign needs --key with your private key; novacore plugin keygen "
		                "makes one");
	if (arguments.output && arguments.file_count > 1)
		return complain("--output takes the signature of one plugin, not of several");
	struct source source = {.file = arguments.passphrase_file, .key = arguments.key};
	int code = nova_private_key_open(arguments.key, get_passphrase, &source, &key, &error);
	if (code == 0)
		code = sign_all(&arguments, key, &error);
	nova_private_key_free(key);
	return code == 0 ? 0 : nova_complain(&error);
}

/* --- verify ---------------------------------------------------------------------------------- */

static void print_verified(const char *file, const struct nova_verified *verified,
                           const struct nova_error *error)
{
	const struct nova_signer *signer = &verified->signer;
	NOVA_AUTOFREE char *name = nova_strdup(file);
	bool known = signer->id[0];

	nova_utf8_repair(name);
	json_t *all =
	        json_pack("{ss ss sb ss? ss? ss ss? ss? ss?}", "schema", "novacore.signature/1",
	                  "file", file, "ok", error->code == 0, "code",
	                  verified->reason ? nova_refusal_code(verified->reason) : NULL, "why",
	                  error->code ? error->text : NULL, "signature",
	                  nova_signed_word(signer->state), "key", known ? signer->name : NULL,
	                  "key_id", known ? signer->id : NULL, "key_file", signer->key_path);

	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

int nova_plugin_verify(int argc, char **argv)
{
	static const struct option options[] = {{"key", required_argument, NULL, KEY},
	                                        {"json", no_argument, NULL, JSON},
	                                        NOVA_COMMON_OPTIONS,
	                                        {NULL, 0, NULL, 0}};
	struct arguments arguments = {0};
	struct nova_error error = {0};
	struct nova_verified verified;
	int result = parse(argc, argv, options, verify_help, &arguments);

	if (result >= 0)
		return result;
	if (arguments.file_count != 1)
		return complain("verify needs one plugin, such as hello.so; see novacore plugin "
		                "verify --help");
	const char *file = arguments.files[0];
	int code = nova_signature_verify(file, arguments.key, &verified, &error);
	bool judged = code == 0 || verified.reason;
	if (judged && arguments.json)
		print_verified(file, &verified, &error);
	else if (code == 0)
		printf("%s: signed by %s (%s), trusted because of %s\n", file, verified.signer.name,
		       verified.signer.id, verified.signer.key_path);
	if (code && verified.reason)
		nova_error_prefix(&error, "%s", nova_refusal_code(verified.reason));
	nova_verified_free(&verified);
	return code == 0 ? 0 : nova_complain(&error);
}
