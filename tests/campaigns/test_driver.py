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
import detection  # noqa: E402
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
    with tempfile.TemporaryDirectory() as name:
        test_goes_on_after_a_stop(pathlib.Path(name))
