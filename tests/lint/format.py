#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the form of every C file with clang-format, without changing it."""
import shutil
import subprocess
import sys

import tree

if not shutil.which("clang-format"):
    print("clang-format is not there")
    sys.exit(77)
paths = [p for top in ("src", "include", "tools", "tests", "examples")
         for p in tree.files(top, ".c", ".h")]
bad = []
for i in range(0, len(paths), 50):
    run = subprocess.run(["clang-format", "--style=file", "--dry-run", "-Werror",
                          *map(str, paths[i:i + 50])],
                         cwd=tree.root(), capture_output=True, text=True, check=False)
    bad += [line for line in run.stderr.splitlines() if "error:" in line]
    if run.returncode and not run.stderr:
        bad.append(f"clang-format ended with {run.returncode}")
tree.finish(bad, len(paths))
