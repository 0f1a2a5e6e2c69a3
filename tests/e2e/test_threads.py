# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole daemon under load and faults, for the thread sanitizer: dongles (the stand-in's) that go,
lose and come back, a loop, a pipe, reloads, subscribers that come and go. Without the sanitizer it is
a test that all of that ends well."""
import os
import pathlib
import signal
import threading
import time

import pytest
import uw

STANDIN = pathlib.Path(os.environ.get("UW_STANDIN_DIR", uw.BUILD / "tests/standin"))
CONF = """
site = "arena";
node = "roof";
feed = {{ enabled = true; endpoint = "{endpoint}"; }};
health = {{ clear_s = 0.5; blind_s = 0.5; degraded_s = 1.0; }};
{more}
receivers = (
{receivers}
);
"""
DONGLE = '    {{ name = "{name}"; type = "rtlsdr"; device = "{serial}"; rate_hz = 250.0e3; freq_hz = {freq};\n' \
         '      gain_db = 30.0; }}'
LOOP = '    {{ name = "gate"; type = "loop"; path = "{path}"; }}'
PIPE = '    {{ name = "pipe"; type = "pipe"; path = "{path}"; format = "cu8"; rate_hz = 250.0e3; freq_hz = 868.0e6; }}'


class Writer(threading.Thread):
    """Feeds the pipe until told not to."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.stop = path, False

    def run(self):
        noise = os.urandom(50000)
        try:
            with open(self.path, "wb", buffering=0) as pipe:
                while not self.stop:
                    pipe.write(noise)
        except BrokenPipeError:
            pass


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    scenario = uw.elrs(duration=2, variant="50Hz", domain="AU433",
                       receivers=[uw.receiver(rate=1.0e6, freq=433.9e6)])
    return uw.synth(tmp_path_factory.mktemp("iq"), scenario)


@pytest.mark.skipif(not list(STANDIN.glob("librtlsdr.so*")), reason="no stand-in for librtlsdr")
def test_everything_at_once(sample, tmp_path):
    endpoint = "ipc://%s" % (tmp_path / "feed")
    conf, script, fifo = (tmp_path / n for n in ("uaswatch.conf", "script", "fifo"))
    os.mkfifo(fifo)
    script.write_text("")

    def write(*names, more=""):
        every = {"mast": DONGLE.format(name="mast", serial="aa01", freq="915.0e6"),
                 "roof": DONGLE.format(name="roof", serial="aa02", freq="868.3e6"),
                 "moved": DONGLE.format(name="mast", serial="aa01", freq="906.0e6"),
                 "gate": LOOP.format(path=sample), "pipe": PIPE.format(path=fifo)}
        conf.write_text(CONF.format(endpoint=endpoint, more=more,
                                    receivers=",\n".join(every[n] for n in names)))

    def event(line):
        with script.open("a") as f:
            f.write("now " + line + "\n")

    env = dict(os.environ, LD_LIBRARY_PATH=str(STANDIN), UW_STANDIN_DEVICES="aa01,aa02",
               UW_STANDIN_SCRIPT=str(script))
    write("mast", "roof", "gate", "pipe")
    writer = Writer(fifo)
    writer.start()
    daemon = uw.Process([uw.UASWATCHD, "-c", conf], tmp_path / "daemon.txt", env=env)
    watch = uw.Process([uw.UASWATCH, "watch", "--plain", "--endpoint", endpoint], tmp_path / "watch.txt")
    feed = uw.Process([uw.UASWATCH, "feed", "--endpoint", endpoint], tmp_path / "feed.txt")
    try:
        feed.wait_for('"type":"health"', 20)
        feed.wait_for('"type":"detection"', 30)
        event("0 unplug")
        event("1 lose 20000")
        feed.wait_for('"kind":"receiver","event":"raised"', 15)
        writer.stop = True
        write("mast", "roof", "pipe", more="lag_s = 1.0;")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("the new configuration holds", 15)
        feed.wait_for('"detail":"taken out: gate"', 5)  # the dongles were left alone
        late = uw.Process([uw.UASWATCH, "feed", "v1.", "--endpoint", endpoint], tmp_path / "late.txt")
        event("0 plug")
        event("1 stall")
        since = len(daemon.text())
        write("moved", "gate", "pipe", "roof", more='signatures = { enabled = ["expresslrs-900"]; };')
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("the new configuration holds", 15, since)
        feed.wait_for('"detail":"added: gate; signatures changed; retuned: mast"', 5)
        late.stop(signal.SIGINT)
        event("1 flow")
        event("0 clip 3")
        writer = Writer(fifo)
        writer.start()
        feed.wait_for('"event":"cleared"', 20)
        for i, names in enumerate([("mast", "roof", "gate", "pipe"), ("gate", "moved"), ("roof", "moved", "gate")]):
            event(f"{i % 2} unplug")
            event(f"{1 - i % 2} hiccup 0.4")
            time.sleep(0.6)
            event(f"{i % 2} plug {i % 2}")
            since = len(daemon.text())
            write(*names, more=f"lag_s = {1 + i}.0; alerts = {{ coast_s = {1 + i}.0; }};")
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_for("the new configuration holds", 15, since)
            event("* flow")
            time.sleep(0.6)
        since = len(daemon.text())
        conf.write_text("nonsense")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("the old configuration goes on", 15, since)
        time.sleep(1)
        status, _ = daemon.stop(timeout=30)
        assert "ThreadSanitizer" not in daemon.text(), daemon.text()
        assert status == 0, daemon.text()
        assert "WARNING" not in watch.text() + feed.text()
    finally:
        for process in daemon, watch, feed:
            process.kill()
        writer.stop = True
    for m in uw.parse(feed.text()):
        assert not list(uw.validator(m["type"]).iter_errors(m)), m
