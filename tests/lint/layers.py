#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check who may include whom. The table is the architecture: edit it on purpose."""
import re

import tree

ENGINE = "base conf msg dsp synth sig iq bus rx fuse store sink"
MAY_USE = {
    "base": "",
    "conf": "base", "msg": "base", "dsp": "base",
    "synth": "base conf",
    "sig": "base conf dsp",
    "iq": "base conf",
    "bus": "base conf msg",
    "rx": "base conf msg dsp sig iq bus",
    "fuse": "base conf msg",
    "store": "base conf msg",
    "sink": "base conf msg iq",
    "client": "base msg",
    "engine": ENGINE,
    "app": "base conf engine",
    "tools": ENGINE + " engine client",
}
# foreign header -> the files that may include it
FOREIGN = {
    r"fftw3\.h": r"src/dsp/.*",
    r"volk/.*": r"src/dsp/.*",
    r"zmq\.h": r"src/(bus|client)/.*",
    r"libconfig\.h": r"src/conf/.*",
    r"rtl-sdr\.h": r"src/iq/source-rtlsdr\.c",
    r"SoapySDR/.*": r"src/iq/(source|devices)-soapy\.c",
    r"sndfile\.h|archive\.h|archive_entry\.h": r"src/iq/.*",
    r"sqlite3\.h": r"src/store/.*",
    r"jansson\.h": r"(src/(msg|iq|sink|client)|tools)/.*",
    r"liquid/.*": r"src/synth/.*",
    r"png\.h": r"(src/sink|tools)/.*",
    r"n?curses(w/.*)?\.h": r"tools/.*",
}
INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')


def module(rel):
    parts = rel.split("/")
    if parts[0] == "tools":
        return "tools"
    if parts[:2] == ["include", "uaswatch"]:
        return "client"
    return parts[2] if parts[0] == "include" else parts[1]


def faults(rel, mod, quote, header):
    own = re.match(r"uw/(\w+)/", header)
    if own and own[1] != mod and own[1] not in MAY_USE[mod].split():
        yield f"{mod} may not use {own[1]}"
    if rel.startswith("include/uaswatch/") and own:
        yield "an installed header may not need one that is not installed"
    if header.startswith("uaswatch/") and mod not in ("client", "tools"):
        yield f"{mod} may not use client"
    if quote == '"' and header.startswith("..") or "/../" in header:
        yield "an include path may not climb out of its directory"
    for lib, where in FOREIGN.items():
        if re.fullmatch(lib, header) and not re.fullmatch(where, rel):
            yield f"{header} may only be included in {where}"


bad = []
n = 0
for top in ("include", "src", "tools"):
    for path in tree.files(top, ".c", ".h"):
        rel = tree.name(path)
        mod = module(rel)
        n += 1
        if mod not in MAY_USE:
            bad.append(f"{rel}: the directory {mod} is not in the table")
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            found = INCLUDE.match(line)
            if found:
                bad += [f"{rel}:{number}: {fault}"
                        for fault in faults(rel, mod, found[1], found[2])]
tree.finish(bad, n)
