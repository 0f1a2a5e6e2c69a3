# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark runs and says everything it promises; how fast anything is gates nothing."""
import pytest
import uw

FIXED = ["fft", "convert", "transform", "floor", "front"]


@pytest.fixture(scope="module")
def result():
    lines = uw.parse(uw.run("bench", "--quick", "--json").stdout)
    assert len(lines) == 1
    return lines[0]


def check_spread(spread):
    assert set(spread) == {"median", "min", "max"}
    assert 0 < spread["min"] <= spread["median"] <= spread["max"]


def test_head(result):
    assert result["type"] == "bench"
    assert result["quick"] is True
    assert result["repetitions"] == 1
    assert result["version"] and result["processor"]
    assert result["kernels"] in ("x86-64-v4", "x86-64-v3", "plain")
    assert result["core"] >= 0


def test_inputs_and_stages(result):
    names = [(i["freq_hz"], i["rate_hz"], i["busy"]) for i in result["inputs"]]
    assert names == [(f, r, b) for f, r in ((915.0e6, 2.4e6), (866.4e6, 2.4e6), (2440.0e6, 10.0e6))
                     for b in (False, True)]
    signatures = [s["signature"] for s in uw.parse(uw.run("signatures", "--json").stdout)]
    for given in result["inputs"]:
        assert 0 < given["hop"] < given["n_fft"]
        assert given["samples"] > 0
        stages = {s["stage"]: s for s in given["stages"]}
        assert list(stages) == FIXED + sorted("detector:" + s for s in signatures) + \
            ["detector", "chain", "detector+below", "chain+below"]
        for stage in stages.values():
            check_spread(stage["msps"])
            check_spread(stage["cpu_msps"])
            check_spread(stage["of_fft"])
        assert stages["fft"]["of_fft"]["median"] == pytest.approx(1.0)
        if not given["busy"]:
            assert given["alerts"] == 0


def test_memory_and_cores(result):
    assert [m["input"] for m in result["memory"]] == ["noise-915", "noise-2440"]
    for memory in result["memory"]:
        assert memory["receiver_mib"] == pytest.approx(memory["two_mib"] - memory["one_mib"],
                                                       abs=1e-3)
        assert memory["one_mib"] + memory["receiver_mib"] == pytest.approx(memory["two_mib"],
                                                                           abs=1e-3)
        # a receiver keeps half a second of spectra; a process that ran has at least that
        assert 5 < memory["one_mib"] < memory["two_mib"]
    if "two_cores" in result:
        assert len(set(result["two_cores"]["cores"])) == 2
        check_spread(result["two_cores"]["one_msps"])
        check_spread(result["two_cores"]["two_msps"])
    assert "latency" not in result


def test_table():
    done = uw.run("bench", "--quick", "--input", "noise-915").stdout.decode()
    for word in FIXED + ["detector", "chain", "MiB a receiver", "of FFT"]:
        assert word in done
    assert "busy-915" not in done
    assert "kernels for " in done.splitlines()[0]
    assert max(map(len, done.splitlines())) <= 110


@pytest.mark.parametrize("args, words", [
    (["--core", "100000"], "--core"),
    (["--repeat", "0"], "--repeat"),
    (["--seconds", "nan"], "--seconds"),
    (["--input", "noise-916"], "noise-915"),
    (["x"], "no arguments"),
])
def test_mistakes(args, words):
    done = uw.run("bench", *args, status=2)
    assert done.stdout == b""
    assert words in done.stderr.decode()
    assert len(done.stderr.decode().splitlines()) == 1
