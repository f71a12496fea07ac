# SPDX-License-Identifier: MIT
"""user_mount.py DIRECTORY UID COMMAND…: runs a command while DIRECTORY is an empty file system in user
space that UID mounted and that says of itself that it belongs to root. Needs root and /dev/fuse."""
import ctypes
import os
import struct
import subprocess
import sys
import threading

# linux/fuse.h: fuse_in_header, fuse_out_header, and what answers each request
HEADER, ANSWER = struct.Struct("<IIQQ"), struct.Struct("<IiQ")
GETATTR, STATFS, FLUSH, INIT, OPENDIR, RELEASEDIR, NO_ANSWER = 3, 17, 25, 26, 27, 29, (2, 36, 42)
ROOT = struct.pack("<QII", 0, 0, 0) + struct.pack(
    "<6Q10I", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
ANSWERS = {INIT: struct.pack("<IIIIHHII", 7, 31, 0, 0, 1, 1, 4096, 1) + bytes(36), GETATTR: ROOT,
           STATFS: bytes(80), OPENDIR: struct.pack("<QII", 1, 0, 0), RELEASEDIR: b"", FLUSH: b""}
ENOENT, ENOSYS, LOOKUP, READDIR, READDIRPLUS = 2, 38, 1, 28, 44


def serve(device):
    while True:
        try:
            request = os.read(device, 1 << 20)
        except OSError:  # unmounted
            return
        _, what, unique, _ = HEADER.unpack_from(request)
        if what in NO_ANSWER:
            continue
        body = b"" if what in (READDIR, READDIRPLUS) else ANSWERS.get(what)
        error = 0 if body is not None else -ENOENT if what == LOOKUP else -ENOSYS
        os.write(device, ANSWER.pack(ANSWER.size + len(body or b""), error, unique) + (body or b""))


def main():
    directory, user, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id={user},group_id=0,allow_other"
    if libc.mount(b"test", directory.encode(), b"fuse.test", 0, options.encode()):
        sys.exit(f"cannot mount: {os.strerror(ctypes.get_errno())}")
    threading.Thread(target=serve, args=(device,), daemon=True).start()
    try:
        sys.exit(subprocess.run(command, timeout=60).returncode)
    finally:
        libc.umount2(directory.encode(), 2)  # MNT_DETACH


main()
