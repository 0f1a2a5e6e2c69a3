#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that files and functions stay small enough to be read in one go."""
import re

import tree

FILE_LINES = {".c": 600, ".h": 400}
FUNCTION_LINES = 100
# Tests are lists of cases; they may be longer, not endless.
TEST_LINES = 1000
ALLOWED = {}  # file -> lines, with the reason beside it

bad = []
n = 0
for top in ("src", "include", "tools", "tests", "examples"):
    for path in tree.files(top, ".c", ".h"):
        rel = tree.name(path)
        lines = tree.text(path).splitlines()
        n += 1
        limit = TEST_LINES if top == "tests" else FILE_LINES[path.suffix]
        limit = ALLOWED.get(rel, limit)
        if len(lines) > limit:
            bad.append(f"{rel}: {len(lines)} lines (allowed: {limit})")
        start = None
        # With the format that format.py checks, a function is what stands between a line that
        # begins in the first column and ends with "{", after a ")", and the next "}" there.
        for number, line in enumerate(lines, 1):
            if start is None and re.match(r"[A-Za-z_ ].*\) \{$", line):
                if not line.startswith(" ") or re.match(r"[A-Za-z_]", lines[max(0, number - 2)]):
                    start = number
            elif line == "}" and start is not None:
                if number - start + 1 > FUNCTION_LINES:
                    bad.append(f"{rel}:{start}: a function of {number - start + 1} lines "
                               f"(allowed: {FUNCTION_LINES})")
                start = None
tree.finish(bad, n)
