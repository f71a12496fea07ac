#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""layering.py TREE: who may include whom.

A room of core/ includes itself, rooms above it in the table below by their one public header
core/<room>/<room>.h, and the sdk. A plugin includes its own folder, by "../<name>/…" a neighbour of its kind, and what the sdk
installs for it, <novacore/…>. The sdk includes only itself. Prints each violation as file:line and exits 1 if there is one."""
import os
import re
import sys

# Bottom to top; the order is the architecture's.
ROOMS = ["base", "stats", "config", "machine", "plugin", "store", "profiler", "guest",
         "judge", "run", "selftest", "tune", "report", "serve", "cli"]
OURS = ("core/", "plugins/", "sdk/", "tests/", "bench/", "novacore/")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>|(\S+))')
ROOM_CALL = re.compile(r"novacore_room\s*\(\s*(\w+)(.*?)\)", re.S)
KEYWORDS = ("SOURCES", "ROOMS", "PACKAGES", "LIBRARIES")


def without_comments(text):
    """The text with comments blanked, lines kept: an include in a comment includes nothing."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"'
    return re.sub(pattern, lambda m: m.group() if m.group()[0] == '"'
                  else re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def sources(tree):
    for top in ("core", "plugins", "sdk"):
        for folder, folders, names in os.walk(os.path.join(tree, top)):
            folders.sort()
            for name in sorted(names):
                if name.endswith((".c", ".h", ".cc", ".cpp", ".hpp", ".inc")):
                    yield os.path.relpath(os.path.join(folder, name), tree)


def resolve(tree, path, quoted, angled):
    """What an include means inside the tree: a path from its top, or None for somebody else's."""
    name = quoted or angled
    if quoted:
        beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
        if os.path.exists(os.path.join(tree, beside)) or name.startswith("../"):
            return beside
    name = os.path.normpath(name)
    if name.startswith("novacore/"):
        for part in ("tools/", "testhost/", "helpers/", "workload/", "validator/"):
            if os.path.exists(os.path.join(tree, "sdk", part, "include", name)):
                return "sdk/" + part + "include/" + name
        return "sdk/include/" + name
    return name if name.startswith(OURS) else None


def judge_room(path, target):
    room = path.split("/")[1]
    if room not in ROOMS:
        return "there is no room core/%s in the table" % room
    if target.startswith("sdk/") or target.startswith("core/%s/" % room):
        return None
    if not target.startswith("core/"):
        return "a room includes rooms and the sdk, not %s" % target
    other = target.split("/")[1]
    if other not in ROOMS:
        return "there is no room core/%s in the table" % other
    if ROOMS.index(other) > ROOMS.index(room):
        return "room %s may not include room %s, which stands on it" % (room, other)
    if target != "core/%s/%s.h" % (other, other):
        return "%s is internal to room %s" % (target, other)
    return None


def judge(path, target):
    if path.startswith("core/"):
        return judge_room(path, target)
    if path.startswith("sdk/"):
        return None if target.startswith("sdk/") else "the sdk includes only itself, not " + target
    own = "/".join(path.split("/")[:3]) + "/"
    shipped = ("sdk/include/novacore/", "sdk/helpers/include/novacore/",
               "sdk/workload/include/novacore/")
    if target.startswith(shipped) or target.startswith(own):
        return None
    if target.startswith("/".join(path.split("/")[:2]) + "/"):
        return None  # two plugins of a kind that share sources
    if os.path.basename(path).startswith("test_") and target.startswith("sdk/testhost/include/"):
        return None
    return "a plugin includes only its own folder and <novacore/…>, not " + target


def check_sources(tree):
    for path in sources(tree):
        with open(os.path.join(tree, path), encoding="utf-8") as text:
            lines = without_comments(text.read()).splitlines()
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quoted, angled, computed = match.groups()
            if computed:
                yield path, number, "a computed include cannot be checked: " + computed
                continue
            target = resolve(tree, path, quoted, angled)
            problem = judge(path, target) if target else None
            if problem:
                yield path, number, problem


def check_links(tree):
    """ROOMS of novacore_room(): what is linked is bound by the same order."""
    for room in ROOMS:
        path = "core/%s/CMakeLists.txt" % room
        if not os.path.exists(os.path.join(tree, path)):
            continue
        with open(os.path.join(tree, path), encoding="utf-8") as text:
            calls = ROOM_CALL.findall(re.sub(r"#[^\n]*", "", text.read()))
        for name, rest in calls:
            keyword = None
            for word in rest.split():
                if word in KEYWORDS:
                    keyword = word
                elif keyword == "ROOMS" and name in ROOMS:
                    if word not in ROOMS or ROOMS.index(word) >= ROOMS.index(name):
                        yield path, 1, "room %s may not link room %s" % (name, word)


def violations(tree):
    return list(check_sources(tree)) + list(check_links(tree))


def main():
    if len(sys.argv) != 2 or not os.path.isdir(os.path.join(sys.argv[1], "core")):
        sys.exit("usage: layering.py TREE (a directory with core/ in it)")
    found = violations(sys.argv[1])
    for path, number, problem in found:
        print("%s:%d: %s" % (path, number, problem))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
