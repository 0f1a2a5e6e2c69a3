# SPDX-License-Identifier: GPL-3.0-or-later
"""A control link of unknown make: one advisory alert that says what is known; none when it is off."""
import pathlib
import re

import pytest
import uw

TABLE = pathlib.Path(__file__).resolve().parents[2] / "src" / "sig" / "confidence.c"

HOPPER = """{ link = "fsk"; raster = { first_hz = 910.1e6; step_hz = 200e3; n = 50; };
    hop = "random"; baud = 85e3; deviation_hz = 42.5e3; bt = 0.5; burst_s = 2.9e-3;
    interval_s = 6.6667e-3; snr_db = 8.0; ppm = -12.0; }"""


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    text = uw.elrs(duration=6).split("emitters")[0] + f"emitters = ( {HOPPER} );\n"
    return uw.synth(tmp_path_factory.mktemp("iq"), text)


def test_one_alert_says_what_is_known(sample):
    messages, summary = uw.replay(sample)
    for m in messages:
        errors = list(uw.validator(m["type"]).iter_errors(m))
        assert not errors, (m, errors)
    alerts = uw.raised(messages)
    assert len(alerts) == 1 and summary["alerts"] == 1
    assert alerts[0]["family"] == alerts[0]["signature"] == "unknown-fhss"
    assert alerts[0]["severity"] == "advisory"
    assert "variant" not in alerts[0] and "domain" not in alerts[0]
    assert "unknown" in alerts[0]["headline"] and "Drone" not in alerts[0]["headline"]
    detections = uw.of_type(messages, "detection")
    assert detections and all(d["family"] == "unknown-fhss" for d in detections)
    counted = re.search(r"#define MOST_UNNAMED (\S+)", TABLE.read_text())
    assert all(0.9 < d["confidence"] <= float(counted[1]) for d in detections)  # no surer than that
    evidence = detections[-1]["evidence"]
    assert evidence["hop_interval_s"] == pytest.approx(6.6667e-3, rel=1e-3)
    assert evidence["airtime_s"] == pytest.approx(2.9e-3, abs=0.3e-3)
    assert evidence["channel_spacing_hz"] == pytest.approx(200e3, rel=0.01)
    assert evidence["channels"] >= 8
    assert evidence["channels_visible"] >= evidence["channels"]


def test_it_can_be_left_out(sample, tmp_path):
    config = tmp_path / "uaswatch.conf"
    config.write_text('signatures = { enabled = [ "expresslrs-900", "lora" ]; };\n')
    messages, summary = uw.replay("--config", str(config), sample)
    assert summary["alerts"] == 0
    assert not [d for d in uw.of_type(messages, "detection") if d["family"] == "unknown-fhss"]
