# SPDX-License-Identifier: GPL-3.0-or-later
"""
Real recordings of others, which are not part of the project: found through UW_IQ_DIR, or beside the
checkout. None of them was used to fit a constant.
"""
import json
import re

import pytest
import uw

pytestmark = pytest.mark.skipif(not (uw.IQ / "INDEX.md").is_file(),
                                reason="the recordings are not there (UW_IQ_DIR)")
DRONEID = "dji-droneid-mavic-air-2"


def index():
    """name -> the truth, from the table of INDEX.md."""
    rows = {}
    if (uw.IQ / "INDEX.md").is_file():
        for line in (uw.IQ / "INDEX.md").read_text().splitlines():
            cells = [c.strip() for c in line.split("|")]
            if len(cells) > 8 and (uw.IQ / (cells[1] + ".sigmf-meta")).is_file():
                rows[cells[1]] = cells[6]
    return rows


def test_there_are_some():
    assert len(index()) > 5 and DRONEID in index()


def bursts(annotations, rate):
    """Start in ms and centre in MHz of each burst, as annotated."""
    return [(a["core:sample_start"] / rate * 1e3,
             (a["core:freq_lower_edge"] + a["core:freq_upper_edge"]) / 2e6) for a in annotations]


def test_droneid(tmp_path):
    meta = uw.IQ / (DRONEID + ".sigmf-meta")
    rate = json.loads(meta.read_text())["global"]["core:sample_rate"]
    truth = index()[DRONEID]
    starts = [float(x) for x in re.search(r"4 bursts at ([0-9. ]+) ms", truth)[1].split()]
    offsets = [float(x) for x in re.search(r"offsets ([+-][0-9.]+) and ([+-][0-9.]+) MHz",
                                           truth).groups()]
    out = tmp_path / "marked.sigmf-meta"
    messages, summary = uw.replay(meta, "--annotate", out)
    alerts = uw.raised(messages)
    assert [a["family"] for a in alerts] == ["dji-droneid"]
    assert summary["alerts"] == 1
    found = bursts(json.loads(out.read_text())["annotations"], rate)
    assert len(found) == len(starts) == 4
    for (start, centre), wanted in zip(sorted(found), starts):
        assert abs(start - wanted) <= 0.05, (found, starts)
        assert min(abs(centre - o) for o in offsets) <= 0.1, (found, offsets)
    assert all(any(abs(c - o) <= 0.1 for _, c in found) for o in offsets)


def test_droneid_picture(tmp_path):
    out = tmp_path / "picture.png"
    uw.replay(uw.IQ / (DRONEID + ".sigmf-meta"), "--spectrogram", out)
    width, height, _ = uw.png(out)
    assert width >= 400 and height >= 200


def test_no_alert_elsewhere():
    names = [n for n, truth in index().items() if truth.startswith("no alert")]
    assert len(names) > 40 or len(names) == len(index()) - 1
    lines = uw.parse(uw.run("replay", "--json", "--each",
                            *[uw.IQ / (n + ".sigmf-meta") for n in names]).stdout)
    recordings = [m for m in lines if m["type"] == "recording"]
    assert len(recordings) == len(names)
    assert [r["recording"] for r in recordings if r["alerts"]] == []
    drones = [m for m in uw.of_type(lines, "track") if m["state"] == "confirmed" and m.get("drone")]
    assert drones == []
