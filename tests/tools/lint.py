#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The format is law (.clang-format), and every source says its licence in its first lines."""
import os
import re
import subprocess
import sys

SOURCE = re.compile(r"(\.(c|h|cmake|py|sh|js)|CMakeLists\.txt)$")
SKIP = re.compile(r"^(build|build-.*|\.cache|\.git|node_modules)$")


def files(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not SKIP.match(name))
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), root)


def is_source(path):
    if SOURCE.search(path):
        return True
    if "." in os.path.basename(path) or os.path.islink(path):
        return False
    with open(path, "rb") as start:
        return start.read(2) == b"#!"


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    os.chdir(root)
    sources = [path for path in files(".") if is_source(path)]
    problems = 0
    for path in sources:
        with open(path, encoding="utf-8") as text:
            # a template's is filled in by whoever makes a project of it
            licence = "@LICENSE@" if path.startswith("sdk/template/") else "MIT"
            if "SPDX-License-Identifier: " + licence not in "".join(text.readlines()[:3]):
                print("%s: no SPDX-License-Identifier in the first three lines" % path)
                problems += 1
    code = [path for path in sources if path.endswith((".c", ".h"))]
    problems += subprocess.run(["clang-format", "--dry-run", "-Werror"] + code).returncode != 0
    print("%d sources, %s" % (len(sources), "not clean" if problems else "clean"))
    return problems > 0


if __name__ == "__main__":
    sys.exit(main())
