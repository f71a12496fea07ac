# SPDX-License-Identifier: MIT
# Sourced with `novacore`, `build`, `root` (of the source) and `driver` set: a target of that driver, named
# `lab`, in $work/lab.conf; what it is in $made; its secrets in the array $secrets; options of `plugin check`
# in the array $check. tests/<driver>/lab.sh does that, and starts the peer for as long as this shell lives.
[ -e "$root/tests/$driver/lab.sh" ] || { echo "there is no tests/$driver/lab.sh" >&2; exit 1; }
source=$root/tests/peers/$driver peer=$build/peers/$driver check=()
# hide SECRET: another one, in $work/hidden
hide() {
	secrets+=("$1")
	rm -f "$work/hidden"
	(umask 077 && printf '%s\n' "$1" >"$work/hidden")
}
# no_session WHY: nothing there can expire
no_session() { check+=(--expire-session "echo '$1' >&2; false"); }
# shellcheck source=tests/proxmox/lab.sh
. "$root/tests/$driver/lab.sh"
export HOME=$work NOVACORE_HOME=$work/home
unset NOVACORE_PLUGIN_PATH
mkdir -p "$NOVACORE_HOME"
chmod 755 "$work" "$NOVACORE_HOME"
