#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does what a document tells its reader to do, in the order in which it does, and compares what is seen.

tutorial.py --build BUILD PAGE…    installs the build tree into a scratch prefix, which stands in for
                                   /usr, and follows each page there in a directory of its own
            --update               writes what was seen into the pages instead of comparing
tutorial.py --system USER PAGE…    as that user, with the novacore that is installed in /usr, and sudo

Fenced blocks, by the first word after the fence (further words are attributes):

    c, cmake, python, conf … file=NAME   the file's content      append=NAME: goes to its end
    diff                                 a patch, -p1
    sh                                   commands, which must succeed
    console                              "$ command", then what it prints; "$ " lines may go on after \\
                                         status=N: the exit code of the last command, default 0

Everything happens in one shell: directories and variables stay. Of output, numbers, times, digests and
ids are not compared, nor are blanks; a line "…" stands for any lines, and … in a line for any text.
The reader is an ordinary user; for root, nobody is (sudo is a stand-in that just runs its arguments)."""
import argparse
import difflib
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time

HOME = "/home/you"  # what the scratch directory is called in pages
BLOCK = re.compile(r"^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=fence)[ \t]*$", re.S | re.M)
NOBODY = 65534
PATIENCE = 300


class Failure(Exception):
    pass


def normal(line):
    """A line of output without what differs from one time to the next."""
    line = re.sub(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}\b", "ID", line)
    line = re.sub(r"\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b", "HEX", line)
    line = re.sub(r"\b[0-9][0-9.,]*\s?(ns|us|µs|ms|s|sec)\b", "TIME", line)
    line = re.sub(r"[0-9]+(\.[0-9]+)?", "0", line)
    return re.sub(r"\s+", " ", line).strip()


def fits_line(wanted, got):
    parts = [re.escape(normal(part)) for part in wanted.split("…")]
    return re.fullmatch(r"\s*.*".join(parts), normal(got)) is not None


def fits(wanted, got):
    """Do the lines `got` fit the pattern of lines `wanted`?"""
    if not wanted:
        return not got
    if wanted[0].strip() == "…":
        return any(fits(wanted[1:], got[i:]) for i in range(len(got) + 1))
    return bool(got) and fits_line(wanted[0], got[0]) and fits(wanted[1:], got[1:])


def dialogues(text):
    """[command, expected lines] of a console block."""
    found = []
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("$ "):
            while line.endswith("\\"):
                line += "\n" + next(lines)
            found.append([line[2:], []])
        elif found:
            found[-1][1].append(line)
        else:
            raise Failure(f"a console block begins with output: {line}")
    return found


class Reader:
    """Somebody at a terminal, with novacore installed below a prefix."""

    def __init__(self, scratch, prefix, name, system):
        self.prefix = prefix
        self.home = scratch / name
        self.home.mkdir(mode=0o755)
        self.state = scratch / f"{name}.state"
        self.user = system or (NOBODY if os.getuid() == 0 else None)
        if self.user:
            os.chown(self.home, self.user, self.user)
        self.environment = {
            "HOME": str(self.home), "USER": "you", "LOGNAME": "you", "LC_ALL": "C.UTF-8", "TERM": "dumb",
            "PATH": "/usr/bin:/bin", "NO_COLOR": "1", "XDG_RUNTIME_DIR": str(self.home / ".runtime"),
            "PYTHONDONTWRITEBYTECODE": "1"}
        if not system:
            self.environment |= {
                "PATH": f"{self.stand_in(scratch)}:{prefix}/bin:/usr/bin:/bin",
                "CMAKE_PREFIX_PATH": str(prefix), "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}
        self.run("mkdir -m 700 .runtime")

    def stand_in(self, scratch):
        """A directory with a sudo. The prefix is somebody else's, as /usr is, unless one is root."""
        tools = scratch / "tools"
        tools.mkdir(exist_ok=True)
        (tools / "sudo").write_text(f'#!/bin/sh\nchmod -R u+w {self.prefix}; "$@"; status=$?\n'
                                    f'chmod -R a-w {self.prefix}; exit $status\n')
        (tools / "sudo").chmod(0o755)
        return tools

    def as_reader(self):
        if self.user:
            os.setgroups([])
            os.setgid(self.user)
            os.setuid(self.user)

    def run(self, commands):
        """Exit code and output of commands, in the shell that went on so far."""
        script = (f"[ ! -e {self.state}/variables ] || . {self.state}/variables\n"
                  f"[ ! -e {self.state}/directory ] || cd \"$(cat {self.state}/directory)\"\n"
                  f"trap 'status=$?; export -p >{self.state}/variables; pwd >{self.state}/directory; "
                  f"exit $status' EXIT\n{commands}\n")
        if not self.state.exists():
            self.state.mkdir()
            if self.user:
                os.chown(self.state, self.user, self.user)
        log = open(self.state.with_suffix(".out"), "w+b")
        # What is put into the background must not keep us: a file, no pipe.
        try:
            process = subprocess.run(["bash", "-c", script], cwd=self.home, env=self.environment,
                                     stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                     preexec_fn=self.as_reader, timeout=PATIENCE)
            code = process.returncode
        except subprocess.TimeoutExpired:
            code = 124
        log.seek(0)
        text = log.read().decode(errors="replace")
        return code, self.as_in_usr(text)

    def as_in_usr(self, text):
        """What a terminal would show were novacore below /usr, where no path need be told."""
        text = re.sub(r"^step \d+/\d+ .*\n", "", text, flags=re.M)  # on a terminal it is gone at the end
        text = text.replace(str(self.home), HOME).replace(f" -DCMAKE_PREFIX_PATH={self.prefix}", "")
        return text.replace(f"{self.prefix}/bin/novacore ", "novacore ").replace(str(self.prefix), "/usr")

    def leave(self):
        """Ends what was left running in the background."""
        mine = f"HOME={self.home}".encode()
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if mine in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), 15)
            except OSError:
                pass  # it has ended, or is somebody else's

    def put(self, name, text, append):
        code, output = self.run(f"cat {'>>' if append else '>'}'{name}' <<'END-OF-BLOCK'\n"
                                f"{text}END-OF-BLOCK")
        if code:
            raise Failure(f"cannot write {name}: {output}")


class Page:
    def __init__(self, path, update):
        self.path = path
        self.update = update
        self.text = path.read_text()
        self.steps = 0

    def line(self, position):
        return self.text.count("\n", 0, position) + 1

    def follow(self, reader):
        """Does every block; returns the page with what was seen."""
        new, end = "", 0
        for block in BLOCK.finditer(self.text):
            words = block["info"].split()
            kind = words[0] if words else ""
            attributes = dict(w.split("=", 1) for w in words[1:] if "=" in w)
            try:
                text = self.act(reader, kind, attributes, block["text"])
            except Failure as failure:
                raise Failure(f"{self.path}:{self.line(block.start())}: {failure}") from None
            new += self.text[end:block.start("text")] + text
            end = block.end("text")
        return new + self.text[end:]

    def act(self, reader, kind, attributes, text):
        if "file" in attributes or "append" in attributes:
            self.steps += 1
            reader.put(attributes.get("file") or attributes["append"], text, "append" in attributes)
        elif kind == "diff":
            self.steps += 1
            code, output = reader.run(f"patch -p1 --no-backup-if-mismatch <<'END-OF-BLOCK'\n{text}END-OF-BLOCK")
            if code:
                raise Failure(f"the patch does not fit: {output}")
        elif kind == "sh":
            self.steps += 1
            code, output = reader.run(f"set -e\n{text}set +e")
            if code:
                raise Failure(f"exit code {code}:\n{text}\n{output}")
        elif kind == "console":
            return self.talk(reader, text, int(attributes.get("status", 0)))
        return text

    def talk(self, reader, text, status):
        seen = ""
        talks = dialogues(text)
        for i, (command, wanted) in enumerate(talks):
            self.steps += 1
            began = time.monotonic()
            code, output = reader.run(command)
            print(f"  {time.monotonic() - began:5.1f} s  $ {command}", flush=True)
            if code != (status if i + 1 == len(talks) else 0):
                raise Failure(f"exit code {code}: $ {command}\n{output}")
            got = [line.rstrip() for line in output.splitlines()]
            if fits(wanted, got):
                got = wanted
            elif not self.update:
                diff = difflib.unified_diff(wanted, got, "the page", "what is seen", lineterm="")
                raise Failure(f"$ {command}\n" + "\n".join(diff))
            seen += "".join(f"{line}\n" for line in [f"$ {command}", *got])
        return seen


def install(build, prefix):
    result = subprocess.run(["cmake", "--install", build, "--strip", "--prefix", prefix], capture_output=True,
                            text=True)
    if result.returncode:
        sys.exit(f"cannot install {build}: {result.stderr}")
    for folder, _, names in os.walk(prefix):
        for path in [folder, *(os.path.join(folder, name) for name in names)]:
            if os.getuid() == 0:
                os.chown(path, NOBODY, NOBODY)
    subprocess.run(["chmod", "-R", "a-w", prefix], check=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build")
    parser.add_argument("--system", metavar="USER")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the scratch directory there")
    parser.add_argument("pages", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="novacore-tutorial-"))
    scratch.chmod(0o755)
    failed = False
    try:
        prefix, system = scratch / "usr", None
        if arguments.system:
            prefix, system = pathlib.Path("/usr"), pwd.getpwnam(arguments.system).pw_uid
        else:
            install(arguments.build, str(prefix))
        for path in arguments.pages:
            print(path, flush=True)
            began = time.monotonic()
            page = Page(path, arguments.update)
            reader = Reader(scratch, prefix, path.stem, system)
            try:
                text = page.follow(reader)
            except Failure as failure:
                print(f"FAILED: {failure}", file=sys.stderr)
                failed = True
                continue
            finally:
                reader.leave()
            if not page.steps:
                print(f"FAILED: {path} tells nothing to do", file=sys.stderr)
                failed = True
            if text != page.text and arguments.update:
                path.write_text(text)
            print(f"{path}: {page.steps} steps, {time.monotonic() - began:.1f} s", flush=True)
    finally:
        if arguments.keep:
            print(f"left: {scratch}")
        else:
            subprocess.run(["chmod", "-R", "u+w", scratch], check=True)
            shutil.rmtree(scratch)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
