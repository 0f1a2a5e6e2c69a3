# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service manager and a technician see: readiness, watchdog, reload, self-test, health."""
import os
import signal
import socket
import subprocess
import time

import pytest
import uw

CONF = """
site = "arena";
node = "roof";
feed = {{ enabled = true; endpoint = "{endpoint}"; }};
{more}
receivers = (
{receivers}
);
"""
LOOP = '    {{ name = "{name}"; type = "loop"; path = "{path}"; freq_hz = {freq}; }}'


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return uw.synth(tmp_path_factory.mktemp("iq"), uw.elrs(duration=2))


@pytest.fixture
def endpoint(tmp_path):
    return "ipc://%s" % (tmp_path / "feed")


@pytest.fixture
def write(tmp_path, endpoint, sample):
    """Writes the configuration: receivers as (name, centre)."""
    path = tmp_path / "uaswatch.conf"

    def conf(*receivers, more="", path_of=None):
        lines = [LOOP.format(name=n, path=path_of or sample, freq=f) for n, f in receivers]
        path.write_text(CONF.format(endpoint=endpoint, more=more, receivers=",\n".join(lines)))
        return path

    return conf


@pytest.fixture
def start(tmp_path):
    running = []

    def begin(*args, **env):
        running.append(uw.Process(args, tmp_path / f"out{len(running)}.txt",
                                  env=dict(os.environ, **env)))
        return running[-1]

    yield begin
    for process in running:
        process.kill()


class Manager:
    """The service manager's end of $NOTIFY_SOCKET."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.said = []

    def listen(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                self.said.append(self.socket.recv(4096).decode())
            except TimeoutError:
                break

    def wait_for(self, words, seconds=10.0):
        end = time.monotonic() + seconds
        while not any(words in s for s in self.said):
            assert time.monotonic() < end, f"no {words} in {self.said}"
            self.listen(0.05)


def test_service_manager(write, start, tmp_path):
    manager = Manager(tmp_path / "notify")
    daemon = start(uw.UASWATCHD, "-c", write(("mast", 915e6)),
                   NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="800000")
    manager.wait_for("READY=1")
    manager.said.clear()
    manager.listen(2.0)
    assert "READY=1" not in manager.said
    assert 6 <= manager.said.count("WATCHDOG=1") <= 11  # each fifth of a second
    daemon.process.send_signal(signal.SIGHUP)
    manager.wait_for("RELOADING=1\nMONOTONIC_USEC=")
    manager.wait_for("READY=1")
    assert [m[:5] for m in manager.said if "WATCH" not in m][-2:] == ["RELOA", "READY"]
    manager.said.clear()
    status, _ = daemon.stop()
    manager.listen(0.2)
    assert status == 0 and "STOPPING=1" in manager.said
    # the manager of somebody else's process is not ours
    manager.said.clear()
    other = start(uw.UASWATCHD, "-c", write(("mast", 915e6)), WATCHDOG_PID="1",
                  NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="800000")
    manager.wait_for("READY=1")
    other.stop()


def test_reload(write, start, endpoint):
    conf = write(("mast", 915e6))
    daemon = start(uw.UASWATCHD, "-c", conf)
    feed = start(uw.UASWATCH, "feed", "v1.", "--endpoint", endpoint)
    feed.wait_for('"type":"alert"', 15)
    feed.wait_for('"type":"health"')

    def health(since):
        feed.wait_for('"type":"health"', 3, since)
        return uw.of_type(uw.parse(feed.text()), "health")[-1]

    def reload(*args, **kwargs):
        since = len(feed.text())
        write(*args, **kwargs)
        daemon.process.send_signal(signal.SIGHUP)
        feed.wait_for('"type":"audit"', 10, since)
        time.sleep(0.4)
        return uw.of_type(uw.parse(feed.text()), "audit")[-1], health(since)

    audit, state = reload(("mast", 915e6), ("gate", 915e6))
    assert (audit["action"], audit["actor"], audit["detail"]) == ("reload", "SIGHUP", "added: gate")
    assert not list(uw.validator("audit").iter_errors(audit)), audit
    assert [r["receiver"] for r in state["receivers"]] == ["mast", "gate"]
    assert state["receivers"][0]["lost_samples"] == 0

    audit, state = reload(("mast", 915e6), ("gate", 915e6), more="alerts = { clear_s = 5.0; };")
    assert audit["detail"] == "nothing that concerns receivers or signatures"

    audit, state = reload(("gate", 915e6), ("mast", 868e6), more='log_level = "debug";')
    assert audit["detail"] == "opened anew: mast"
    assert [r["freq_hz"] for r in state["receivers"]] == [915e6, 868e6]

    audit, state = reload(("other", 868e6))  # for a moment there is none at all
    assert audit["detail"] == "added: other; taken out: gate; taken out: mast"
    audit, state = reload(("gate", 915e6), ("mast", 868e6), ("other", 868e6))

    audit, state = reload(("gate", 915e6), more='signatures = { enabled = ["lorawan"]; };')
    assert audit["detail"] == "taken out: mast; taken out: other; signatures changed"
    assert [r["receiver"] for r in state["receivers"]] == ["gate"]

    for more, word in [("sight = 1;", "sight"), ('signatures = { enabled = ["x"]; };', '"x"'),
                       ("exercise = 7;", "exercise")]:
        audit, state = reload(("gate", 915e6), ("new", 915e6), more=more)
        assert audit["action"] == "reload-refused" and word in audit["detail"], audit
        assert [r["receiver"] for r in state["receivers"]] == ["gate"]
    audit, state = reload(("gate", 915e6), ("new", 915e6), path_of="/nonexistent.cu8")
    assert audit["action"] == "reload-refused" and "nonexistent" in audit["detail"]
    conf.write_text(conf.read_text().replace('"arena"', '"other"'))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for('site: cannot be changed from "arena" to "other"')

    write(("gate", 915e6), more='signatures = { enabled = ["lorawan"]; };')
    since = len(daemon.text())
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for("the new configuration holds", 5, since)
    status, _ = daemon.stop()
    assert status == 0
    feed.stop(signal.SIGINT)
    messages = uw.parse(feed.text())
    ids = [m["detection"] for m in uw.of_type(messages, "detection")]
    assert len(ids) == len(set(ids))  # an identifier is given once, also after a reload
    assert len({m["run"] for m in messages}) == 1
    for m in messages:
        assert not list(uw.validator(m["type"]).iter_errors(m)), m
    seq = {}
    for m in messages:  # repetitions for subscribers carry old numbers
        assert m["seq"] <= seq.get(m["type"], m["seq"] - 1) + 1, "a gap"
        seq[m["type"]] = max(m["seq"], seq.get(m["type"], 0))


def test_previous_run(write, start, endpoint, tmp_path):
    """Who was away over a restart learns where the numbering had ended; after a crash nobody does."""
    conf = write(("mast", 915e6), more='state_directory = "%s";' % tmp_path)
    feed = start(uw.UASWATCH, "feed", "v1.", "--endpoint", endpoint)
    daemon = start(uw.UASWATCHD, "-c", conf)
    feed.wait_for('"type":"alert"', 15)
    feed.wait_for('"disk_free_bytes":', 5)
    assert daemon.stop()[0] == 0
    time.sleep(0.3)
    first = uw.parse(feed.text())
    since = len(feed.text())
    daemon = start(uw.UASWATCHD, "-c", conf)
    feed.wait_for('"type":"health"', 10, since)
    daemon.kill()
    time.sleep(0.3)
    health = uw.of_type(uw.parse(feed.text()[since:]), "health")[0]
    assert not list(uw.validator("health").iter_errors(health)), health
    assert health["previous_run"]["run"] == first[0]["run"]
    last = {}
    for m in first:
        last[m["type"]] = max(m["seq"], last.get(m["type"], 0))
    assert health["previous_run"]["seq"] == last
    since = len(feed.text())
    start(uw.UASWATCHD, "-c", conf)
    feed.wait_for('"type":"health"', 10, since)
    assert "previous_run" not in uw.of_type(uw.parse(feed.text()[since:]), "health")[0]


def test_degraded_receiver(write, start, endpoint, tmp_path):
    """Clipping that lasts is an alert, of less severity than a loss; it does not come at once."""
    path = tmp_path / "x_868M_250k.cu8"
    path.write_bytes(os.urandom(1000) + bytes([0, 255] * 100000))
    start(uw.UASWATCHD, "-c", write(("mast", 868e6), path_of=path, more="health = { degraded_s = 1.5; };"))
    feed = start(uw.UASWATCH, "feed", "v1.", "--endpoint", endpoint)
    feed.wait_for('"problem":"clipping"', 10)
    feed.wait_for('"kind":"receiver"', 5)
    messages = uw.parse(feed.text())
    alert = uw.raised(messages, "receiver")[0]
    since = next(r["since"] for m in uw.of_type(messages, "health") for r in m["receivers"]
                 if r.get("problem") == "clipping")
    assert not list(uw.validator("alert").iter_errors(alert)), alert
    assert (alert["receiver"], alert["problem"], alert["severity"]) == ("mast", "clipping", "advisory")
    assert alert["first_seen"] == since and "less than it should" in alert["headline"]
    seconds = [float(t[17:26]) for t in (since, alert["time"])]
    assert 1.5 <= (seconds[1] - seconds[0]) % 60 < 3
    assert not uw.raised(messages, "coverage")


def test_self_test(write, tmp_path):
    conf = write(("mast", 915e6), more='state_directory = "%s";' % tmp_path)
    done = subprocess.run([uw.UASWATCHD, "-c", conf, "--self-test"], capture_output=True,
                          check=False, timeout=20)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0, lines
    assert [line.split()[0] for line in lines] == ["fft", "lora", "disk", "clock"]
    write(("mast", 915e6), more='state_directory = "/nonexistent/state";')
    for args in ["--self-test"], []:
        done = subprocess.run([uw.UASWATCHD, "-c", conf, *args], capture_output=True, check=False,
                              timeout=20)
        assert done.returncode == 1
        assert b"/nonexistent/state" in done.stdout + done.stderr
