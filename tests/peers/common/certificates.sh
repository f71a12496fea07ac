# SPDX-License-Identifier: MIT
# Sourced in a peer's directory: cert.pem for the peer, which is its own CA, and other.pem, a CA that has
# nothing to do with it; each with NAME-key.pem. Made again a day before they expire. $names: those of the
# peer, if it has more addresses than one.
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
		-subj "/CN=$2" -addext "subjectAltName=${names:-IP:127.0.0.1}" \
		-keyout "$1-key.pem" -out "$1.pem" 2>openssl.log
}
if ! openssl x509 -checkend 86400 -noout -in cert.pem >/dev/null 2>&1; then
	certificate cert "novacore test peer"
	certificate other "unrelated authority"
fi
