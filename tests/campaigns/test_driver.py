#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The campaign's own arithmetic: bounds against published figures, jobs, and going on after a stop."""
import json
import math
import pathlib
import random
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import bounds  # noqa: E402
import calibration  # noqa: E402
import detection  # noqa: E402
import reliability  # noqa: E402
import report  # noqa: E402


def test_detection_of_known_cases():
    # one look: the threshold is -ln of the false-alarm rate; without a signal nothing else happens
    assert abs(bounds.threshold(1, 1e-6) + math.log(1e-6)) < 1e-6
    assert abs(bounds.detection(1, -80, 1e-6) - 1e-6) < 1e-8
    # Skolnik, Introduction to Radar Systems, fig. 2.6: 13.2 dB for 90 % at 1e-6
    assert abs(bounds.detection(1, 13.2, 1e-6) - 0.9) < 0.01
    # Albersheim's formula holds to 0.2 dB for many looks
    a, b = math.log(0.62 / 1e-6), math.log(0.9 / 0.1)
    for n in 10, 100, 1000:
        snr = -5 * math.log10(n) + (6.2 + 4.54 / math.sqrt(n + 0.44)) * math.log10(
            a + 0.12 * a * b + 1.7 * b)
        assert bounds.detection(n, snr - 0.3, 1e-6) < 0.9 < bounds.detection(n, snr + 0.3, 1e-6)


def test_against_simulation():
    rng = random.Random(1)
    n, snr_db, limit = 8, 0.0, bounds.threshold(8, 0.01)
    amplitude = math.sqrt(2 * 10 ** (snr_db / 10))
    hits = sum(sum((rng.gauss(amplitude, 1) ** 2 + rng.gauss(0, 1) ** 2) / 2 for _ in range(n))
               > limit for _ in range(20000))
    low, high = bounds.wilson(hits, 20000)
    assert low - 0.003 < bounds.detection(n, snr_db, 0.01) < high + 0.003


def test_intervals():
    low, high = bounds.wilson(81, 263)  # Newcombe 1998, table I
    assert abs(low - 0.2553) < 5e-5 and abs(high - 0.3662) < 5e-5
    assert abs(bounds.poisson_upper(0) - 2.9957) < 1e-4
    assert abs(bounds.poisson_upper(4) - 9.1535) < 1e-4
    assert bounds.poisson_lower(0) == 0 and abs(bounds.poisson_lower(4) - 1.0899) < 1e-4  # Garwood


def test_chunks():
    assert detection.chunks([]) == []
    assert detection.chunks(range(1, 24)) == [[1, 10], [11, 20], [21, 23]]
    assert detection.chunks([1, 2, 5, 6, 9]) == [[1, 2], [5, 6], [9, 9]]


def test_points_are_spent_where_a_curve_bends():
    # 90 % at -10 dB, slope 1 dB: a curve of a detector
    def found(snr, n):
        return round(n / (1 + math.exp(-(snr + 10) / 0.5 - 2.2)))
    points, runs = {}, 0
    for _ in range(100):
        lack = detection.wanted_points(points, 100, 6, -26)
        if not lack:
            break
        for snr, seeds in lack:
            assert points.get(snr, (0, 0))[0] < seeds
            runs += seeds - points.get(snr, (0, 0))[0]
            points[snr] = seeds, found(snr, seeds)
    full = sorted(x for x, (n, _) in points.items() if n == 100)
    assert full == list(range(min(full), max(full) + 1))
    assert points[min(full)][1] <= 2 and points[max(full)][1] >= 94
    assert runs < 1000
    # nothing is ever detected, or everything: it ends
    for always in 0, 1:
        points = {}
        while lack := detection.wanted_points(points, 20, 6, 0):
            points.update({snr: (seeds, always * seeds) for snr, seeds in lack})
        assert points
    assert detection.spread_out(list(range(20)))[:3] == [0, 16, 8]
    assert sorted(detection.spread_out(list(range(-15, 51)))) == list(range(-15, 51))


def track(votes, aside=None, strangers=0, alerts=1):
    return {"votes": votes, "aside": aside or [0] * len(votes), "strangers": strangers,
            "alerts": alerts, "confirmed": alerts > 0}


def test_what_became_of_links():
    def of(n, *tracks):
        return report.outcome({"n": n, "alerts": sum(t["alerts"] for t in tracks),
                               "tracks": list(tracks)})
    first, second = track([9, 1]), track([0, 8], [1, 0], 2)
    assert of(2, first, second) == "right"
    assert of(2, first, second, track([0, 3], alerts=0)) == "right"
    assert of(2, first) == "missed"
    assert of(2, first, track([3, 0])) == "missed"
    assert of(2, track([9, 5])) == "merged"
    assert of(2, first, second, track([2, 0])) == "doubled"
    assert of(2, first, second, track([1, 0], [7, 0])) == "aside"
    assert of(2, first, second, track([0, 0], [1, 0], 6)) == "ghost"
    assert of(2, first, {**second, "alerts": 2}) == "ghost"


def test_curves():
    rows = [{"snr_db": 0, "pd": 1.0}, {"snr_db": -1, "pd": 0.95}, {"snr_db": -2, "pd": 0.45}]
    assert abs(report.crossing(rows, 0.9, "pd") + 1.1) < 1e-9
    assert report.crossing(rows, 0.2, "pd") is None
    assert report.ranges([-3, -2, 5]) == "-3 … -2, +5"
    assert abs(report.quantile([1, 2, 3, 4], 0.5) - 2.5) < 1e-9
    assert report.is_hopper("rc-250k-sf6") and not report.is_hopper("polled-sf7-500")


def test_reliability_counts_runs():
    def said(confidence, right, run, weight=1.0):
        return reliability.Said(confidence, right, run, "kind", weight)
    # four settings of one run are one run
    some = [said(0.9, run < 9, run) for run in range(10) for _ in range(4)]
    row, = reliability.rows(some + [said(0.2, False, 10)])[1:]
    assert (row.low, row.high, row.n, row.right, row.runs) == (0.85, 0.95, 40, 36, 10)
    assert abs(row.share - 0.9) < 1e-9 and row.wrong == {"kind": 4}
    low, high = bounds.wilson(9, 10)
    assert abs(row.bottom - low) < 1e-9 and abs(row.top - high) < 1e-9
    assert "36 of 40 right, in 10 runs; within" in reliability.verdict([row])
    # one run that has most of a bin tells little more than itself
    row, = reliability.rows(some + [said(0.9, True, 11)] * 400)
    assert row.runs == 11 and row.bottom < 0.4
    # a run that weighs half as much
    row, = reliability.rows([said(0.6, True, 1), said(0.6, False, 2, 0.5)])
    assert abs(row.share - 2 / 3) < 1e-9
    sure = reliability.rows([said(0.9, True, run) for run in range(200)])
    assert "; not within:" in reliability.verdict(sure) and "In 0 of 1" in reliability.verdict(sure)
    few = reliability.rows([said(0.9, True, run) for run in range(5)])
    assert "nor is that refuted" in reliability.verdict(few)
    assert reliability.verdict([]).startswith("Said to be 85–95 % sure: none")


def draws(law, n, seed):
    rng = random.Random(seed)
    score = [rng.gauss(1, 2) for _ in range(n)]
    return score, [float(rng.random() < 1 / (1 + math.exp(-law[0] - law[1] * s))) for s in score]


def test_laws():
    import numpy as np
    score, y = map(np.array, draws((1.5, 0.8), 20000, 1))
    at, slope = calibration.firth(score, y, np.ones(20000))
    assert abs(at - 1.5) < 0.1 and abs(slope - 0.8) < 0.06
    # none is wrong: finite, and about half of one more that was
    at, slope = calibration.firth(score[:100], np.ones(100), np.ones(100))
    wrong = (1 - 1 / (1 + np.exp(-at - slope * score[:100]))).sum()
    assert 0.2 < wrong < 1.5
    # what speaks the wrong way is not believed
    at, slope = calibration.firth(score, 1 - y, np.ones(20000))
    assert slope == 0 and abs(1 / (1 + math.exp(-at)) - (1 - y).mean()) < 1e-3
    # a weight is so many of the same
    few = calibration.firth(np.array([0.0, 1, 2]), np.array([0.0, 1, 1]), np.array([2.0, 1, 3]))
    many = calibration.firth(np.array([0.0, 0, 1, 2, 2, 2]), np.array([0.0, 0, 1, 1, 1, 1]), np.ones(6))
    assert np.allclose(few, many, atol=1e-4)


def test_tables_of_the_source():
    import numpy as np
    text = calibration.TABLE.read_text()
    intercept, weights = calibration.score_of()
    assert len(weights) == calibration.FEATURES and (weights >= 0).all() and intercept < 0
    laws = {"followed": (1.25, 0.5), "ruled": (2.5, 0.25), "most": 0.99}
    new = calibration.laws_table(laws, "1 to 2", "about", (8, 8))
    assert calibration.block(text, "laws").count("\n") == calibration.block(new, "laws").count("\n")
    assert "followed = {1.250, 0.500}" in new and "MOST_UNNAMED 0.9444" in new
    score = calibration.score_table((-1.0, np.arange(11)), [f"f{i}" for i in range(11)], "1", "about")
    again = calibration.score_of(text.replace(
        calibration.block(text, "score"), score[:score.index("/* score end")]))
    assert again[0] == -1.0 and (again[1] == np.arange(11)).all()


def test_mix():
    link = {"plan": "P", "rate": "R"}
    lines = [{**link, "impaired": i % 2} for i in range(20)] + [link] * 10
    lines += [{"scenario": "a", "seconds": 36.0, "level_db": level} for level in (-10, 30)]
    lines += [{"scenario": "b", "seconds": 36.0}]
    weights = calibration.weights_of(lines)
    assert weights[None] == 1 and abs(weights[0] - 1.6) < 1e-9 and abs(weights[1] - 0.2) < 1e-9
    hours = {s: w * 0.01 for s, w in weights.items() if isinstance(s, tuple)}
    assert abs(sum(hours.values()) - 30 / calibration.LINKS_PER_HOUR) < 1e-9
    assert abs(hours["a", True] / (hours["a", True] + hours["a", False]) - 1 / 3) < 1e-9
    assert abs(hours["b", False] - hours["a", True] - hours["a", False]) < 1e-9


def test_what_is_told_is_not_what_was_fitted():
    """Rounds of scores and rights drawn from one law are told rightly by each other's laws."""
    import numpy as np
    names = calibration.FEATURES
    score = 0.0, np.r_[1.0, np.zeros(names - 1)]
    lines = []
    for number in range(1, 5):
        x, y = draws((2.0, 1.0), 400, number)
        lines += [{"round": number, "job": str(i), "plan": "P", "rate": "R",
                   "samples": [[setting, right, 0.5, v, *[0] * (names - 1), int(setting >= 0)]
                               for setting in (-1, 0, 1, 2, 3)]}
                  for i, (v, right) in enumerate(zip(x, y))]
    for name, rows in calibration.judge(lines, score, False):
        if name.startswith("alerts"):
            assert sum(r.n for r in rows) == (6400 if "all" in name else 1600)
            assert all(r.bottom - 0.03 <= r.mean <= r.top + 0.03 for r in rows)
    # the worker's own word is judged as it is
    rows = next(calibration.judge(lines, score, True))[1]
    assert len(rows) == 1 and rows[0].mean == 0.5


def test_goes_on_after_a_stop(directory):
    worker = directory / "worker"
    worker.write_text("one")
    results = detection.Results(directory / "r", "pd", worker, False)
    results.add('{"seed":1}\n{"seed":2}\n')
    with results.path.open("a") as f:
        f.write('{"seed":3')  # killed while writing
    again = detection.Results(directory / "r", "pd", worker, False)
    assert [x["seed"] for x in again.lines] == [1, 2]
    again.add('{"seed":3}\n')
    text = again.path.read_text()
    assert [json.loads(x)["seed"] for x in text.splitlines()] == [1, 2, 3]
    worker.write_text("another build")
    try:
        detection.Results(directory / "r", "pd", worker, False)
    except SystemExit as e:
        assert "another build" in str(e)
    else:
        raise AssertionError("results of two builds were mixed")
    detection.Results(directory / "r", "pd", worker, True)


if __name__ == "__main__":
    test_detection_of_known_cases()
    test_against_simulation()
    test_intervals()
    test_chunks()
    test_points_are_spent_where_a_curve_bends()
    test_what_became_of_links()
    test_curves()
    test_reliability_counts_runs()
    test_laws()
    test_tables_of_the_source()
    test_mix()
    test_what_is_told_is_not_what_was_fitted()
    with tempfile.TemporaryDirectory() as name:
        test_goes_on_after_a_stop(pathlib.Path(name))
