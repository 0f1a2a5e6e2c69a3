#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check how much the service may do, by systemd's own measure, where systemd is there."""
import re
import shutil
import subprocess
import sys
import tempfile

import tree

MOST = 2.0

if not shutil.which("systemd-analyze"):
    print("systemd-analyze is not there")
    sys.exit(77)
text = tree.text(tree.root() / "config/systemd/uaswatchd.service.in")
with tempfile.TemporaryDirectory() as directory:
    path = directory + "/uaswatchd.service"
    with open(path, "w", encoding="utf-8") as f:
        f.write(re.sub("@[a-z]+@", "/usr", text))
    run = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", path],
                         capture_output=True, text=True, check=False)
found = re.search(r"exposure level for .*: ([0-9.]+)", run.stdout)
if not found:
    print("systemd-analyze cannot do that:", run.stderr.strip()[:200])
    sys.exit(77)
bad = []
if float(found[1]) > MOST:
    bad.append(f"config/systemd/uaswatchd.service.in: exposure {found[1]} (allowed: {MOST})")
# libzmq ends the program where it may not set its threads to the policy that they have
allowed = re.findall(r"^SystemCallFilter=(.*)$", text, re.M)
if "sched_setscheduler" not in allowed[-1]:
    bad.append("config/systemd/uaswatchd.service.in: sched_setscheduler is not allowed")
tree.finish(bad, 1)
