# SPDX-License-Identifier: GPL-3.0-or-later
"""A made recording goes in, the alert that belongs to it comes out, in every form."""
import json
import shutil

import pytest
import uw


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return uw.synth(tmp_path_factory.mktemp("iq"), uw.elrs(duration=3))


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    text = uw.elrs(duration=1).split("emitters")[0] + "emitters = ();\n"
    return uw.synth(tmp_path_factory.mktemp("noise"), text)


def test_alert_names_the_link(sample):
    messages, summary = uw.replay(sample)
    alerts = uw.raised(messages)
    assert len(alerts) == 1
    assert alerts[0]["family"] == "expresslrs"
    assert alerts[0]["signature"] == "expresslrs-900"
    assert alerts[0]["variant"] == "200Hz"
    assert "ExpressLRS" in alerts[0]["headline"]
    assert summary["alerts"] == 1 and summary["dropped"] == 0
    confirmed = {t["track"] for t in uw.of_type(messages, "track") if t["state"] == "confirmed"}
    assert confirmed == {alerts[0]["track"]}
    assert summary["seconds"] == pytest.approx(3.0, abs=0.01)
    assert summary["samples"] == 7200000
    assert summary["realtime_factor"] == pytest.approx(summary["seconds"] / summary["wall_s"],
                                                       rel=0.01)
    detections = uw.of_type(messages, "detection")
    assert summary["detections"] == len(detections) > 3
    named = [d for d in detections if d.get("domain")]
    assert named and all(d["domain"] == "FCC915" for d in named)


def test_messages_keep_the_contract(sample):
    messages, _ = uw.replay(sample, "--run", "fixed")
    seq = {}
    for m in messages:
        errors = list(uw.validator(m["type"]).iter_errors(m))
        assert not errors, (m, errors)
        assert m["run"] == "fixed"
        assert m["seq"] == seq.get(m["type"], 0) + 1
        seq[m["type"]] = m["seq"]
    times = [m["time"] for m in messages]
    assert times == sorted(times)
    assert uw.of_type(messages, "alert")[-1]["state"] == "ended"


def test_schema_check_can_fail(sample):
    messages, _ = uw.replay(sample)
    broken = dict(uw.raised(messages)[0], severity="tremendous")
    assert list(uw.validator("alert").iter_errors(broken))


def test_for_people(sample):
    text = uw.run("replay", sample).stdout.decode()
    lines = text.splitlines()
    assert any("ALERT: " in line and "expresslrs-900" in line and "200Hz" in line
               and "FCC915" in line for line in lines)
    assert "1 alert" in lines[-1] and "times real time" in lines[-1]
    assert "\033" not in text
    assert len(lines) < 15


def test_nothing_there(noise):
    text = uw.run("replay", noise).stdout.decode()
    assert "No alert. Nothing that is known was heard." in text
    messages, summary = uw.replay(noise)
    assert messages == [] and summary["alerts"] == 0


def test_only_some_signatures(sample):
    messages, summary = uw.replay(sample, "--signature", "dji-droneid,lorawan")
    assert summary["alerts"] == 0
    assert not [m for m in messages if m.get("family") == "expresslrs"]
    done = uw.run("replay", "--signature", "no-such-link", sample, status=1)
    assert b"no-such-link" in done.stderr and done.stdout == b""


def test_raw_file_and_standard_input(sample, tmp_path):
    data = sample.with_suffix(".sigmf-data")
    raw = tmp_path / "x_915M_2400k.cu8"
    shutil.copy(data, raw)
    by_name, _ = uw.replay(raw, "--run", "r")
    options = ["--format", "cu8", "--rate", "2.4M", "--freq", "915M"]
    plain = tmp_path / "plain"
    shutil.copy(data, plain)
    by_option, _ = uw.replay("rx=" + str(plain), *options, "--run", "r")
    with raw.open("rb") as f:
        piped, _ = uw.replay("rx=-", *options, "--run", "r", stdin=f)
    assert uw.raised(by_name) and by_option == piped
    assert uw.raised(by_option)[0]["time"] == uw.raised(by_name)[0]["time"]


def test_without_frequency(sample, tmp_path):
    plain = tmp_path / "plain"
    shutil.copy(sample.with_suffix(".sigmf-data"), plain)
    messages, _ = uw.replay(plain, "--format", "cu8", "--rate", "2.4e6")
    alerts = uw.raised(messages)
    assert [a["family"] for a in alerts] == ["expresslrs"]
    assert all("centre_hz" not in m.get("tuning", {}) for m in messages)


def test_start(sample, tmp_path):
    plain = tmp_path / "x_915M_2400k.cu8"
    shutil.copy(sample.with_suffix(".sigmf-data"), plain)
    messages, _ = uw.replay(plain, "--start", "2026-05-01T18:00:00+02:00")
    assert all(m["time"].startswith("2026-05-01T16:00:0") for m in messages)
    messages, _ = uw.replay(plain)
    assert all(m["time"].startswith("1970-01-01T00:00:0") for m in messages)


def test_each(sample, noise, tmp_path):
    missing = tmp_path / "missing.sigmf-meta"
    done = uw.run("replay", "--json", "--each", "--run", "r", noise, missing, sample, status=1)
    lines = uw.parse(done.stdout)
    assert done.stderr.decode().count("\n") == 1 and "missing.sigmf-meta" in done.stderr.decode()
    recordings = [m for m in lines if m["type"] == "recording"]
    assert [(r["recording"], r["alerts"]) for r in recordings] == [(str(noise), 0),
                                                                   (str(sample), 1)]
    assert lines[-1]["type"] == "summary" and lines[-1]["alerts"] == 1
    alerts = uw.raised(lines)
    assert len(alerts) == 1 and alerts[0]["run"] == "r-3"


def test_two_receivers(tmp_path):
    scenario = uw.elrs(duration=3, receivers=[uw.receiver("north"),
                                              uw.receiver("south", freq=915.2e6, ppm=-9.0)])
    uw.synth(tmp_path, scenario, "site")
    messages, summary = uw.replay("north=%s" % (tmp_path / "site-north.sigmf-meta"),
                                  "south=%s" % (tmp_path / "site-south.sigmf-meta"))
    assert {d["receiver"] for d in uw.of_type(messages, "detection")} == {"north", "south"}
    assert summary["alerts"] == 1 and summary["samples"] == 2 * 7200000
    track = [t for t in uw.of_type(messages, "track")
             if t["track"] == uw.raised(messages)[0]["track"]][-1]
    assert sorted(track["receivers"]) == ["north", "south"]


def test_config_file(sample, tmp_path):
    conf = tmp_path / "some.conf"
    conf.write_text('site = "arena";\nnode = "roof";\n')
    messages, _ = uw.replay("--config", conf, "--exercise", sample)
    assert all(m["site"] == "arena" and m["node"] == "roof" for m in messages)
    assert all(m["exercise"] is True for m in messages)


def test_annotations(sample, tmp_path):
    out = tmp_path / "marked.sigmf-meta"
    messages, summary = uw.replay(sample, "--annotate", out)
    meta = json.loads(out.read_text())
    annotations = meta["annotations"]
    assert len(annotations) == summary["detections"]
    assert annotations == sorted(annotations, key=lambda a: a["core:sample_start"])
    for a in annotations:
        assert 0 <= a["core:sample_start"] < summary["samples"]
        assert 913.8e6 <= a["core:freq_lower_edge"] < a["core:freq_upper_edge"] <= 916.2e6


def test_spectrogram(sample, tmp_path):
    out = tmp_path / "picture.png"
    uw.replay(sample, "--spectrogram", out)
    width, height, pixels = uw.png(out)
    assert width >= 400 and height >= 200
    assert len(set(pixels[len(pixels) // 3:len(pixels) // 2])) > 20  # not all of one colour


def test_pictures_of_nowhere(sample, tmp_path):
    for option in "--annotate", "--spectrogram":
        done = uw.run("replay", sample, option, tmp_path / "no" / "where.png", status=1)
        assert b"where" in done.stderr


def test_silent_loss_at_one_of_two_receivers(tmp_path):
    """The shipped scenario: one receiver's samples are missing without a word, the other hears on."""
    scenario = uw.SOURCE / "config" / "scenarios" / "two-receivers.conf"
    uw.run("synth", scenario, "-o", tmp_path / "site")
    messages, summary = uw.replay("north=" + str(tmp_path / "site-north.sigmf-meta"),
                                  "south=" + str(tmp_path / "site-south.sigmf-meta"))
    assert summary["alerts"] == 1
    links = [t for t in uw.of_type(messages, "track") if t["family"] == "expresslrs"]
    assert {t["track"] for t in links} == {uw.raised(messages)[0]["track"]}
    assert links[-1]["receivers"] == ["north", "south"]
