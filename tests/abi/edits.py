#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""blessed.py refuses each incompatible edit of the headers, whatever minor they say, and growth without
a new minor; and takes growth with one.  edits.py HEADERS DUMPS CC..."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
HOST, DRIVER, TYPES, BENCH = "host.h", "hypervisor.h", "types.h", "benchmark.h"

# (what, file, from, to)
BREAKS = [
    ("two members change places", HOST, "	uint32_t kind;    /* NOVA_EVENT_* */\n	uint32_t source;  /* NOVA_SOURCE_* */\n",
     "	uint32_t source;\n	uint32_t kind;\n"),
    ("two ops of one type change places", DRIVER, "	int (*migrate_finish)(void *destination, nova_op op, const struct nova_ref *vm,\n"
     "	                      const char *ticket, int32_t outcome);\n	int (*knob_list)(void *self, nova_op op, const struct nova_ref *vm);\n",
     "	int (*knob_list)(void *self, nova_op op, const struct nova_ref *vm);\n"
     "	int (*migrate_finish)(void *destination, nova_op op, const struct nova_ref *vm,\n"
     "	                      const char *ticket, int32_t outcome);\n"),
    ("a member becomes wider", BENCH, "	uint32_t side;   /*", "	uint64_t side;   /*"),
    ("a member of the same size gets another type", BENCH, "	double value;  ", "	int64_t value;  "),
    ("an op is removed", DRIVER, "	int (*twin)(void *self, nova_op op);\n", ""),
    ("the last op is removed", DRIVER, "	int (*disconnect)(void *self, nova_op op);\n", ""),
    ("an op is renamed", DRIVER, "(*net_delete)", "(*net_remove)"),
    ("an op gets another signature", DRIVER, "const struct nova_ref *vm, uint32_t action);\n	/* Deletes",
     "const struct nova_ref *vm, int64_t action);\n	/* Deletes"),
    ("a member comes into the middle", HOST, "	int64_t (*now_ns)(void);", "	int64_t (*wall_ns)(void);\n	int64_t (*now_ns)(void);"),
    ("a struct without a size grows", "abi.h", "	uint32_t draft;  ", "	uint32_t more;\n	uint32_t draft;  "),
    ("a struct is removed", "optimizer.h", "struct nova_change {", "struct nova_edit {"),
    ("a code changes", TYPES, "NOVA_E_BUSY        (-7)", "NOVA_E_BUSY        (-27)"),
    ("two values change places", TYPES, "NOVA_UNIT_BYTE            2u", "NOVA_UNIT_BYTE            3u"),
    ("a constant is removed", HOST, "#define NOVA_EVENT_UNREADY ", "#define NOVA_EVENT_LOST "),
    ("a text changes", DRIVER, 'NOVA_CAN_EXEC      "exec"', 'NOVA_CAN_EXEC      "execute"'),
    ("a flag changes", BENCH, "NOVA_BENCHMARK_NATIVE 1u", "NOVA_BENCHMARK_NATIVE 2u"),
]
GROWS = [
    ("an op is appended", DRIVER, "	int (*disconnect)(void *self, nova_op op);\n",
     "	int (*disconnect)(void *self, nova_op op);\n	int (*suspend)(void *self, nova_op op);\n"),
    ("a service of the host is appended", HOST, "	               void *context, int32_t *status);\n};",
     "	               void *context, int32_t *status);\n	int64_t (*wall_ns)(void);\n};"),
    ("a constant is new", HOST, "#define NOVA_FIELD_PROGRESS 800u", "#define NOVA_FIELD_PROGRESS 800u\n#define NOVA_FIELD_SPEED 810u"),
    ("a struct is new", HOST, "struct nova_event {", "struct nova_tag {\n	uint32_t struct_size;\n	uint32_t flags;\n};\n\nstruct nova_event {"),
]
MINOR = ("abi.h", "#define NOVA_ABI_MINOR 0u", "#define NOVA_ABI_MINOR 1u")


def edit(tree, file, old, new):
    path = tree / "novacore" / file
    text = path.read_text()
    if text.count(old) != 1:
        sys.exit(f"{file} has {text.count(old)} times:\n{old}")
    path.write_text(text.replace(old, new))


def main():
    headers, dumps, cc = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        tree, book = pathlib.Path(scratch, "include"), pathlib.Path(scratch, "dumps")

        def case(what, edits, taken, minor_blessed=False):
            nonlocal wrong
            for folder, origin in ((tree, headers), (book, dumps)):
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(origin, folder)
            for one in edits:
                edit(tree, *one)
            words = [sys.executable, str(HERE / "blessed.py")]
            if minor_blessed:
                subprocess.run(words + ["--bless", str(tree), str(book)] + cc, check=True, stdout=subprocess.DEVNULL)
            made = subprocess.run(words + [str(tree), str(book)] + cc, text=True, capture_output=True, check=False)
            good = (made.returncode == 0) == taken and "do not compile" not in made.stderr
            wrong += not good
            why = "" if good else "\n" + made.stdout + made.stderr
            print(f"{'ok' if good else 'WRONG'}: {what}: {'refused' if made.returncode else 'taken'}{why}")

        case("as they are", [], True)
        case("a comment changes", [(HOST, "/* The same, printf-like. */", "/* The same, as printf. */")], True)
        for what, *change in BREAKS:
            case(what, [change], False)
            case(what + ", in a new minor", [change, MINOR], False, True)
        for what, *change in GROWS:
            case(what + ", in the same minor", [change], False)
            case(what + ", in a new minor without a dump", [change, MINOR], False)
            case(what + ", in a new minor", [change, MINOR], True, True)
    sys.exit(wrong)


if __name__ == "__main__":
    main()
