#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The headers of the plugin ABI against the blessed dumps, sdk/abi/<major>.<minor>.abi (abidw's) and
.constants (a list: abidw sees no macros). Of the headers' own minor nothing may differ; since an earlier
one structs may have grown at their end, and there may be new structs and constants.
blessed.py [--bless] HEADERS DUMPS CC...    the directory that has novacore/; --bless writes that minor's"""
import pathlib
import re
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

VERSION = ("NOVA_ABI_MINOR", "NOVA_ABI_MIN_MINOR")  # what differs between minors, and nothing else


class Refused(Exception):
    pass


def run(*command, **options):
    return subprocess.run(command, text=True, capture_output=True, check=False, **options)


def compiled(headers, cc, *options, text):
    made = run(*cc, "-I", str(headers), "-x", "c", "-", *options, input=text)
    if made.returncode:
        raise Refused("the headers do not compile:\n" + made.stderr)
    return made.stdout


def structs(headers):
    """Name → whether it begins with struct_size, and so may grow."""
    text = "".join(p.read_text() for p in sorted((headers / "novacore").glob("*.h")))
    return {name: first == "uint32_t struct_size" for name, first in
            re.findall(r"^struct (nova_\w+) \{\s*(?:/\*.*?\*/\s*)?([^;]*);", text, flags=re.M | re.S)}


def constants(headers, cc):
    """Name → what it stands for, of each macro without arguments."""
    include = "#include <novacore/sdk.h>\n"
    names = re.findall(r"^#define (NOVA_[A-Z]\w*) \S", compiled(headers, cc, "-E", "-dM", text=include), re.M)
    names = sorted(n for n in names if n not in ("NOVA_EXPORT", "NOVA_EXTERN_C"))
    lines = compiled(headers, cc, "-E", "-P", text=include + "".join(f"@{i}@ {n}\n" for i, n in enumerate(names)))
    found = re.findall(r"@\s*(\d+)\s*@([^@]*)", lines)
    return {names[int(i)]: " ".join(value.split()) for i, value in found}


def dump(headers, cc, folder):
    """abidw of a library that uses every struct; nothing of where and by whom it was made is in it."""
    text = "#include <novacore/sdk.h>\n" + "".join(
        f"int probe_{name}(const struct {name} *);\nint probe_{name}(const struct {name} *p) {{ return !p; }}\n"
        for name in sorted(structs(headers)))
    library, out = folder / "probe.so", folder / "now.abi"
    compiled(headers, cc, "-g", "-O0", "-fPIC", "-shared", "-o", str(library), text=text)
    made = run("abidw", "--no-architecture", "--no-corpus-path", "--no-comp-dir-path", "--no-show-locs",
               "--no-elf-needed", "--no-parameter-names", "--type-id-style", "hash", "--out-file", str(out), str(library))
    if made.returncode:
        raise Refused("abidw: " + made.stderr)
    return out


class Layout:
    """The members of each struct of a dump, in order, as texts: name, offset, type to its end."""

    def __init__(self, path):
        root = ElementTree.parse(path).getroot()
        self.types = {e.get("id"): e for e in root.iter() if e.get("id")}
        self.members = {}
        for struct in root.iter("class-decl"):
            if struct.get("is-declaration-only") != "yes":
                self.members[struct.get("name")] = [self.member(m) for m in struct.iter("data-member")]

    def member(self, member):
        variable = member.find("var-decl")
        return f"{variable.get('name')} at {member.get('layout-offset-in-bits')}: {self.name(variable.get('type-id'))}"

    def name(self, type_id):
        one = self.types[type_id]
        below = one.get("type-id")
        if one.tag == "pointer-type-def":
            return self.name(below) + " *"
        if one.tag == "qualified-type-def":
            return self.name(below) + " const"
        if one.tag == "typedef-decl":
            # uint64_t stays: what is below is each compiler's own affair; nova_op is one
            return one.get("name") if one.get("name").endswith("_t") else self.name(below)
        if one.tag == "array-type-def":
            return f"{self.name(below)}[{one.get('size-in-bits')}]"
        if one.tag == "function-type":
            takes = [self.name(p.get("type-id")) if p.get("type-id") else "..." for p in one.iter("parameter")]
            return f"{self.name(one.find('return').get('type-id'))}({', '.join(takes)})"
        return f"{one.get('name')} {one.get('size-in-bits') if one.tag == 'type-decl' else 'struct'}"


def refuse_other_beginnings(headers, blessed, now):
    """abidiff's suppressions cannot say "the same, and perhaps more at the end"."""
    old, new, growing = Layout(blessed).members, Layout(now).members, structs(headers)
    for name, members in old.items():
        found = new.get(name, [])
        if found[:len(members)] != members or (len(found) > len(members) and not growing.get(name)):
            odd = [m for m in members if m not in found] or found[len(members):] or ["their order"]
            raise Refused(f"struct {name} is not that of {blessed.stem} with more at its end: {odd[0]}")


def compare(headers, dumps, cc, folder):
    now, have = dump(headers, cc, folder), constants(headers, cc)
    major, minor = (int(have[f"NOVA_ABI_{part}"].rstrip("u")) for part in ("MAJOR", "MINOR"))
    if not (dumps / f"{major}.{minor}.abi").exists():
        raise Refused(f"there is no blessed dump of ABI {major}.{minor} in {dumps}; HACKING.md says when there is one")
    for blessed in sorted(dumps.glob(f"{major}.*.abi")):
        then = int(blessed.stem.split(".")[1])
        wanted = dict(line.split(" ", 1) for line in blessed.with_suffix(".constants").read_text().splitlines())
        if then > minor:  # these are headers of an earlier one
            continue
        refuse_other_beginnings(headers, blessed, now)
        made = run("abidiff", "--harmless", "--no-show-locs", str(blessed), str(now))
        if made.returncode and then == minor:
            raise Refused(f"not the structs of ABI {major}.{then}:\n{made.stdout}{made.stderr}")
        for name, value in wanted.items():
            if name not in VERSION and have.get(name) != value:
                raise Refused(f"{name} is {have.get(name, 'gone')}, in ABI {major}.{then} it is {value}")
        if then == minor and set(have) != set(wanted):
            raise Refused(f"not in ABI {major}.{then}: {', '.join(sorted(set(have) - set(wanted)))}")
    return f"{len(structs(headers))} structs, {len(have)} constants of ABI {major}.{minor}"


def bless(headers, dumps, cc, folder):
    have = constants(headers, cc)
    name = "%s.%s" % tuple(have[f"NOVA_ABI_{part}"].rstrip("u") for part in ("MAJOR", "MINOR"))
    (dumps / f"{name}.abi").write_text(dump(headers, cc, folder).read_text())
    (dumps / f"{name}.constants").write_text("".join(f"{n} {v}\n" for n, v in have.items()))
    return f"blessed {name}"


def main():
    words = sys.argv[1:]
    work = bless if words[0] == "--bless" else compare
    if work is bless:
        words.pop(0)
    with tempfile.TemporaryDirectory() as folder:
        try:
            print(work(pathlib.Path(words[0]), pathlib.Path(words[1]), words[2:], pathlib.Path(folder)))
        except Refused as why:
            sys.exit(str(why))


if __name__ == "__main__":
    main()
