#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that every source file says its licence first, and the right one."""
import re

import tree

MIT = ("src/client/", "include/uaswatch/", "docs/schema/", "examples/")
SUFFIXES = (".c", ".h", ".py", ".sh")
NAMES = ("meson.build", "quickstart", "check", "run")

bad = []
n = 0
paths = [p for top in tree.OURS for p in tree.files(top)]
paths += [tree.root() / "meson.build"]
for path in paths:
    rel = tree.name(path)
    if path.suffix not in SUFFIXES and path.name not in NAMES:
        continue
    n += 1
    first = "\n".join(tree.text(path).splitlines()[:3])
    found = re.search(r"SPDX-License-Identifier: (\S+)", first)
    expected = "MIT" if rel.startswith(MIT) else "GPL-3.0-or-later"
    if not found:
        bad.append(f"{rel}:1: no SPDX-License-Identifier (expected: {expected})")
    elif found[1] != expected:
        bad.append(f"{rel}:1: licence {found[1]} (expected: {expected})")
for needed in ("LICENSE", "LICENSES/MIT.txt"):
    if not (tree.root() / needed).is_file():
        bad.append(f"{needed}: missing")
tree.finish(bad, n)
