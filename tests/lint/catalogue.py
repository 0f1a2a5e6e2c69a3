#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that every configuration key that is read stands in the example and in the manual."""
import re
import sys

import tree

READER = re.compile(r'uw_conf_get_\w+\s*\(\s*[^"();]*?,\s*[^"();]*?,\s*"([^"]+)"')
PLACES = ("config/uaswatch.conf", "docs/configuration.md")

keys = {}
n = 0
for top in ("src/engine", "src/app"):
    for path in tree.files(top, ".c"):
        n += 1
        for key in READER.findall(tree.text(path)):
            keys.setdefault(key, tree.name(path))
places = [tree.root() / place for place in PLACES]
if not keys or not all(place.is_file() for place in places):
    print("no keys, or no", " and ".join(PLACES), "yet")
    sys.exit(77)
bad = []
for place in places:
    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_-]*", tree.text(place)))
    bad += [f"{tree.name(place)}: the key {key}, read in {where}, is missing"
            for key, where in sorted(keys.items()) if key not in words]
tree.finish(bad, n)
