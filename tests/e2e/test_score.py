# SPDX-License-Identifier: GPL-3.0-or-later
"""synth -> replay -> score: the figures, several runs, what is refused."""
import json

import pytest
import uw


@pytest.fixture(scope="module")
def strong(tmp_path_factory):
    """A link that must be found, among sensors; truth and results."""
    directory = tmp_path_factory.mktemp("strong")
    meta = uw.synth(directory, uw.elrs(duration=3, seed=5, snr=12), "strong")
    results = directory / "strong.jsonl"
    results.write_bytes(uw.run("replay", "--json", meta).stdout)
    return meta, results


@pytest.fixture(scope="module")
def weak(tmp_path_factory):
    """A link that nobody could find."""
    directory = tmp_path_factory.mktemp("weak")
    meta = uw.synth(directory, uw.elrs(duration=1, seed=6, snr=-50), "weak")
    results = directory / "weak.jsonl"
    results.write_bytes(uw.run("replay", "--json", meta).stdout)
    return meta, results


def score(*args):
    return json.loads(uw.run("score", "--json", *args).stdout)


def test_found(strong):
    s = score(*strong)
    assert (s["runs"], s["seconds"], s["false_alerts"]) == (1, 3.0, 0)
    assert (s["drones"]["presented"], s["drones"]["detected"]) == (1, 1)
    assert s["drones"]["alerts"] == 1 and s["drones"]["extra_alerts"] == 0
    assert 0 < s["drones"]["detect_median_s"] <= s["drones"]["alert_median_s"] < 2
    assert s["false_alerts_per_hour_bound"] == pytest.approx(2.9957 * 3600 / 3, rel=1e-3)
    assert s["links"][0]["link"] == "expresslrs 200Hz FCC915"
    for field, word in ("family", "expresslrs"), ("variant", "200Hz"), ("domain", "FCC915"):
        assert s[field]["right"] == 1 and s[field]["wrong"] == 0
        assert s[field]["matrix"] == [{"truth": word, "said": word, "times": 1}]


def test_time_limit(strong):
    s = score("--within", "0.001", *strong)
    assert (s["drones"]["detected"], s["late"], s["false_alerts"]) == (0, 1, 0)


def test_missed_and_added(strong, weak):
    s = score(*weak)
    assert (s["drones"]["presented"], s["drones"]["detected"]) == (1, 0)
    assert "alert_median_s" not in s["drones"]
    assert s["family"]["matrix"] == [{"truth": "expresslrs", "said": "(no alert)", "times": 1}]
    s = score(*strong, *weak)
    assert (s["runs"], s["seconds"]) == (2, 4.0)
    assert (s["drones"]["presented"], s["drones"]["detected"]) == (2, 1)
    assert s["drones"]["pd"] == 0.5
    assert s["drones"]["pd_low"] == pytest.approx(0.0945, abs=1e-4)


def test_text(strong):
    text = uw.run("score", *strong).stdout.decode()
    assert "100.0 % (1 of 1)" in text and "Wilson" in text and "rule of three" in text
    assert "CWA 18150" in text
    with strong[1].open("rb") as f:
        assert uw.run("score", strong[0], "-", stdin=f).stdout.decode() == text


def test_directories(strong, weak, tmp_path):
    truth, results = tmp_path / "truth", tmp_path / "results"
    truth.mkdir()
    results.mkdir()
    for meta, lines in strong, weak:
        (truth / meta.name).write_bytes(meta.read_bytes())
        (results / lines.name).write_bytes(lines.read_bytes())
    assert score(truth, results) == score(*strong, *weak)
    (results / "weak.jsonl").unlink()
    done = uw.run("score", truth, results, status=1)
    assert b"weak.json" in done.stderr


def test_receivers_of_one_run(tmp_path):
    """Two receivers hear one drone: one presentation."""
    pair = [uw.receiver("east"), uw.receiver("west", ppm=-2)]
    uw.synth(tmp_path, uw.elrs(duration=2, receivers=pair), "two")
    results = tmp_path / "two.jsonl"
    results.write_bytes(uw.run("replay", "--json", *sorted(tmp_path.glob("*.sigmf-meta"))).stdout)
    s = score(tmp_path, results)
    assert (s["runs"], s["drones"]["presented"], s["drones"]["detected"]) == (1, 1, 1)
    assert s["false_alerts"] == 0


@pytest.mark.parametrize("args, words", [
    ([], "pairs"), (["a"], "pairs"), (["a", "b", "c"], "pairs"),
    (["--within", "soon", "a", "b"], "--within"),
])
def test_usage(args, words):
    done = uw.run("score", *args, status=2)
    assert done.stdout == b"" and words in done.stderr.decode()
    assert len(done.stderr.decode().splitlines()) == 1


def test_bad_input(strong, tmp_path):
    meta, results = strong
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(results.read_bytes().splitlines(keepends=True)[:-1]))
    plain = tmp_path / "plain.sigmf-meta"
    plain.write_text('{"global": {"core:sample_rate": 1e6}, "captures": [], "annotations": []}')
    for truth, said, words in [(meta, cut, "cut.jsonl: no summary"),
                               (meta, meta, "strong.sigmf-meta:1: "),
                               (plain, results, "plain.sigmf-meta: no truth"),
                               (results, results, "strong.jsonl:"),
                               (tmp_path / "none", results, "none"),
                               (meta, tmp_path / "none", "none"),
                               (tmp_path / "dir", results, "dir: no .sigmf-meta")]:
        (tmp_path / "dir").mkdir(exist_ok=True)
        done = uw.run("score", truth, said, status=1)
        assert done.stdout == b""
        assert len(done.stderr.decode().splitlines()) == 1
        assert words in done.stderr.decode()
