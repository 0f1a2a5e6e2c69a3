# SPDX-License-Identifier: GPL-3.0-or-later
"""Receivers that are sent about: uaswatch plan, a walk on a dongle, a plan made again when one dies."""
import json
import os
import subprocess
import time

import pytest
import uw

STANDIN = os.environ.get("UW_STANDIN_DIR")
CONF = """
site = "arena";
node = "roof";
region = "EU868";
feed = {{ enabled = true; endpoint = "{endpoint}"; }};
signatures = {{ directory = "{signatures}"; enabled = [ "expresslrs-900" ]; }};
# Where receivers go is asked here, not how weak a link may be: a fifth of the load, and fewer losses.
below_noise = false;
receivers = ( {receivers} );
"""
DONGLE = '{{ name = "{name}"; type = "rtlsdr"; device = "{name}"; rate_hz = 2.4e6; {more} }}'
needs_dongles = pytest.mark.skipif(not STANDIN, reason="built without librtlsdr")


def plan(*args, status=0):
    done = uw.run("plan", *args, status=status)
    return done.stdout.decode() if status == 0 else done.stderr.decode()


def test_plan_for_people():
    text = plan("--region", "FCC", "--dongles", "4")
    assert "dongle4" in text and "FCC915" in text and "EU868" not in text
    assert "BLIND: no receiver can be tuned there" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_plan_for_programs():
    p = json.loads(plan("--region", "EU", "--dongles", "1", "--json"))
    stops = p["receivers"][0]["stops"]
    assert len(stops) == 2 and stops[0]["centre_hz"] < 500e6 < stops[1]["centre_hz"]
    by_name = {(x.get("domain"), x["variant"]): x for x in p["links"]}
    slow, fast = by_name["EU868", "25Hz"], by_name["EU868", "200Hz"]
    assert slow["state"] == "covered" and slow["receivers"] == ["dongle1"]
    assert 0 < fast["detection_mean_s"] < fast["alert_mean_s"] < fast["alert_worst_s"] < 2
    assert fast["alert_worst_s"] < slow["alert_worst_s"] < 5
    blind = by_name["ISM2G4", "250Hz"]
    assert blind["state"] == "unreachable" and blind["alert_mean_s"] is None
    two = json.loads(plan("--region", "EU", "--dongles", "2", "--json"))
    assert [len(r["stops"]) for r in two["receivers"]] == [1, 1]


def test_plan_mistakes():
    assert "region" in plan("--region", "eu", status=1)
    assert "1 to 16" in plan("--dongles", "17", status=2)
    assert "250k" in plan("--rate", "5", status=2)


def test_plan_of_a_configuration(tmp_path):
    conf = tmp_path / "uaswatch.conf"
    receivers = ", ".join([DONGLE.format(name="a", more='plan = "auto";'),
                           DONGLE.format(name="b", more="centres_hz = [ 866.0e6, 868.0e6 ];")])
    conf.write_text(CONF.format(endpoint="ipc:///tmp/x", receivers=receivers,
                                signatures=uw.SOURCE / "config" / "signatures"))
    p = json.loads(plan("-c", conf, "--json"))
    assert p["region"] == "EU868"
    assert [r["planned"] for r in p["receivers"]] == [True, False]
    assert [s["centre_hz"] for s in p["receivers"][1]["stops"]] == [866e6, 868e6]
    assert {x["domain"] for x in p["links"]} == {"EU868"}


@pytest.fixture(scope="module")
def air(tmp_path_factory):
    """Wider than a dongle, and exactly one hop sequence long: it can be heard over and over."""
    receiver = uw.receiver(rate=5.0e6, freq=867.4e6, ppm=0.0)
    text = uw.elrs(duration=247 * 0.02, domain="EU868", snr=15.0, receivers=[receiver])
    meta = uw.synth(tmp_path_factory.mktemp("iq"), text.replace("ppm = 4.0", "ppm = 0.0"))
    return f"{meta.with_suffix('.sigmf-data')}:cu8:5000000:867400000"


class Place:
    def __init__(self, directory, air, receivers):
        self.directory = directory
        self.endpoint = "ipc://%s" % (directory / "feed")
        self.script = directory / "script"
        self.script.touch()
        self.conf = directory / "uaswatch.conf"
        self.conf.write_text(CONF.format(endpoint=self.endpoint, receivers=", ".join(receivers),
                                         signatures=uw.SOURCE / "config" / "signatures"))
        env = {**os.environ, "LD_LIBRARY_PATH": STANDIN, "UW_STANDIN_AIR": air,
               "UW_STANDIN_DEVICES": "north,south", "UW_STANDIN_SCRIPT": str(self.script)}
        self.daemon = uw.Process([uw.UASWATCHD, "-c", self.conf], directory / "daemon.txt", env)
        self.feed = uw.Process([uw.UASWATCH, "feed", "--endpoint", self.endpoint],
                               directory / "feed.txt", env)

    def say(self, what):
        with self.script.open("a") as f:
            f.write(f"now 0 {what}\n")

    def messages(self):
        return [json.loads(line) for line in self.feed.text().splitlines(keepends=True)
                if line.endswith("\n")]

    def wait(self, what, matches, timeout, since=0):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for number, m in enumerate(self.messages()[since:], since):
                if matches(m):
                    return m, number + 1
            time.sleep(0.02)
        raise AssertionError(f"{what} not seen within {timeout} s:\n{self.feed.text()[-3000:]}"
                             f"\n{self.daemon.text()[-2000:]}")

    def keeps_up(self):
        """Whether this computer did: if not, samples were dropped, or the stand-in had no time to give
        them, and a link may fall apart."""
        health = [m for m in self.messages() if m["type"] == "health"]
        return not any(r.get("problem") == "losing" for m in health for r in m["receivers"]) and \
            sum(r.get("dropped_samples", 0) for r in health[-1]["receivers"]) == 0

    def stop(self):
        self.daemon.stop()
        self.feed.kill()


def alert(kind, event):
    return lambda m: m["type"] == "alert" and m["kind"] == kind and m["event"] == event


def listens(**where):
    def matches(m):
        return m["type"] == "health" and all(
            r["state"] != "lost" and abs(r.get("freq_hz", 0) - where[r["receiver"]]) < 1e3
            for r in m["receivers"] if r["receiver"] in where)
    return matches


@needs_dongles
def test_one_link_over_a_walk(tmp_path, air):
    place = Place(tmp_path, air, [DONGLE.format(
        name="north", more="centres_hz = [ 866.3e6, 868.5e6 ]; dwell_s = 0.4;")])
    try:
        raised, at = place.wait("the drone", alert("uas", "raised"), 10)
        time.sleep(5)
        tracks = {m["track"] for m in place.messages()
                  if m["type"] == "track" and m["family"] == "expresslrs"}
        heard = [m for m in place.messages()
                 if m["type"] == "detection" and m["family"] == "expresslrs"]
        assert tracks == {raised["track"]} or not place.keeps_up()
        assert {round(d["tuning"]["centre_hz"] / 1e5) for d in heard} == {8663, 8685}
        # half the band, and half of a channel that its edge cuts
        assert all(abs(d["freq_hz"] - d["tuning"]["centre_hz"]) < 1.45e6 for d in heard)
        assert {d["domain"] for d in heard if "domain" in d} == {"EU868"}
        # a band that is walked past is not blind
        assert not [m for m in place.messages() if alert("coverage", "raised")(m)]
    finally:
        place.stop()


@needs_dongles
def test_a_band_goes_blind(tmp_path, air):
    """Nobody else can listen there: that is an alert of its own, and it ends by itself."""
    place = Place(tmp_path, air, [DONGLE.format(name="north", more="freq_hz = 866.3e6;"),
                                  DONGLE.format(name="south", more="freq_hz = 433.8e6;")])
    try:
        _, at = place.wait("both well", lambda m: m["type"] == "health" and all(
            r["state"] == "ok" for r in m["receivers"]), 10)
        assert not [m for m in place.messages() if alert("coverage", "raised")(m)]
        place.say("unplug")
        blind, at = place.wait("the band in health", lambda m: m["type"] == "health" and any(
            "EU868" in b["band"] for b in m.get("blind", [])), 3, at)
        told, at = place.wait("the blind band", alert("coverage", "raised"), 9, at)
        assert "EU868" in told["band"] and told["advice"] and told["severity"] != "info"
        place.say("plug")
        place.wait("the end", lambda m: m["type"] == "alert" and m["alert"] == told["alert"]
                   and m["event"] == "cleared", 20, at)
    finally:
        place.stop()


@needs_dongles
def test_plan_is_made_again(tmp_path, air):
    place = Place(tmp_path, air, [DONGLE.format(name=n, more='plan = "auto";')
                                  for n in ("north", "south")])
    try:
        first = json.loads(plan("-c", place.conf, "--json"))
        one, other = (r["stops"][0]["centre_hz"] for r in first["receivers"])
        assert one != other
        _, at = place.wait("both at their places", listens(north=one, south=other), 10)
        place.wait("the drone", alert("uas", "raised"), 10)
        place.say("unplug")
        _, at = place.wait("the loss", alert("receiver", "raised"), 5, at)
        _, at = place.wait("the other in its place", listens(south=one), 5, at)
        place.say("plug")
        place.wait("both again", listens(north=one, south=other), 15, at)
        # whoever joins late hears again what was raised before
        raised = {m["alert"] for m in place.messages() if alert("uas", "raised")(m)}
        assert len(raised) == 1 or not place.keeps_up()
    finally:
        place.stop()
