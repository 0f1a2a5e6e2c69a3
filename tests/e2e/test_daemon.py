# SPDX-License-Identifier: GPL-3.0-or-later
"""uaswatchd on a looping recording, with everybody looking at its feed at once."""
import re
import signal
import subprocess
import sys
import time

import pytest
import uw

CONF = """
site = "arena";
node = "roof";
feed = {{ enabled = true; endpoint = "{endpoint}"; }};
receivers = (
    {{ name = "mast"; type = "loop"; path = "{path}"; }}
);
"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return uw.synth(tmp_path_factory.mktemp("iq"), uw.elrs(duration=4))


@pytest.fixture
def conf(sample, tmp_path):
    path = tmp_path / "uaswatch.conf"
    path.write_text(CONF.format(endpoint="ipc://%s" % (tmp_path / "feed"), path=sample))
    return path


@pytest.fixture
def endpoint(tmp_path):
    return "ipc://%s" % (tmp_path / "feed")


@pytest.fixture
def start(tmp_path):
    running = []

    def begin(*args):
        running.append(uw.Process(args, tmp_path / f"out{len(running)}.txt"))
        return running[-1]

    yield begin
    for process in running:
        process.kill()


def test_check_config(conf, tmp_path):
    done = subprocess.run([str(uw.UASWATCHD), "-c", str(conf), "--check-config"],
                          capture_output=True, check=False, timeout=20)
    assert (done.returncode, done.stdout.decode()) == (0, f"{conf}: OK\n")
    (tmp_path / "signatures").mkdir()
    good = (uw.SOURCE / "config/signatures/expresslrs-900.conf").read_text()
    (tmp_path / "signatures/one.conf").write_text(good.replace('"control"', '"contrail"'))
    (tmp_path / "signatures/two.conf").write_text(good.replace("drone = true", "drone = 7"))
    bad = tmp_path / "bad.conf"
    bad.write_text(conf.read_text().replace('"roof"', "7").replace(
        "receivers = (", """receivers = (
    { name = "yard"; type = "file"; path = "nowhere.cu8"; },""") + """colour = "red";
state_directory = "/nonexistent";
alerts = { coast_s = "long"; };
""")
    done = subprocess.run([str(uw.UASWATCHD), "-c", str(bad), "--check-config"],
                          capture_output=True, check=False, timeout=20)
    text = done.stderr.decode()
    assert done.returncode == 1 and done.stdout == b""
    where = ["bad.conf:3: node", "bad.conf:6: path", "bad.conf:7: type", "bad.conf:9: colour",
             "bad.conf:10: state_directory", "bad.conf:11: coast_s", "one.conf:13: role",
             "two.conf:14: drone"]
    for words in where:
        assert words in text, (words, text)


def test_check_config_of_devices(conf, tmp_path):
    """What a start would refuse of a device, before there is one; a number that does not fit hides nothing."""
    head = conf.read_text().split("receivers = (")[0].replace("site =", "lag_s = 4294967296;\nsite =")
    line = head.count("\n") + 2
    receivers = [  # what is wrong, where, and what is said
        ('type = "rtl_tcp"; device = "host:99999"; rate_hz = 2.4e6; freq_hz = 915.0e6;', "device", "HOST:PORT"),
        ('type = "rtl_tcp"; device = ""; rate_hz = 2400000000; freq_hz = 915.0e6;', "device", "HOST:PORT"),
        ('type = "rtl_tcp"; device = "h"; rate_hz = 2.4e6; freq_hz = 5.8e9;', "freq_hz", "from 1000000 to"),
        ('type = "rtlsdr"; device = "#x"; rate_hz = 2.4e6; freq_hz = 915.0e6;', "device", "a number"),
        ('type = "rtlsdr"; device = "b"; rate_hz = 2.4e6; freq_hz = 5.8e9;', "freq_hz", "from 22000000 to"),
        ('type = "rtlsdr"; device = "c"; rate_hz = 2.4e6; centres_hz = [ 915.0e6, 5.8e9 ];', "centres_hz[1]", "from"),
        ('type = "rtlsdr"; device = "d"; rate_hz = 2.4e6; plan = "auto";', None, None),
        ('type = "rtl_tcp"; rate_hz = 2.4e6; freq_hz = 915.0e6;', "device", "missing"),
    ]
    bad = tmp_path / "bad.conf"
    bad.write_text(head + "receivers = (\n" + ",\n".join(
        f'    {{ name = "r{i}"; {text} }}' for i, (text, _, _) in enumerate(receivers)) + "\n);\n" +
        'signatures = { directory = "nowhere"; };\n')
    done = subprocess.run([str(uw.UASWATCHD), "-c", str(bad), "--check-config"],
                          capture_output=True, check=False, timeout=20)
    assert done.returncode == 1 and done.stdout == b""
    said = done.stderr.decode().splitlines()
    expected = [f"bad.conf:{line + i}: {key}: " for i, (_, key, _) in enumerate(receivers) if key]
    expected += ["the integer 4294967296 does not fit", f"bad.conf:{line + 1}: the integer 2400000000",
                 f"bad.conf:{line + len(receivers) + 1}: directory: "]
    for words in expected:
        assert sum(words in s for s in said) == 1, (words, said)
    for i, (_, key, words) in enumerate(receivers):
        assert not key or any(f":{line + i}: {key}: " in s and words in s for s in said), (words, said)
    assert len(said) == len(expected), said
    for text, key, words in receivers[:6]:  # nor does a start go on with it
        if "2400000000" in text or "centres_hz" in text:
            continue
        bad.write_text(head.replace("lag_s = 4294967296;\n", "") + "receivers = ( { name = \"r\"; %s } );" % text)
        done = subprocess.run([str(uw.UASWATCHD), "-c", str(bad)], capture_output=True, check=False, timeout=20)
        assert done.returncode == 1 and words in done.stderr.decode(), (text, done.stderr)


def test_rate_without_sweep(conf, tmp_path):
    """A receiver whose rate keeps it from hearing below the noise: said before the start, and at it."""
    at = uw.receiver(rate=2.048e6)
    path = uw.synth(tmp_path, uw.elrs(duration=1, receivers=[at]))
    head = conf.read_text().split("receivers = (")[0]
    raw = tmp_path / "x_2400k.cu8"
    raw.write_bytes(bytes(100000))
    far = 'type = "rtl_tcp"; device = "h";\nrate_hz = %s; %s'
    usb = 'type = "soapy"; device = "driver=none";\nrate_hz = %s; plan = "auto";'
    at = "links around %s MHz are heard above the noise only"
    cases = [  # the receiver, where it is warned of, and of what
        (f'type = "loop"; path = "{path}";', 6, at % "915.0"),
        (f'type = "loop"; path = "{raw}";', 6, "centre frequency is not known"),
        (far % ("2.048e6", "freq_hz = 915.0e6;"), 7, at % "915.0" + ": their channels cannot be cut out at "
         "2.048 MS/s (at 2 they can)"),
        (far % ("2.048e6", "centres_hz = [ 315.0e6, 868.0e6 ]; dwell_s = 0.5;"), 7, at % "868.0"),
        (far % ("2.048e6", 'plan = "auto";'), 7, "links around"), (far % ("2.6e6", 'plan = "auto";'), 7, "links around"),
        (far % ("2.048e6", "freq_hz = 315.0e6;"), None, None), (far % ("2.4e6", "freq_hz = 915.0e6;"), None, None),
        (far % ("2.4e6", "freq_hz = 928.0e6;"), None, None), (far % ("2.4e6", 'plan = "auto";'), None, None),
        (usb % "15.36e6", 7, "links around 24"), (usb % "10.0e6", None, None)]
    other = tmp_path / "other.conf"
    for text, line, said in cases:
        for below in True, False:
            other.write_text(head + 'receivers = (\n{ name = "r"; %s } );\n' % text +
                             ("" if below else "below_noise = false;\n"))
            done = subprocess.run([str(uw.UASWATCHD), "-c", str(other), "--check-config"],
                                  capture_output=True, check=False, timeout=20)
            assert (done.returncode, done.stdout.decode()) == (0, f"{other}: OK\n"), done.stderr
            lines = done.stderr.decode().splitlines()
            assert len(lines) == (below and line is not None), (text, lines)
            assert not lines or (lines[0].startswith(f"warning: {other}:{line}: ") and said in lines[0]), lines
    assert at % "915.0" in uw.run("replay", path).stderr.decode()
    assert not uw.run("replay", uw.synth(tmp_path, uw.elrs(duration=1), "good")).stderr


def test_command_line():
    for args, status in (["--help"], 0), (["--version"], 0), (["--nonsense"], 2), (["x"], 2), \
            (["-c", "/nonexistent/uaswatch.conf"], 1):
        done = subprocess.run([str(uw.UASWATCHD), *args], capture_output=True, check=False,
                              timeout=20)
        assert done.returncode == status, args
        assert bool(done.stdout) == (status == 0)
    assert b"/nonexistent/uaswatch.conf" in done.stderr


def messages_of(feed):
    """Without what it says on standard error when nothing comes for a while, as between two runs."""
    return uw.parse("\n".join(line for line in feed.text().splitlines()
                              if not line.startswith("warning: nothing from ")))


def test_everybody_at_once(conf, endpoint, start):
    daemon = start(uw.UASWATCHD, "-c", conf)
    watch = start(uw.UASWATCH, "watch", "--plain", "--endpoint", endpoint)
    feed = start(uw.UASWATCH, "feed", "--endpoint", endpoint)
    python = start(sys.executable, "-u", uw.SOURCE / "examples/subscribe.py", endpoint)
    watch.wait_for("DRONE", 20)
    watch.wait_for("ExpressLRS")
    feed.wait_for('"type":"alert"')
    python.wait_for("ExpressLRS")

    late = start(uw.UASWATCH, "feed", "v1.alert.", "--endpoint", endpoint)
    late.wait_for('"type":"alert"', 3)  # history for who comes late
    other = start(uw.UASWATCH, "watch", "--plain", "--endpoint", endpoint)
    other.wait_for("1 DRONE LINK", 5)

    status, seconds = daemon.stop()
    stopped = time.monotonic()
    assert status == 0, daemon.text()
    assert seconds < 1.0
    watch.wait_for("NO DATA", 3.2 - (time.monotonic() - stopped))
    assert "the system may be deaf" in watch.text()

    since = len(watch.text())
    start(uw.UASWATCHD, "-c", conf)
    watch.wait_for("DATA      from the node again", 10, since)
    watch.wait_for("DRONE     ", 20, since)

    for process in watch, feed, late:
        status, _ = process.stop(signal.SIGINT)
        assert status == 0
    seq = {}
    for m in messages_of(feed):
        assert not list(uw.validator(m["type"]).iter_errors(m)), m
        key = m["type"], m["run"]
        assert m["seq"] <= seq.get(key, m["seq"] - 1) + 1, "a gap"
        seq[key] = max(m["seq"], seq.get(key, 0))
    assert {"detection", "track", "alert", "health"} <= {k for k, _ in seq}
    assert len({run for _, run in seq}) == 2  # before and after the restart
    assert {m["type"] for m in messages_of(late)} == {"alert"}


def test_health_says_what_is_heard(conf, endpoint, start):
    start(uw.UASWATCHD, "-c", conf)
    feed = start(uw.UASWATCH, "feed", "v1.health.", "--endpoint", endpoint)
    time.sleep(3.5)
    feed.stop(signal.SIGINT)
    health = uw.parse(feed.text())
    assert 3 <= len(health) <= 6
    assert [r["receiver"] for r in health[-1]["receivers"]] == ["mast"]
    assert health[-1]["receivers"][0]["state"] == "ok"


def test_feed_of_a_replay(sample, endpoint, start, tmp_path):
    """What replay publishes is what it prints, and nothing is missing at the end."""
    feed = start(uw.UASWATCH, "feed", "--endpoint", endpoint)
    replay = start(uw.UASWATCH, "replay", "--json", "--realtime", "--feed=" + endpoint, sample)
    assert replay.process.wait(20) == 0
    time.sleep(0.3)
    feed.stop(signal.SIGINT)
    heard = [line for line in feed.text().splitlines() if '"type":"health"' not in line]
    printed = replay.text().splitlines()[:-1]
    assert uw.raised(uw.parse("\n".join(heard)))
    first = heard[0]
    assert first in printed[:3]  # it takes a moment to connect
    assert heard == printed[printed.index(first):]


def test_bad_configurations_do_not_start(conf, tmp_path):
    for old, new, words in [('"loop"', '"loup"', "bad.conf:"), ("path =", "puth =", "puth"),
                            (".sigmf-meta", ".sigmf-mata", "sample.sigmf-mata"),
                            ("ipc://", "nonsense://", "nonsense")]:
        bad = tmp_path / "bad.conf"
        bad.write_text(conf.read_text().replace(old, new))
        done = subprocess.run([str(uw.UASWATCHD), "-c", str(bad)], capture_output=True,
                              check=False, timeout=20)
        assert done.returncode == 1, (new, done.stderr)
        assert words in done.stderr.decode()


def test_feed_of_nobody(tmp_path):
    done = uw.run("feed", "--endpoint", "ipc://%s" % (tmp_path / "none"), "--timeout", "1", status=3)
    assert done.stdout == b"" and len(done.stderr.decode().splitlines()) == 1


def test_refuses_the_outside(conf, tmp_path):
    """Without keys only this machine may listen."""
    bad = tmp_path / "bad.conf"
    bad.write_text(re.sub("ipc://[^\"]*", "tcp://0.0.0.0:5599", conf.read_text()))
    done = subprocess.run([str(uw.UASWATCHD), "-c", str(bad)], capture_output=True, check=False,
                          timeout=20)
    assert done.returncode in (1, 4)
    assert b"0.0.0.0" in done.stderr
