# SPDX-License-Identifier: MIT
# test_sign.sh NOVACORE PLUGINS MANIFEST SOURCE: novacore plugin keygen, sign and verify, from a new key to a
# plugin that is trusted for it, and everything that can be wrong on the way.
here=$(dirname "$(readlink -f "$0")")
. "$here/../run/lib.sh"
good=$2/1/benchmark/good manifest=$3
umask 022
keys=$NOVACORE_HOME/config/keys.d
mkdir -p "$keys" plugins/1/benchmark
chmod -R go-w .
export NOVACORE_PLUGIN_PATH=
so=plugins/1/benchmark/good.so sig=plugins/1/benchmark/good.manifest.sig
fresh() { rm -f plugins/1/benchmark/*; cp "$good.so" "$good.manifest" plugins/1/benchmark/; }
fresh
sha() { sha256sum "$1" | cut -d' ' -f1; }
quiet_refusal() { expect "$@"; ! grep -q . out || fail "$* prints on stdout"; }

note "keygen makes a pair, and never writes over one"
expect 0 "$novacore" plugin keygen lab-2026
says "keep it secret"
says "/etc/novacore/keys.d/lab-2026.pub"
[ "$(stat -c %a lab-2026.key)" = 600 ] || fail "others can read the private key"
id=$(openssl pkey -pubin -in lab-2026.pub -outform DER | sha256sum | cut -d' ' -f1)
says "lab-2026  $id"
before=$(sha lab-2026.key)
quiet_refusal 2 "$novacore" plugin keygen lab-2026
says "never overwritten"
[ "$before" = "$(sha lab-2026.key)" ] || fail "the key was overwritten"
mkdir safe
expect 0 "$novacore" plugin keygen other --output safe
says "safe/other.key"
[ -f safe/other.key ] || fail "not in --output"
for name in Lab ../x 'a b' '' -x .x "$(printf 'a%.0s' {1..65})"; do
  expect 2 "$novacore" plugin keygen -- "$name"
  says "cannot be the name of a key"
done
expect 2 "$novacore" plugin keygen
expect 2 "$novacore" plugin keygen a b
expect 2 "$novacore" plugin keygen a --output nowhere
says "o such file"
expect 2 "$novacore" plugin keygen a --outputt x
expect 2 "$novacore" plugin keygen a --output
[ -z "$(ls a.* 2>/dev/null)" ] || fail "something was written"

note "a passphrase comes from a safe file or the terminal, and from nowhere else"
echo "correct horse battery" >pass
quiet_refusal 5 "$novacore" plugin keygen secret --passphrase-file pass
says "chmod 600 pass"
chmod 600 pass
expect 0 "$novacore" plugin keygen secret --passphrase-file pass
grep -q "BEGIN ENCRYPTED PRIVATE KEY" secret.key || fail "the key is not encrypted"
expect 0 "$novacore" plugin sign $so --key secret.key --passphrase-file pass
install -m 600 /dev/null empty
expect 2 "$novacore" plugin keygen x --passphrase-file empty
echo short | install -m 600 /dev/stdin short
expect 2 "$novacore" plugin keygen x --passphrase-file short
says "shorter than 8"
head -c 5000 /dev/zero | tr '\0' a | install -m 600 /dev/stdin long
expect 2 "$novacore" plugin keygen x --passphrase-file long
says "too long"
expect 2 "$novacore" plugin keygen x --passphrase-file missing
echo "wrong horse battery" | install -m 600 /dev/stdin wrong
expect 2 "$novacore" plugin sign $so --key secret.key --passphrase-file wrong
says "passphrase is not the right one"
expect 2 setsid "$novacore" plugin sign $so --key secret.key
says "--passphrase-file"
expect 2 setsid "$novacore" plugin keygen x --passphrase
says "no terminal"
expect 2 "$novacore" plugin keygen x --passphrase=abcdefgh
! ls x.* >/dev/null 2>&1 || fail "something was written"
# at a terminal: what is typed, and that it is not shown
cat >type.py <<'END'
import os, pty, sys, termios, time, select
lines, argv = sys.argv[1].split("|"), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(argv[0], argv)
shown, asked = b"", 0
while True:
    ready, _, _ = select.select([fd], [], [], 30)
    try:
        piece = os.read(fd, 4096) if ready else b""
    except OSError:
        piece = b""
    if not piece:
        break
    shown += piece
    if shown.count(b"assphrase of") > asked and lines:
        asked = shown.count(b"assphrase of")
        while termios.tcgetattr(fd)[3] & termios.ECHO:  # the prompt comes first
            time.sleep(0.01)
        os.write(fd, lines.pop(0).encode() + b"\n")
status = os.waitpid(pid, 0)[1]
sys.stdout.write(shown.decode())
sys.exit(os.waitstatus_to_exitcode(status))
END
expect 0 python3 type.py "typed in secret|typed in secret" "$novacore" plugin keygen typed --passphrase
! grep -q "typed in secret" out || fail "the passphrase is shown"
expect 0 python3 type.py "typed in secret" "$novacore" plugin sign $so --key typed.key
expect 2 python3 type.py "typed in vain" "$novacore" plugin sign $so --key typed.key
expect 2 python3 type.py "typed in secret|typed in error" "$novacore" plugin keygen typo --passphrase
[ ! -e typo.key ] || fail "two different passphrases made a key"

note "sign writes a text that a person can read, and OpenSSL verify"
fresh
expect 0 "$novacore" plugin sign $so --key lab-2026.key
says "signed by lab-2026 ($id)"
[ "$(head -n 3 $sig)" = "novacore-signature 1
key $id
name lab-2026" ] || fail "not the signature's text: $(cat $sig)"
sed -n 's/^ed25519 //p' $sig | base64 -d >raw
openssl pkeyutl -verify -pubin -inkey lab-2026.pub -rawin -in ${so%.so}.manifest -sigfile raw >/dev/null ||
  fail "OpenSSL does not verify it"
first=$(sha $sig)
rm $sig
expect 0 "$novacore" plugin sign ${so%.so}.manifest --key lab-2026.key
[ "$first" = "$(sha $sig)" ] || fail "two signatures of the same differ"
rm $sig
expect 0 "$novacore" plugin sign $so --key lab-2026.key --output elsewhere.sig
[ "$first" = "$(sha elsewhere.sig)" ] && [ ! -e $sig ] || fail "not in --output"
openssl genpkey -algorithm ed25519 -out openssl.key 2>/dev/null
chmod 600 openssl.key
expect 0 "$novacore" plugin sign $so --key openssl.key
openssl pkey -in openssl.key -pubout -out openssl.pub
expect 0 "$novacore" plugin verify $so --key openssl.pub

note "sign refuses what it must not sign, and writes nothing then"
fresh
nothing_signed() { [ ! -e $sig ] || fail "it was signed"; }
chmod 640 lab-2026.key
quiet_refusal 5 "$novacore" plugin sign $so --key lab-2026.key
says "nobody else can read"
chmod 600 lab-2026.key
echo x >>$so
quiet_refusal 5 "$novacore" plugin sign $so --key lab-2026.key
says "--rehash"
nothing_signed
fresh
mv ${so%.so}.manifest m
quiet_refusal 5 "$novacore" plugin sign $so --key lab-2026.key
says "no manifest"
echo "format = 9;" >${so%.so}.manifest
quiet_refusal 5 "$novacore" plugin sign $so --key lab-2026.key
sed 's/name = "good"/name = "evil"/' m >${so%.so}.manifest
quiet_refusal 5 "$novacore" plugin sign $so --key lab-2026.key
says "benchmark/evil"
nothing_signed
fresh
expect 2 "$novacore" plugin sign $so
says "--key"
expect 2 "$novacore" plugin sign --key lab-2026.key
expect 2 "$novacore" plugin sign missing.so --key lab-2026.key
expect 2 "$novacore" plugin sign lab-2026.pub --key lab-2026.key
says "not the name of a plugin's file"
expect 5 "$novacore" plugin sign $so --key lab-2026.pub
chmod 600 lab-2026.pub
expect 2 "$novacore" plugin sign $so --key lab-2026.pub
says "not a private key"
chmod 644 lab-2026.pub
expect 2 "$novacore" plugin sign $so --key missing.key
expect 2 "$novacore" plugin sign $so $so --key lab-2026.key --output x
openssl genpkey -algorithm rsa -out rsa.key 2>/dev/null
chmod 600 rsa.key
expect 2 "$novacore" plugin sign $so --key rsa.key
says "Ed25519"
nothing_signed

note "verify: who, and whether that counts"
quiet_refusal 5 "$novacore" plugin verify $so
says "unsigned: "
expect 0 "$novacore" plugin sign $so --key lab-2026.key
quiet_refusal 5 "$novacore" plugin verify $so
says "unknown-key: "
expect 0 "$novacore" plugin verify $so --key lab-2026.pub
says "signed by lab-2026 ($id)"
quiet_refusal 5 "$novacore" plugin verify $so --key safe/other.pub
says "unknown-key: "
install -m 644 lab-2026.pub "$keys/"
for file in $so ${so%.so}.manifest $sig; do
  expect 0 "$novacore" plugin verify $file
done
expect 0 "$novacore" plugin verify $so --json
check out "r['ok'] and r['key'] == 'lab-2026' and r['key_id'] == '$id' and r['code'] is None"
check out "r['key_file'].endswith('/keys.d/lab-2026.pub') and r['signature'] == 'valid'"
sed -i 's/"1.0.0"/"1.0.1"/' ${so%.so}.manifest
expect 5 "$novacore" plugin verify $so --json
check out "not r['ok'] and r['code'] == 'signature' and r['signature'] == 'unknown-key'"
fresh
cp elsewhere.sig $sig
expect 0 "$novacore" plugin verify $so
tail -n 3 elsewhere.sig >$sig
quiet_refusal 5 "$novacore" plugin verify $so
says "not a whole signature"
cp elsewhere.sig $sig
echo x >>$so
quiet_refusal 5 "$novacore" plugin verify $so
says "hash: "
fresh
cp elsewhere.sig $sig
for revoked in "$id" "$(sha $so)" "$(sha ${so%.so}.manifest)"; do
  echo "$revoked # a test" >"$keys/revoked"
  for option in "" "--key lab-2026.pub"; do
    quiet_refusal 5 "$novacore" plugin verify $so $option
    says "revoked: "
    says "keys.d/revoked:1"
  done
done
echo "$id!" >"$keys/revoked"
quiet_refusal 5 "$novacore" plugin verify $so
says "no signature is trusted"
rm "$keys/revoked"
expect 2 "$novacore" plugin verify
expect 2 "$novacore" plugin verify $so $so
expect 2 "$novacore" plugin verify missing.so
expect 2 "$novacore" plugin verify $so --key missing.pub
expect 2 "$novacore" plugin verify $so --key lab-2026.key
says "is a private key"
expect 2 "$novacore" plugin verify $so --format json

note "info and list say who signed, and why it is trusted"
if [ "$(id -u)" = 0 ]; then
  echo "plugins = { path = [\"$scratch/plugins\", \"relative\", \"/nonexistent/dir\"]; };" \
    >"$NOVACORE_HOME/config/novacore.conf"
else
  export NOVACORE_PLUGIN_PATH=$scratch/plugins
fi
expect 0 "$novacore" plugin info good
says "trusted   signature"
says "by lab-2026 ($id)"
expect 0 "$novacore" plugin info good --json
check out "r['trust'] == {'because': 'signature', 'signature': 'valid', 'key': 'lab-2026', 'key_id': '$id', 'key_file': '$keys/lab-2026.pub'}"
expect 0 "$novacore" plugin list --json
check out "[p['trust']['because'] for p in r['plugins'] if p['name'] == 'good'] == ['signature']"
check out "all(p['trust']['because'] == 'prefix' for p in r['plugins'] if p['name'] != 'good')"
if [ "$(id -u)" = 0 ]; then
  check out "len(r['problems']) == 2 and 'relative' in r['problems'][0] and '/nonexistent/dir' in r['problems'][1]"
fi

note "and it runs"
expect 0 "$novacore" --plugin sim --benchmark good --set hypervisor.sim.clock=virtual --quiet
echo "broken" >"$keys/revoked"
expect 0 "$novacore" plugin list --quiet
says "error: the revocation list cannot be used"
if [ "$(id -u)" = 0 ]; then
  says "unknown-key"
  expect 5 "$novacore" --plugin sim --benchmark good --set hypervisor.sim.clock=virtual --quiet
else
  expect 0 "$novacore" plugin info good --json
  check out "r['trust']['because'] == 'owner' and r['trust']['signature'] == 'unknown-key'"
fi

note "plugins.path counts in the system's file alone"
rm -f "$NOVACORE_HOME/config/novacore.conf" "$keys/revoked"
echo "plugins = { path = [\"$scratch/plugins\"]; };" >some.conf
for arguments in "config show --config some.conf" "config show --set plugins.path=/x" "config check some.conf" \
  "run --plugin sim --config some.conf --dry-run"; do
  expect 5 "$novacore" $arguments
  says "plugins.path decides whose code runs"
done
cp some.conf "$NOVACORE_HOME/config/novacore.conf"
expect 0 "$novacore" config check "$NOVACORE_HOME/config/novacore.conf"
expect 0 "$novacore" config show plugins.path --origin
says "config/novacore.conf:1"
expect 0 "$novacore" config keys plugins
export NOVACORE_PLUGIN_PATH=
expect 0 "$novacore" plugin info good
chmod 666 "$NOVACORE_HOME/config/novacore.conf"
expect 0 "$novacore" plugin list
says "config/novacore.conf can be written to by others"
! grep -q "  good  " out || fail "a file that anybody can write to decides whose code runs"
echo "run = { samples = 7; };" >"$NOVACORE_HOME/config/novacore.conf"
expect 0 "$novacore" plugin list
! grep -q "written to by others" err || fail "who does not use plugins.path is warned of it"
