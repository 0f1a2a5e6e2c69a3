# SPDX-License-Identifier: GPL-3.0-or-later
"""uaswatchd on dongles that are not there: heard, pulled out, back on another port."""
import ctypes
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest
import uw

STANDIN = os.environ["UW_STANDIN_DIR"]
CONF = """
site = "arena";
node = "roof";
feed = {{ enabled = true; endpoint = "{endpoint}"; }};
signatures = {{ directory = "{signatures}"; }};
receivers = (
    {{ name = "mast"; type = "rtlsdr"; device = "north"; rate_hz = 2.4e6; freq_hz = 915.0e6; {more} }}
);
"""


@pytest.fixture(scope="module")
def air(tmp_path_factory):
    """A link in a recording, as the stand-in wants to be told of it."""
    meta = uw.synth(tmp_path_factory.mktemp("iq"), uw.elrs(duration=4))
    return f"{meta.with_suffix('.sigmf-data')}:cu8:2400000:915000000"


@pytest.fixture
def place(tmp_path, air):
    class Place:
        endpoint = "ipc://%s" % (tmp_path / "feed")
        script = tmp_path / "script"
        running = []

        def conf(self, more=""):
            path = tmp_path / "uaswatch.conf"
            path.write_text(CONF.format(endpoint=self.endpoint, more=more,
                                        signatures=uw.SOURCE / "config" / "signatures"))
            return path

        def start(self, *args):
            env = {**os.environ, "LD_LIBRARY_PATH": STANDIN, "UW_STANDIN_AIR": air,
                   "UW_STANDIN_DEVICES": "00000001,00000001,north",
                   "UW_STANDIN_SCRIPT": str(self.script)}
            self.running.append(uw.Process(args, tmp_path / f"out{len(self.running)}.txt", env))
            return self.running[-1]

        def say(self, what):
            with self.script.open("a") as f:
                f.write(f"now 2 {what}\n")
            return time.monotonic()

    made = Place()
    made.script.touch()
    yield made
    for process in made.running:
        process.kill()


def wait(feed, what, matches, timeout, since=0):
    """The first message that matches, and how many lines there are now."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        lines = [json.loads(line) for line in feed.text().splitlines(keepends=True)
                 if line.endswith("\n")]
        for number, m in enumerate(lines[since:], since):
            if matches(m):
                return m, number + 1
        time.sleep(0.02)
    raise AssertionError(f"{what} not seen within {timeout} s:\n{feed.text()[-3000:]}")


def health(state, problem=None):
    def matches(m):
        return m["type"] == "health" and m["receivers"][0]["state"] == state and \
            m["receivers"][0].get("problem") == problem
    return matches


def alert(kind, event):
    return lambda m: m["type"] == "alert" and m["kind"] == kind and m["event"] == event


def test_pulled_out_and_back(place):
    daemon = place.start(uw.UASWATCHD, "-c", place.conf())
    feed = place.start(uw.UASWATCH, "feed", "--endpoint", place.endpoint)
    wait(feed, "ok", health("ok"), 10)
    drone, since = wait(feed, "the drone", alert("uas", "raised"), 10)
    assert drone["family"] == "expresslrs"

    began = place.say("unplug")
    lost, at = wait(feed, "the loss", health("lost", "absent"), 5, since)
    assert time.monotonic() - began < 2
    assert "north" in lost["receivers"][0]["advice"] and lost["blind"]
    told, _ = wait(feed, "an alert", alert("receiver", "raised"), 3, since)
    assert time.monotonic() - began < 4
    assert told["receiver"] == "mast" and told["advice"]

    place.say("plug 0")  # another port: it is the first now
    back, at = wait(feed, "it is back", health("ok"), 10, at)
    assert back["receivers"][0]["reopened"] == 1
    wait(feed, "the end", alert("receiver", "cleared"), 6, since)
    status, seconds = daemon.stop()
    assert status == 0 and seconds < 2, daemon.text()
    # also what librtlsdr says is a line of the log
    assert all(re.match("(error|warning|info|debug) [a-z-]+: ", line)
               for line in daemon.text().splitlines()), daemon.text()
    assert "info library: Found Rafael Micro R820T tuner" in daemon.text()
    for m in uw.parse(feed.text()):
        assert not list(uw.validator(m["type"]).iter_errors(m)), m


def test_a_library_that_talks_too_much(place):
    """Each retune of a tuner that does not lock is a line of librtlsdr's."""
    place.script.write_text("0 2 unlock 1\n")
    more = "centres_hz = [ 914.0e6, 915.0e6 ]; dwell_s = 0.1;"
    daemon = place.start(uw.UASWATCHD, "-c", place.conf(more))
    daemon.wait_for("PLL not locked", 10)
    time.sleep(3)
    assert daemon.stop()[0] == 0
    assert daemon.text().count("info library: [R82XX] PLL not locked!") <= 5
    assert re.search(r"[0-9]+ more suppressed: .*PLL not locked", daemon.text())


def test_starts_without_it(place):
    place.script.write_text("0 2 unplug\n")
    daemon = place.start(uw.UASWATCHD, "-c", place.conf())
    feed = place.start(uw.UASWATCH, "feed", "--endpoint", place.endpoint)
    lost, at = wait(feed, "the lack", health("lost", "absent"), 5)
    assert "not there" in lost["receivers"][0]["advice"]
    place.say("plug")
    wait(feed, "it has come", health("ok"), 10, at)
    wait(feed, "the drone", alert("uas", "raised"), 10, at)
    assert daemon.stop()[0] == 0


def test_wrong_rate_is_refused(place):
    path = place.conf()
    path.write_text(path.read_text().replace("2.4e6", "4.0e6"))
    done = subprocess.run([str(uw.UASWATCHD), "-c", str(path)], capture_output=True, check=False,
                          timeout=20, env={**os.environ, "LD_LIBRARY_PATH": STANDIN})
    assert done.returncode == 1
    assert b"uaswatch.conf:7: rate_hz: a dongle makes rates" in done.stderr


class Stopped:
    """One thread of a program that stands still."""
    ATTACH, DETACH, WALL = 16, 17, 0x40000000
    libc = ctypes.CDLL(None, use_errno=True)

    def __init__(self, pid, name):
        tasks = sorted(pathlib.Path(f"/proc/{pid}/task").iterdir(), key=lambda t: int(t.name))
        self.tid = next(int(t.name) for t in tasks if (t / "comm").read_text().strip() == name)
        if self.libc.ptrace(self.ATTACH, self.tid, None, None) != 0:
            pytest.skip("not allowed to stop a thread")
        os.waitpid(self.tid, self.WALL)

    def go_on(self):
        assert self.libc.ptrace(self.DETACH, self.tid, None, None) == 0


class Manager(threading.Thread):
    """The service manager: when it was last told that all is well."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.fed = 0.0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.start()

    def run(self):
        while True:
            if self.socket.recv(4096) == b"WATCHDOG=1":
                self.fed = time.monotonic()


def test_watchdog_knows_every_thread(tmp_path, air):
    """A daemon for each thread: it is stopped, and no longer said to be well. Then all is well again."""
    names = ["uw-capture", "uw-producer", "uw-fusion", "uw-device", "uw-stream", "ZMQbg/IO/0"]
    daemons, managers, stopped = [], [], []
    try:
        for i, name in enumerate(names):
            place = tmp_path / str(i)
            place.mkdir()
            conf = place / "uaswatch.conf"
            conf.write_text(CONF.format(endpoint="ipc://%s" % (place / "feed"), more="", signatures=uw.SOURCE /
                                        "config" / "signatures").replace("2.4e6", "250.0e3"))
            managers.append(Manager(place / "notify"))
            env = {**os.environ, "LD_LIBRARY_PATH": STANDIN, "UW_STANDIN_DEVICES": "north",
                   "NOTIFY_SOCKET": str(place / "notify"), "WATCHDOG_USEC": "2000000"}
            daemons.append(uw.Process([uw.UASWATCHD, "-c", conf], place / "out.txt", env))
        for daemon in daemons:
            daemon.wait_for("listening", 15)
        time.sleep(2)  # until samples flow
        for name, daemon in zip(names, daemons):
            stopped.append(Stopped(daemon.process.pid, name))
        for name, daemon in zip(names, daemons):
            daemon.wait_for("a thread shows no sign of life", 30)
        time.sleep(2)
        for name, manager in zip(names, managers):
            assert time.monotonic() - manager.fed > 1.5, name
        for thread in stopped:
            thread.go_on()
        stopped.clear()
        time.sleep(5)
        for name, daemon, manager in zip(names, daemons, managers):
            assert time.monotonic() - manager.fed < 1.5, (name, daemon.text())
        for daemon in daemons:
            assert daemon.stop()[0] == 0, daemon.text()
    finally:
        for thread in stopped:
            thread.go_on()
        for daemon in daemons:
            daemon.kill()


def devices(*args, soapy=False, **more):
    path = STANDIN + ":" + os.path.join(STANDIN, "soapy") if soapy else STANDIN
    env = {**os.environ, "LD_LIBRARY_PATH": path,
           **{"UW_STANDIN_" + k: str(v) for k, v in more.items()}}
    done = subprocess.run([str(uw.UASWATCH), "devices", *args], capture_output=True, check=False,
                          timeout=20, env=env, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def test_devices(tmp_path):
    script = tmp_path / "script"
    script.write_text("0 2 busy on\n0 3 access off\n0 4 unplug\n")
    serials = "00000001,00000001,north,south,east,west"
    found = [json.loads(line) for line in devices("--json", DEVICES=serials, SCRIPT=script).splitlines()]
    assert [d["state"] for d in found] == ["free", "free", "in use", "forbidden", "free"]
    assert [d["index"] for d in found] == [0, 1, 2, 3, 4]
    assert [d.get("serial") for d in found] == ["00000001", "00000001", "north", None, "west"]
    assert [d["own_serial"] for d in found] == [False, False, True, False, True]
    for d, words in zip(found, ("rtl_eeprom -d 0", 'device = "#1"', "Another program", "udev rule",
                                'Ready: device = "west"')):
        assert words in d["advice"], d
    text = devices(DEVICES=serials, SCRIPT=script)
    assert "R820T" in text and "forbidden" in text and "rtl_eeprom -d 1" in text
    assert "better give it a name" in devices(DEVICES="00000001")


def test_other_receivers():
    if not os.path.exists(os.path.join(STANDIN, "soapy", "libSoapySDR.so.0.8")):
        pytest.skip("built without SoapySDR")
    found = devices("--json", soapy=True, DEVICES="north",
                    SOAPY="driver=lime;serial=1D3A;label=LimeSDR Mini|driver=audio|driver=rtlsdr")
    found = [json.loads(line) for line in found.splitlines()]
    assert [(d["kind"], d["state"]) for d in found] == [("rtlsdr", "free"), ("soapy", "not tried")]
    assert found[1]["name"] == "LimeSDR Mini"
    assert 'device = "driver=lime,serial=1D3A"' in found[1]["advice"]


def test_no_devices():
    assert "No receiver is found" in devices(DEVICES="")
    assert devices("--json", DEVICES="") == ""
