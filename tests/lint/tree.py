# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lints share: which files there are, and how a result is told."""
import pathlib
import sys

OURS = ("src", "include", "tools", "tests", "config", "docs", "examples", "web", ".ci", "LICENSES")
SKIP = {"__pycache__", ".pytest_cache", "corpus", "data"}


def root():
    return pathlib.Path(sys.argv[1]).resolve()


def files(top, *suffixes):
    """Files below top/, in order; works without git. Suffixes none: all."""
    base = root() / top
    found = []
    for path in sorted(base.rglob("*")) if base.is_dir() else []:
        if path.is_file() and not SKIP & set(path.relative_to(root()).parts):
            if not suffixes or path.suffix in suffixes:
                found.append(path)
    return found


def name(path):
    return path.relative_to(root()).as_posix()


def text(path):
    return path.read_text(encoding="utf-8", errors="replace")


def finish(bad, n_looked_at):
    if n_looked_at == 0:
        sys.exit("nothing was looked at: is the path of the tree right?")
    for line in bad:
        print(line)
    print(f"{n_looked_at} files, {len(bad)} faults")
    sys.exit(1 if bad else 0)
