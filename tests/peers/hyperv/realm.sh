#!/bin/bash
# SPDX-License-Identifier: MIT
# realm.sh DIRECTORY: a Kerberos realm, LAB.EXAMPLE, on 127.0.0.1: a KDC (MIT's), the peer's keys
# (DIRECTORY/keytab, for HTTP/127.0.0.1), and a ticket of bench's (DIRECTORY/ticket). Prints "ready", and
# ends with its standard input. Exit status 77 where there is no KDC.
set -eu
PATH=/usr/sbin:/sbin:$PATH
directory=$1
if ! command -v krb5kdc kdb5_util kadmin.local kinit >/dev/null || ! /usr/bin/python3 -c 'import gssapi' 2>/dev/null; then
	echo "skipped: no Kerberos (krb5-kdc, krb5-admin-server, krb5-user, python3-gssapi; ./dev deps installs them)" >&2
	exit 77
fi
cd "$directory"
port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >krb5.conf <<END
[libdefaults]
  default_realm = LAB.EXAMPLE
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
[realms]
  LAB.EXAMPLE = {
    kdc = 127.0.0.1:$port
  }
[domain_realm]
  127.0.0.1 = LAB.EXAMPLE
END
cat >kdc.conf <<END
[kdcdefaults]
  kdc_listen = 127.0.0.1:$port
  kdc_tcp_listen = 127.0.0.1:$port
[realms]
  LAB.EXAMPLE = {
    database_name = $directory/principal
    key_stash_file = $directory/stash
    acl_file = $directory/acl
    supported_enctypes = aes256-cts:normal
  }
[logging]
  kdc = FILE:$directory/log
END
export KRB5_CONFIG=$directory/krb5.conf KRB5_KDC_PROFILE=$directory/kdc.conf
umask 077
kdb5_util create -r LAB.EXAMPLE -s -P master-of-the-test >/dev/null
password='Correct-Horse-7!'
kadmin.local -q "addprinc -pw $password bench" >/dev/null 2>&1
kadmin.local -q "addprinc -randkey HTTP/127.0.0.1" >/dev/null 2>&1
kadmin.local -q "ktadd -k $directory/keytab HTTP/127.0.0.1" >/dev/null 2>&1
krb5kdc -n -P "$directory/pid" </dev/null >/dev/null 2>&1 &
kdc=$!
trap 'kill $kdc' EXIT
for _ in $(seq 100); do
	if echo "$password" | kinit -c "$directory/ticket" bench >/dev/null 2>&1; then
		echo ready
		cat >/dev/null
		exit 0
	fi
	sleep 0.1
done
echo "the KDC gave no ticket: $(tail -3 "$directory/log")" >&2
exit 1
