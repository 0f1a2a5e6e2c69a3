#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print how many tests of a meson test log passed, failed and were skipped."""
import json
import sys

GOOD = {"OK", "EXPECTEDFAIL"}

passed = failed = skipped = 0
with open(sys.argv[1], encoding="utf-8") as log:
    for line in log:
        result = json.loads(line)["result"]
        if result in GOOD:
            passed += 1
        elif result == "SKIP":
            skipped += 1
        else:
            failed += 1
if passed + failed + skipped == 0:
    sys.exit("no test was run")
print(passed, failed, skipped)
