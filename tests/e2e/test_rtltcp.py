# SPDX-License-Identifier: GPL-3.0-or-later
"""uaswatchd on rtl_tcp servers: ones that die, hang and lie, and Debian's own on a stand-in dongle."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import peer
import pytest
import uw

STANDIN = pathlib.Path(os.environ.get("UW_STANDIN_DIR", uw.BUILD / "tests/standin"))
CONF = """
site = "arena";
node = "roof";
feed = {{ enabled = true; endpoint = "{endpoint}"; }};
receivers = (
{receivers}
);
"""
RECEIVER = ('    {{ name = "{name}"; type = "rtl_tcp"; device = "127.0.0.1:{port}"; '
            'rate_hz = {rate}; freq_hz = 868.0e6; gain_db = 30.0; }}')


@pytest.fixture(scope="module")
def samples():
    return peer.noise()


@pytest.fixture
def site(tmp_path, samples):
    """Starts a daemon on peers; everything ends with the test."""
    peers, processes = [], []

    def begin(modes, rate="1.0e6"):
        peers.extend(peer.Peer(samples, mode) for mode in modes)
        endpoint = "ipc://%s" % (tmp_path / "feed")
        conf = tmp_path / "uaswatch.conf"
        conf.write_text(CONF.format(endpoint=endpoint, receivers=",\n".join(
            RECEIVER.format(name=f"rx{i}", port=p.port, rate=rate) for i, p in enumerate(peers))))
        feed = uw.Process([uw.UASWATCH, "feed", "v1.health.", "v1.alert.", "--endpoint", endpoint],
                          tmp_path / "feed.txt")
        daemon = uw.Process([uw.UASWATCHD, "-c", conf], tmp_path / "daemon.txt")
        processes.extend([feed, daemon])
        return peers, feed, daemon

    yield begin
    for process in processes:
        process.kill()
    for p in peers:
        p.stop()


def messages(feed, kind):
    lines = feed.text().splitlines()
    return [m for m in map(json.loads, lines[:-1] if lines else []) if m["type"] == kind]


def state_of(feed, receiver):
    health = messages(feed, "health")
    return next((r for r in health[-1]["receivers"] if r["receiver"] == receiver), {}) if health \
        else {}


def wait_for(feed, receiver, state, timeout, words=""):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        r = state_of(feed, receiver)
        if r.get("state") == state and words in r.get("advice", ""):
            return r
        time.sleep(0.05)
    raise AssertionError((receiver, state, words, state_of(feed, receiver)))


def wait_for_samples(feed, receiver, timeout):
    """A machine that is busy elsewhere loses some in this program's servers; that is told, too."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        r = state_of(feed, receiver)
        if r.get("state") == "ok" or r.get("problem") == "losing":
            return
        time.sleep(0.05)
    raise AssertionError((receiver, state_of(feed, receiver)))


def test_faults_of_running_servers(site):
    """Five servers fail at once, each in its own way; every fault is told, and over by itself."""
    faults = ["hang_up", "reset", "stall", "refuse", "mute"]
    peers, feed, daemon = site(["ok"] * len(faults))
    for i in range(len(faults)):
        wait_for_samples(feed, f"rx{i}", 8)
    for p, fault in zip(peers, faults):
        p.mode = fault
    begin = time.monotonic()
    for i in range(len(faults)):
        told = wait_for(feed, f"rx{i}", "lost", 3.5 - (time.monotonic() - begin))
        assert told["advice"]
    lost = {a["reason"] + a["headline"] for a in messages(feed, "alert")
            if a["kind"] in ("receiver", "coverage") and a["event"] == "raised"}
    assert lost, "a lost receiver is an alert"
    for p in peers:
        p.mode = "ok"
    for i in range(len(faults)):
        wait_for_samples(feed, f"rx{i}", 15)
    status, seconds = daemon.stop()
    assert status == 0 and seconds < 1.5, daemon.text()


def test_reload_where_nothing_is_swept(site, tmp_path):
    """Said again when a receiver comes to listen elsewhere, not when it goes where nothing is missed."""
    _, feed, daemon = site(["ok"], rate="2.048e6")
    conf = tmp_path / "uaswatch.conf"
    text = conf.read_text()
    wait_for_samples(feed, "rx0", 8)
    assert "links around 868.0 MHz are heard above the noise only" in daemon.text()

    def reload(freq, more=""):
        since = len(daemon.text())
        conf.write_text(text.replace("868.0e6", freq) + more)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("configuration holds", 10, since)
        return re.findall(r"around (.*) MHz are heard above", daemon.text()[since:])

    assert reload("868.0e6") == []
    assert reload("315.0e6") == []
    assert reload("915.0e6") == ["915.0"]
    assert reload("915.0e6", "below_noise = false;\n") == []
    assert reload("915.0e6") == ["915.0"]


def test_never_well_servers(site):
    modes = ["magic", "half", "mute", "trickle"]
    _, feed, daemon = site(modes)
    for i in range(len(modes)):
        told = wait_for(feed, f"rx{i}", "lost", 5)
        assert told["advice"]
    status, seconds = daemon.stop()
    assert status == 0 and seconds < 1.5, daemon.text()


def test_lies_about_the_rate(site):
    peers, feed, _ = site(["ok", "ok"])
    peers[0].speed = 0.85
    peers[1].speed = 1.15
    for i in range(2):
        wait_for(feed, f"rx{i}", "lost", 8, "instead of")


needs_rtl_tcp = pytest.mark.skipif(
    not shutil.which("rtl_tcp") or not (STANDIN / "librtlsdr.so.0").exists(),
    reason="rtl_tcp or the stand-in for librtlsdr is missing")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def rtl_tcp(tmp_path):
    """Debian's rtl_tcp on a dongle that is none."""
    running = []

    def begin(**more):
        port = free_port()
        env = {**os.environ, "LD_LIBRARY_PATH": str(STANDIN),
               **{"UW_STANDIN_" + k: str(v) for k, v in more.items()}}
        with (tmp_path / "rtl_tcp.txt").open("wb") as log:
            running.append(subprocess.Popen(["rtl_tcp", "-a", "127.0.0.1", "-p", str(port)], env=env,
                                            stdout=log, stderr=log))
        end = time.monotonic() + 5
        while "Listening" not in (tmp_path / "rtl_tcp.txt").read_text() and \
                "listening" not in (tmp_path / "rtl_tcp.txt").read_text():
            if time.monotonic() > end:
                break
            time.sleep(0.05)
        return port

    yield begin
    for process in running:
        process.send_signal(signal.SIGKILL)
        process.wait()


@needs_rtl_tcp
def test_calibrate_through_rtl_tcp(rtl_tcp, tmp_path):
    """A crystal that is 30 ppm fast: rate and frequency are off, the carrier says by how much."""
    script = tmp_path / "script"
    script.write_text("0 0 error 30\n")
    port = rtl_tcp(TONES="868.3e6:-20", SCRIPT=script, LOG=tmp_path / "log")
    got = json.loads(uw.run("calibrate", "--json", "--seconds", "2", "--emitter-hz", "868.3M",
                            "--gain", "30", "--device", f"rtl_tcp:127.0.0.1:{port}").stdout)
    assert abs(got["ppm"] - 30) < 0.1
    log = (tmp_path / "log").read_text()
    assert "2400000" in log and "868000000" in log
