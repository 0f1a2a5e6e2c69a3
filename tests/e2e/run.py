#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one file of end-to-end tests for meson: a file whose tests were all skipped counts as skipped."""
import sys

import pytest


class Count:
    def __init__(self):
        self.ran = 0

    def pytest_runtest_logreport(self, report):
        self.ran += report.when == "call" and not report.skipped


count = Count()
status = pytest.main(["-q", "-rs", "-p", "no:cacheprovider", "--import-mode=importlib",
                      *sys.argv[1:]], plugins=[count])
sys.exit(77 if status == 0 and count.ran == 0 else int(status))
