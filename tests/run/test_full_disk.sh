#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk that fills up in the middle of a run: the run pauses, says so, loses nothing that was
# stored, and is resumed when there is room. Then hosts on which something is missing. Needs root,
# for a small file system of its own in a mount namespace of its own.
if [ "$(id -u)" != 0 ]; then
  echo "skipped: mounting a small file system needs root"
  exit 77
fi
if [ -z "${NOVACORE_TEST_INSIDE:-}" ]; then
  # In a chroot / is no mount point: nothing can be made private, and nothing needs to be.
  propagation=private
  unshare --mount --propagation private true 2>/dev/null || propagation=unchanged
  NOVACORE_TEST_INSIDE=1 exec unshare --mount --propagation $propagation bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"

note "a full disk"
mkdir -p "$NOVACORE_HOME/state"
mount -t tmpfs -o size=700k,mode=755 tmpfs "$NOVACORE_HOME/state"
code=0
"$novacore" --profile dev --plugin sim --set hypervisor.sim.clock=virtual --set run.samples=400 --full \
  --set lifecycle.concurrency=4 --format json --output r.json >out 2>err </dev/null || code=$?
[ $code = 4 ] || { tail -n 5 err >&2; fail "exit code $code on a full disk, not 4"; }
says "paused"
says "--resume"
before=$(find "$NOVACORE_HOME/state" -name novacore.db -size +0)
[ -n "$before" ] || fail "the store is gone"
mount -o remount,size=64m "$NOVACORE_HOME/state"
expect 0 "$novacore" run --resume last --format json --output r.json
check r.json 'r["run"]["state"] == "complete"'
check r.json 'sorted(x["replicate"] for s in r["steps"] for x in s["replicates"] if x["state"] == "done") == list(range(100))'
check r.json 'all(m["n"] == 400 for s in r["steps"] for m in s["metrics"] if m["name"] == "lifecycle.start.running")'
nothing_left
umount "$NOVACORE_HOME/state"

note "a store on a read-only file system"
mount -t tmpfs -o size=4m,mode=755 tmpfs "$NOVACORE_HOME/state"
mount -o remount,ro "$NOVACORE_HOME/state"
expect 3 "$novacore" --profile dev --plugin sim
says "$NOVACORE_HOME/state"
umount "$NOVACORE_HOME/state"

note "no QEMU"
printf '#!/bin/sh\nexit 127\n' >none
mount --bind /dev/null /usr/bin/qemu-system-x86_64
expect 3 "$novacore" --profile dev --plugin kvm
grep -qi 'qemu' err || { cat err >&2; fail "nothing speaks of QEMU"; }
expect 3 "$novacore" doctor
says "qemu-system-x86"
umount /usr/bin/qemu-system-x86_64
