#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lists.py TREE: every component is a package in debian/control and in the RPM spec; versions agree."""
import os
import re
import sys

tree = sys.argv[1]


def read(*path):
    with open(os.path.join(tree, *path), encoding="utf-8") as file:
        return file.read()


def components():
    names = {"novacore", "sdk"}
    for kinds in ("benchmarks", "hypervisors", "optimizers", "profiles"):
        folder = os.path.join(tree, "plugins", kinds)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            path = os.path.join(folder, name, "CMakeLists.txt")
            if not os.path.exists(path):
                continue
            given = re.search(r"\bCOMPONENT\s+([\w-]+)", read("plugins", kinds, name, "CMakeLists.txt"))
            names.add(given.group(1) if given else
                      "profiles" if kinds == "profiles" else "%s-%s" % (kinds[:-1], name))
    return names


def check(where, has, wanted):
    wrong = ["%s lacks the component %s" % (where, name) for name in sorted(wanted - has)]
    return wrong + ["%s has %s, which is no component" % (where, name) for name in sorted(has - wanted)]


def main():
    wanted = components()
    control, spec = read("debian", "control"), read("packaging", "novacore.spec")
    names = {"novacore": "novacore", "novacore-sdk-dev": "sdk", "sdk-devel": "sdk"}
    deb = {names.get(name, name.replace("novacore-", "", 1))
           for name in re.findall(r"^Package: (\S+)", control, re.M)}
    rpm = {names.get(name, name) for name in re.findall(r"^%package (\S+)", spec, re.M)} | {"novacore"}
    loop = re.search(r"for component in (.*?); do", spec, re.S).group(1).replace("\\\n", " ").split()
    files = {names.get(name, name) for name in re.findall(r"^%files (?!-f)(\S+)", spec, re.M)} | {"novacore"}
    wrong = (check("debian/control", deb, wanted) + check("packages of the spec", rpm, wanted)
             + check("%install of the spec", set(loop), wanted) + check("%files of the spec", files, wanted))

    version = re.search(r"project\(novacore VERSION ([\d.]+)", read("CMakeLists.txt")).group(1)
    for where, found in (("debian/changelog", re.match(r"novacore \(([\d.]+)-", read("debian", "changelog"))),
                         ("packaging/novacore.spec", re.search(r"^Version:\s*(\S+)", spec, re.M)),
                         ("%changelog of the spec", re.search(r"> - ([\d.]+)-", spec))):
        if found.group(1) != version:
            wrong.append("%s says %s, CMakeLists.txt %s" % (where, found.group(1), version))
    header = read("sdk", "include", "novacore", "abi.h")
    for part in ("MAJOR", "MINOR"):
        ours = re.search(r"#define NOVA_ABI_%s (\d+)" % part, header).group(1)
        theirs = re.search(r"^%%global abi_%s (\d+)" % part.lower(), spec, re.M).group(1)
        if ours != theirs:
            wrong.append("the spec says abi_%s %s, abi.h %s" % (part.lower(), theirs, ours))
    print("\n".join(wrong) or "%d components, version %s" % (len(wanted), version))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
