# SPDX-License-Identifier: GPL-3.0-or-later
"""
Files that cannot be used: exit status 1, one line that names the file (and the line or field where there is
one), nothing on standard output.
"""
import json
import math
import struct

import pytest
import uw

META = {
    "global": {"core:datatype": "cu8", "core:sample_rate": 2400000, "core:version": "1.0.0"},
    "captures": [{"core:sample_start": 0, "core:frequency": 915000000.0}],
    "annotations": [],
}


def sigmf(directory, meta, data=bytes(4800)):
    path = directory / "bad.sigmf-meta"
    path.write_text(meta if isinstance(meta, str) else json.dumps(meta))
    if data is not None:
        (directory / "bad.sigmf-data").write_bytes(data)
    return path


def changed(section, key, value):
    meta = json.loads(json.dumps(META))
    place = meta["captures"][0] if section == "captures" else meta[section]
    if value is None:
        del place[key]
    else:
        place[key] = value
    return meta


def wav(fmt=1, channels=2, rate=2400000, bits=16, data=bytes(4000), data_len=None):
    align = channels * bits // 8
    head = struct.pack("<HHIIHH", fmt, channels, rate, rate * align, align, bits)
    size = len(data) if data_len is None else data_len
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(head)) + head + b"data" + \
        struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def refused(words, *args, stdin=b""):
    done = uw.run("replay", *args, status=1, input=stdin)
    lines = done.stderr.decode().splitlines()
    assert done.stdout == b""
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    for word in words if isinstance(words, list) else [words]:
        assert word in lines[0], lines[0]


def test_the_base_of_all_these_is_good(tmp_path):
    uw.replay(sigmf(tmp_path, META, bytes([127, 128] * 100000)))
    (tmp_path / "x.wav").write_bytes(wav(data=bytes(400000)))
    uw.replay(tmp_path / "x.wav")


@pytest.mark.parametrize("meta, words", [
    ("", "bad.sigmf-meta"),
    ("{", "bad.sigmf-meta"),
    ("[]", "bad.sigmf-meta"),
    ('{"global": 3}', ["bad.sigmf-meta", "global"]),
    (json.dumps(META)[:60], "bad.sigmf-meta"),
    ("[" * 100000, "bad.sigmf-meta"),
    (changed("global", "core:datatype", None), ["bad.sigmf-meta", "core:datatype"]),
    (changed("global", "core:datatype", 8), ["bad.sigmf-meta", "core:datatype"]),
    (changed("global", "core:datatype", "rf32_le"), ["bad.sigmf-meta", "core:datatype"]),
    (changed("global", "core:sample_rate", "fast"), ["bad.sigmf-meta", "core:sample_rate"]),
    (changed("global", "core:sample_rate", -1), ["bad.sigmf-meta", "core:sample_rate"]),
    (changed("global", "core:sample_rate", 1e300), ["bad.sigmf-meta", "core:sample_rate"]),
    (json.dumps(META).replace("2400000", "1e999"), "bad.sigmf-meta"),
    (json.dumps(META).replace("2400000", "9" * 400), "bad.sigmf-meta"),
    (changed("captures", "core:frequency", "915 MHz"), ["bad.sigmf-meta", "core:frequency"]),
    (changed("captures", "core:frequency", 1e30), ["bad.sigmf-meta", "core:frequency"]),
    (changed("captures", "core:datetime", "yesterday"), ["bad.sigmf-meta", "core:datetime"]),
], ids=range(17))
def test_sigmf_meta(tmp_path, meta, words):
    refused(words, sigmf(tmp_path, meta))


def test_sigmf_data_gone(tmp_path):
    refused("bad.sigmf-data", sigmf(tmp_path, META, None))


def test_sigmf_data_empty(tmp_path):
    refused("bad.sigmf-data", sigmf(tmp_path, META, b""))


def test_sigmf_data_odd(tmp_path):
    refused("bad.sigmf-data", sigmf(tmp_path, META, bytes(4801)))


def test_sigmf_archive(tmp_path):
    path = tmp_path / "bad.sigmf"
    for content in b"", b"no tar", bytes(10240):
        path.write_bytes(content)
        refused("bad.sigmf", path)


@pytest.mark.parametrize("content", [
    b"", b"RIFF", wav()[:30], wav(fmt=7, bits=8), wav(channels=1), wav(channels=3),
    wav(rate=48000), wav(rate=1000000000), b"RIFX" + wav()[4:], wav(data=b"")],
    ids=range(10))
def test_wav(tmp_path, content):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    refused("bad.wav", path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", [0, 12345, 199999])
def test_cf32_that_is_no_number(tmp_path, value, where):
    samples = bytearray(200000 * 8)
    struct.pack_into("<f", samples, where * 8 + 4, value)
    path = tmp_path / "bad_915M_2400k.cf32"
    path.write_bytes(samples)
    refused(["bad_915M_2400k.cf32", str(where)], path)


def test_raw(tmp_path):
    empty = tmp_path / "empty_915M_2400k.cu8"
    empty.write_bytes(b"")
    refused("empty_915M_2400k.cu8", empty)
    odd = tmp_path / "odd_915M_2400k.ci16"
    odd.write_bytes(bytes(40001))
    refused("odd_915M_2400k.ci16", odd)
    unknown = tmp_path / "unknown"
    unknown.write_bytes(bytes(40000))
    refused("unknown", unknown)
    refused("unknown", unknown, "--format", "cu8")
    refused("gone.cu8", tmp_path / "gone.cu8", "--format", "cu8", "--rate", "2.4M")
    refused(str(tmp_path), tmp_path, "--format", "cu8", "--rate", "2.4M")


def test_standard_input():
    refused("standard input", "--format", "cu8", "--rate", "2.4M", "--freq", "915M", "-")
    refused("standard input", "--format", "ci16", "--rate", "2.4M", "--freq", "915M", "-", stdin=bytes(4001))


@pytest.mark.parametrize("text, words", [
    ("nonsense = 3;", ["bad.conf:1", "nonsense"]),
    ('\nsite = 3;', ["bad.conf:2", "site"]),
    ('site = "a b";', ["bad.conf:1", "site"]),
    ('site = "x"\nnode = "y', "bad.conf:"),
    ("{{{{", "bad.conf:"),
    ("fuse = 5;", "bad.conf:1"),
    ('alerts = { clear_s = 99999999999; };', "bad.conf:1"),
    ('alerts = { clear_s = 1e999; };', "bad.conf:1"),
    ('@include "/etc/passwd"', "bad.conf:1"),
], ids=range(9))
def test_configuration(tmp_path, text, words):
    conf = tmp_path / "bad.conf"
    conf.write_text(text)
    refused(words, "--config", conf, sigmf(tmp_path, META))
    refused("none.conf", "--config", tmp_path / "none.conf", sigmf(tmp_path, META))


@pytest.mark.parametrize("text, words", [
    ("duration_s = 1.0", "bad.conf"),
    ("nonsense = 3;\n" + uw.elrs(), ["bad.conf:1", "nonsense"]),
    (uw.elrs().replace("915000000.0", "2400000000000"), "bad.conf:"),
    (uw.elrs().replace("915000000.0", "-915e6"), ["bad.conf:", "freq_hz"]),
    (uw.elrs().replace("915000000.0", "1e999"), "bad.conf:"),
    (uw.elrs().replace('"200Hz"', "200"), ["bad.conf:", "variant"]),
    (uw.elrs().replace('"200Hz"', '"201Hz"'), ["bad.conf:8", "variant"]),
    (uw.elrs().replace('"FCC915"', '"FCC916"'), ["bad.conf:8", "domain"]),
    (uw.elrs(duration=-1), ["bad.conf:", "duration_s"]),
    (uw.elrs().replace('"cu8"', '"cu9"'), ["bad.conf:", "format"]),
], ids=range(10))
def test_scenario(tmp_path, text, words):
    conf = tmp_path / "bad.conf"
    conf.write_text(text)
    done = uw.run("synth", conf, "-o", tmp_path / "out", status=1)
    lines = done.stderr.decode().splitlines()
    assert done.stdout == b"" and len(lines) == 1
    assert all(w in lines[0] for w in (words if isinstance(words, list) else [words])), lines
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("old, new, words", [
    ('id = "expresslrs-900"', 'id = 900', "id"),
    ("903.5e6", '"here"', "start_hz"),
    ('matcher = "link"', 'matcher = "magic"', "matcher"),
    ("drone = true;", 'drone = true; colour = "red";', "colour"),
    ("bandwidth_hz = 500", "bandwidth_hz = -500", "bandwidth_hz"),
    ("sf = 6", "sf = 6000000000", "x.conf:"),
], ids=range(6))
def test_signature(tmp_path, monkeypatch, old, new, words):
    text = (uw.SOURCE / "config/signatures/expresslrs-900.conf").read_text()
    if old not in text:
        pytest.skip("the database does not say it like that")
    directory = tmp_path / "signatures"
    directory.mkdir()
    (directory / "x.conf").write_text(text.replace(old, new, 1))
    monkeypatch.setenv("UASWATCH_CONFIG_DIR", str(tmp_path))
    refused(["x.conf:", words], sigmf(tmp_path, META))
