#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Results of `novacore plugin check --conformance` as they are kept, and docs/conformance.md.

    matrix.py compare RESULT KEPT --made WHAT [--update]   is it what is kept? --update keeps it
    matrix.py page FOLDER PAGE [--check]                   writes the tables of docs/conformance.md, or
                                                           says whether they are up to date

What is kept of a result is what does not change from run to run: each case, and why not."""
import argparse
import difflib
import json
import pathlib
import re
import sys

MARKS = {"pass": "✓", "fail": "**fails**", "not-tried": "not tried"}


def essence(result, made):
    cases = {}
    for case in result["cases"]:
        said = case["result"]
        if said == "not-supported" or case["topic"] is None:
            said += ": " + case["why"]
        cases[case["name"]] = said
    return {"driver": result["plugin"]["name"], "made": made, "cases": cases}


def text(kept):
    return json.dumps(kept, indent=1, ensure_ascii=False) + "\n"


def compare(arguments):
    result = json.loads(pathlib.Path(arguments.result).read_text())
    for case in result["cases"]:
        if case["result"] == "fail" or case["result"] == "not-tried":
            print(f"{case['name']}: {case['result']}: {case['why']}")
    slowest = sorted(result["cases"], key=lambda case: -case["seconds"])[:8]
    print("slowest:", ", ".join(f"{case['name']} {case['seconds']:.1f} s" for case in slowest),
          f"of {sum(case['seconds'] for case in result['cases']):.0f} s")
    seen = essence(result, arguments.made)
    kept = pathlib.Path(arguments.kept)
    if arguments.update and result["quick"]:
        sys.exit("a quick run is not kept")
    if arguments.update:
        kept.write_text(text(seen))
        print(f"{kept}: written")
        return 0
    before = json.loads(kept.read_text()) if kept.exists() else {"cases": {}}
    differs = 0
    for name in {**before["cases"], **seen["cases"]}:
        was, now = before["cases"].get(name), seen["cases"].get(name)
        if was != now:
            differs += 1
            print(f"{name}: kept is {was!r}, now it is {now!r}")
    if before.get("made") != seen["made"]:
        differs += 1
        print(f"made: kept is {before.get('made')!r}, now it is {seen['made']!r}")
    counts = result["counts"]
    print(f"{seen['driver']}: {counts['pass']} pass, {counts['fail']} fail, "
          f"{counts['not_supported']} not supported, {differs} differ from {kept.name}")
    return 1 if differs else 0


def escape(words):
    return re.sub(r"([\\|*_<>`])", r"\\\1", words)


def table(kept):
    notes, lines = [], ["| driver | tried at |", "|---|---|"]
    for one in kept:
        lines.append(f"| `{one['driver']}` | {one['made'].replace('self-made', '*self-made*')} |")
    lines += ["", "| case | " + " | ".join(f"`{one['driver']}`" for one in kept) + " |",
              "|---" + "|:-:" * len(kept) + "|"]
    for name in dict.fromkeys(name for one in kept for name in one["cases"]):
        cells = []
        for one in kept:
            said, _, why = one["cases"].get(name, "not-tried: ").partition(": ")
            if said == "not-supported":
                if why not in notes:
                    notes.append(why)
                cells.append(f"– {notes.index(why) + 1}")
            else:
                cells.append(MARKS[said])
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    lines += ["", "Not supported, because:", ""]
    lines += [f"{number}. {escape(why)}" for number, why in enumerate(notes, 1)]
    return "\n".join(lines) + "\n"


def page(arguments):
    kept = [json.loads(path.read_text()) for path in sorted(pathlib.Path(arguments.folder).glob("*.json"))]
    kept.sort(key=lambda one: (one["driver"] not in ("sim", "kvm"), one["driver"]))
    failed = [f"{one['driver']}: {name}" for one in kept for name, said in one["cases"].items()
              if said.partition(":")[0] not in ("pass", "not-supported")]
    path = pathlib.Path(arguments.page)
    before = path.read_text()
    after, count = re.subn(r"(<!-- tables: tests/conformance/matrix.py -->\n).*?(<!-- end -->)",
                           lambda mark: mark[1] + table(kept) + mark[2], before, flags=re.S)
    if count != 1:
        sys.exit(f"{path}: there is not one place for the tables")
    for name in failed:
        print(f"not conforming: {name}")
    if arguments.check:
        sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), after.splitlines(True),
                                                   str(path), "what the results say"))
    elif before != after:
        path.write_text(after)
        print(f"{path}: renewed")
    return 1 if failed or (arguments.check and before != after) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("compare")
    one.add_argument("result")
    one.add_argument("kept")
    one.add_argument("--made", required=True)
    one.add_argument("--update", action="store_true")
    one.set_defaults(run=compare)
    one = commands.add_parser("page")
    one.add_argument("folder")
    one.add_argument("page")
    one.add_argument("--check", action="store_true")
    one.set_defaults(run=page)
    arguments = parser.parse_args()
    return arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
