#!/bin/bash
# SPDX-License-Identifier: MIT
# sshd.sh DIRECTORY: an SSH server on 127.0.0.1 that DIRECTORY/key opens for who runs this, and any key of
# DIRECTORY/more.pub; prints its port, and ends with its standard input. Exit status 77 where there is none.
set -eu
[ -x /usr/sbin/sshd ] || { echo "skipped: no sshd (./dev deps installs it)" >&2; exit 77; }
directory=$1
for name in key host; do
	ssh-keygen -q -t ed25519 -N '' -f "$directory/$name"
done
# root's locks its children in here; it stays, another test may need it
[ "$(id -u)" != 0 ] || mkdir -p -m 755 /run/sshd
port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
cat >"$directory/sshd_config" <<EOF
ListenAddress 127.0.0.1:$port
HostKey $directory/host
AuthorizedKeysFile $directory/key.pub $directory/more.pub
StrictModes no
UsePAM no
PidFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
EOF
/usr/sbin/sshd -D -e -q -f "$directory/sshd_config" </dev/null >/dev/null 2>"$directory/log" &
echo "$port"
cat >/dev/null
kill $!
