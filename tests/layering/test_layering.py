#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""layering.py sees every kind of violation, and only violations."""
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "layering.py")

CLEAN = {
    "core/base/base.h": "#include <novacore/types.h>\n#include <stdio.h>\n",
    "core/base/internal.h": "",
    "core/base/log.c": '#include "core/base/base.h"\n#include "internal.h"\n',
    "core/run/run.h": '#include "core/base/base.h"\n',
    "core/run/plan.c": '#include "core/run/run.h"\n/* #include "core/cli/cli.h" */\n'
                       '// #include "core/cli/cli.h"\n#include "generated.h"\n',
    "core/run/CMakeLists.txt": "novacore_room(run\n  SOURCES plan.c # cli\n  ROOMS base store\n"
                               "  PACKAGES cli)\n",
    "core/cli/cli.h": '#include "core/run/run.h"\n',
    "plugins/hypervisors/kvm/kvm.c": '#include <novacore/sdk.h>\n#include <libvirt/libvirt.h>\n'
                                     '#include "kvm.h"\n',
    "plugins/hypervisors/kvm/kvm.h": "",
    "sdk/include/novacore/types.h": "",
    "sdk/tools/include/novacore/tools/note.h": "",
    "core/plugin/elf.c": "#include <novacore/tools/note.h>\n",
    "sdk/include/novacore/sdk.h": '#include <novacore/types.h>\n#include "types.h"\n',
}


def check(extra):
    with tempfile.TemporaryDirectory() as tree:
        for path, text in {**CLEAN, **extra}.items():
            os.makedirs(os.path.dirname(os.path.join(tree, path)), exist_ok=True)
            with open(os.path.join(tree, path), "w", encoding="utf-8") as out:
                out.write(text)
        done = subprocess.run([sys.executable, SCRIPT, tree], stdout=subprocess.PIPE, text=True,
                              check=False)
        return done.returncode, done.stdout


class Layering(unittest.TestCase):
    def refuses(self, path, text, *words):
        code, output = check({path: text})
        self.assertEqual(code, 1, output)
        self.assertEqual(len(output.splitlines()), 1, output)
        for word in (path + ":", *words):
            self.assertIn(word, output)

    def test_accepts_a_clean_tree(self):
        self.assertEqual(check({}), (0, ""))

    def test_refuses_a_room_that_includes_one_below_it(self):
        self.refuses("core/base/x.c", '#include "core/run/run.h"\n', ":1:", "base", "run")
        self.refuses("core/run/x.c", '\n#  include <core/cli/cli.h>\n', ":2:", "cli")

    def test_refuses_a_room_below_reached_by_a_relative_path(self):
        self.refuses("core/base/x.c", '#include "../run/run.h"\n', "run")

    def test_refuses_an_internal_header_of_another_room(self):
        self.refuses("core/run/x.c", '#include "core/base/internal.h"\n', "internal to room base")
        self.refuses("core/run/x.c", '#include "../base/internal.h"\n', "internal to room base")

    def test_refuses_a_room_that_is_not_in_the_table(self):
        self.refuses("core/utils/x.c", '#include "core/base/base.h"\n', "no room core/utils")
        self.refuses("core/run/x.c", '#include "core/utils/utils.h"\n', "no room core/utils")

    def test_refuses_a_room_that_includes_a_plugin_or_a_test(self):
        self.refuses("core/run/x.c", '#include "plugins/hypervisors/kvm/kvm.h"\n', "plugins/")
        self.refuses("core/run/x.c", '#include "tests/check.h"\n', "tests/")

    def test_refuses_a_plugin_that_includes_the_core(self):
        path = "plugins/hypervisors/kvm/x.c"
        self.refuses(path, '#include "core/base/base.h"\n', "core/base/base.h")
        self.refuses(path, '#include <core/base/base.h>\n', "core/base/base.h")
        self.refuses(path, '#include "../../../core/base/base.h"\n', "core/base/base.h")

    def test_refuses_a_plugin_that_includes_another(self):
        self.refuses("plugins/benchmarks/cpu/x.c", '#include "../../hypervisors/kvm/kvm.h"\n',
                     "plugins/hypervisors/kvm/kvm.h")

    def test_refuses_a_plugin_that_includes_the_tools_of_the_sdk(self):
        self.refuses("plugins/hypervisors/kvm/x.c", "#include <novacore/tools/note.h>\n",
                     "sdk/tools/")

    def test_refuses_an_sdk_that_includes_the_core(self):
        self.refuses("sdk/include/novacore/x.h", '#include "core/base/base.h"\n', "sdk")
        self.refuses("sdk/x.c", '#include "../core/base/base.h"\n', "sdk")

    def test_refuses_an_include_that_cannot_be_checked(self):
        self.refuses("core/run/x.c", "#define H <x.h>\n#include H\n", "computed")

    def test_refuses_a_room_that_links_one_below_it(self):
        self.refuses("core/base/CMakeLists.txt", "novacore_room(base SOURCES a.c ROOMS run)\n",
                     "link")

    def test_refuses_wrong_usage(self):
        done = subprocess.run([sys.executable, SCRIPT, "/no/such"], stderr=subprocess.PIPE,
                              check=False)
        self.assertEqual(done.returncode, 1)


if __name__ == "__main__":
    unittest.main()
