#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Looks for secrets, as they are and as they travel, where none may be.

    secrets.py files SECRETS FOLDER [NAME…]   in all files below it, but those of these names
    secrets.py processes SECRETS              again and again in the command lines and environments of all
                                              processes, until standard input ends

SECRETS is a file with one on each line. All encodings count in which a careless program shows one.

Exits with 1 and says where one was found."""
import base64
import html
import json
import os
import pathlib
import select
import sys
import urllib.parse


def forms(secret):
    raw = secret.encode()
    wide = secret.encode("utf-16-le")
    yield "as it is", raw
    yield "in UTF-16", wide
    yield "percent-encoded", urllib.parse.quote(secret, safe="").encode()
    yield "as a form", urllib.parse.quote_plus(secret).encode()
    yield "in XML", html.escape(secret).encode()
    yield "in JSON", json.dumps(secret)[1:-1].encode()
    yield "in hex", raw.hex().encode()
    for name, data in ("base64", raw), ("base64 of UTF-16", wide):
        for shift in range(3):  # wherever it begins in what is encoded
            text = base64.b64encode(b"\0" * shift + data)
            begin, end = (shift * 8 + 5) // 6, len(data) * 8 // 6 + shift
            if end - begin > 8:
                yield name, text[begin:end]


def all_forms(secrets):
    return [(name, form) for secret in secrets for name, form in forms(secret) if len(form) > 5]


def look(data, known, where):
    return [f"{where}: a secret {name}" for name, form in known if form in data]


def files(folder, excepted, secrets):
    known, found, count = all_forms(secrets), [], 0
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.name in excepted or path.is_symlink() or not path.is_file():
            continue
        count += 1
        found += look(path.read_bytes(), known, path) + look(str(path).encode(), known, path)
    if not count:
        found.append(f"{folder}: there is no file to look into")
    return found


def ours():
    """This process, and those that have started it: they know what is looked for."""
    pid, known = os.getpid(), set()
    while pid > 1:
        known.add(str(pid))
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        pid = int(stat.rpartition(")")[2].split()[1])
    return known


def processes(secrets):
    known, mine, found, rounds = all_forms(secrets), ours(), set(), 0
    while not select.select([sys.stdin], [], [], 0.1)[0]:
        rounds += 1
        for pid in os.listdir("/proc"):
            if not pid.isdigit() or pid in mine:
                continue
            for what in "cmdline", "environ":
                try:
                    data = pathlib.Path(f"/proc/{pid}/{what}").read_bytes()
                    name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
                except OSError:
                    continue
                found.update(look(data, known, f"{what} of {name} ({pid})"))
    if not rounds:
        found.add("no process was looked at")
    return sorted(found)


def main():
    secrets = [line for line in pathlib.Path(sys.argv[2]).read_text().split("\n") if line]
    if sys.argv[1] == "files":
        found = files(sys.argv[3], sys.argv[4:], secrets)
    else:
        found = processes(secrets)
    for one in found:
        print(one)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
