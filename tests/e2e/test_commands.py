# SPDX-License-Identifier: GPL-3.0-or-later
"""Help, mistakes on the command line, the list of signatures."""
import json
import subprocess

import pytest
import uw

COMMANDS = ["replay", "watch", "feed", "signatures", "synth", "bench", "calibrate"]


def test_overview():
    for args in [], ["help"], ["--help"]:
        text = uw.run(*args).stdout.decode()
        assert all(c in text for c in COMMANDS)
    assert uw.run("--version").stdout.startswith(b"uaswatch ")


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command):
    text = uw.run("help", command).stdout.decode()
    assert text.startswith("Usage: uaswatch " + command)
    assert text == uw.run(command, "--help").stdout.decode()
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("args, words", [
    (["relpay"], 'did you mean "replay"'),
    (["help", "wacth"], 'did you mean "watch"'),
    (["xyzzy"], "no command"),
    (["replay"], "which recording"),
    (["replay", "--nonsense", "x"], "--nonsense"),
    (["replay", "--rate", "0", "x"], "--rate"),
    (["replay", "--rate", "nan", "x"], "--rate"),
    (["replay", "--freq", "inf", "x"], "--freq"),
    (["replay", "--format", "cu9", "x"], "--format"),
    (["replay", "--start", "yesterday", "x"], "--start"),
    (["replay", "--run", "a b", "x"], "--run"),
    (["replay", "--annotate", "o", "x", "y"], "--annotate"),
    (["replay", "--spectrogram", "o", "-"], "--spectrogram"),
    (["replay", "--json=1", "x"], "--json"),
    (["feed", "--endpoint"], "--endpoint"),
])
def test_usage_errors(args, words):
    done = uw.run(*args, status=2)
    assert done.stdout == b""
    assert len(done.stderr.decode().splitlines()) == 1
    assert words in done.stderr.decode()


def test_signatures():
    entries = uw.parse(uw.run("signatures", "--json").stdout)
    ids = {e["signature"] for e in entries}
    assert {"expresslrs-900", "expresslrs-2g4", "dji-droneid", "lorawan", "meshtastic"} <= ids
    for e in entries:
        assert e["provenance"] and e["variants"]
        assert e["drone"] == (e["role"] != "background")
    table = uw.run("signatures").stdout.decode()
    assert all(i in table for i in ids)
    full = uw.run("signatures", "expresslrs-900").stdout.decode()
    assert "FCC915" in full and "200Hz" in full and "provenance" in full
    one = uw.parse(uw.run("signatures", "--json", "expresslrs-900").stdout)
    assert [e["signature"] for e in one] == ["expresslrs-900"]
    fcc = next(d for d in one[0]["domains"] if d["name"] == "FCC915")
    assert len(fcc["channels_hz"]) == 40 and fcc["channels_hz"][fcc["sync"]] == 915.5e6
    done = uw.run("signatures", "expresslrs-901", status=1)
    assert b"expresslrs-900" in done.stderr


def test_full_disk():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([str(uw.UASWATCH), "signatures", "--json"], stdout=full,
                              stderr=subprocess.PIPE, check=False, timeout=20)
    assert done.returncode == 1
    assert b"No space left" in done.stderr


def test_signatures_of_another_directory(tmp_path):
    done = uw.run("signatures", "-d", tmp_path / "none", status=1)
    assert str(tmp_path / "none").encode() in done.stderr
    (tmp_path / "a.conf").write_text("signature = { id = 3; };")
    done = uw.run("signatures", "-d", tmp_path, status=1)
    assert b"a.conf:1" in done.stderr
    assert json.dumps("x")  # the tree's own directory is found without any option
