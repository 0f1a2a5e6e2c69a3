#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that nothing names a place that exists on one machine only."""
import re

import tree

# Written in pieces, so that this file does not find itself. Recordings for tests lie beside the
# checkout, by agreement in one directory; everything else of that kind is somebody's own.
PLACE = re.compile("/" + r"work/|/" + r"tmp/bash_jobs|\.\./" + "shared/(reference|design)")

bad = []
n = 0
paths = [p for top in tree.OURS for p in tree.files(top)]
paths += [p for p in sorted(tree.root().iterdir()) if p.is_file()]
for path in paths:
    n += 1
    for number, line in enumerate(tree.text(path).splitlines(), 1):
        if PLACE.search(line):
            bad.append(f"{tree.name(path)}:{number}: {line.strip()[:80]}")
tree.finish(bad, n)
