#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check every shell script with shellcheck."""
import re
import shutil
import subprocess
import sys

import tree

if not shutil.which("shellcheck"):
    print("shellcheck is not there")
    sys.exit(77)
paths = []
for top in ("tools", ".ci", "tests", "examples", "config"):
    for path in tree.files(top):
        first = tree.text(path).split("\n", 1)[0]
        if path.suffix == ".sh" or re.match(r"#!.*\b(ba|da)?sh\b", first):
            paths.append(path)
run = subprocess.run(["shellcheck", "--external-sources", "--format=gcc",
                      *[tree.name(p) for p in paths]],
                     cwd=tree.root(), capture_output=True, text=True, check=False)
tree.finish(run.stdout.splitlines() + run.stderr.splitlines(), len(paths))
