# SPDX-License-Identifier: GPL-3.0-or-later
"""The error of an oscillator from recordings whose error is known."""
import json
import re

import numpy as np
import pytest
import uw

RATE = 1000000


def record(path, ppm, centre=868.0e6, emitter=868.3e6, seconds=2.0, snr_db=-10, am=0.0, fm_hz=0.0,
           second=None, drift_hz_s=0.0, on=1.0, seed=1):
    """What a receiver whose crystal is fast by ppm hears: its centre and its rate are both off."""
    rng = np.random.default_rng(seed)
    p = ppm * 1e-6
    n = int(seconds * RATE)
    t = np.arange(n) / (RATE * (1 + p))
    offset = emitter - centre * (1 + p)
    phase = 2 * np.pi * (offset * t + drift_hz_s * t * t / 2)
    if fm_hz:
        phase += fm_hz / 400 * np.sin(2 * np.pi * 400 * t)
    a = 0.1 * (1 + am * np.sin(2 * np.pi * 700 * t)) * ((t % 0.5) < 0.5 * on)
    x = a * np.exp(1j * phase)
    if second:
        x += 0.08 * np.exp(2j * np.pi * (second - centre * (1 + p)) * t)
    sigma = 0.1 * 10 ** (-snr_db / 20)
    x += sigma * (rng.standard_normal(n) + 1j * rng.standard_normal(n)) / np.sqrt(2)
    iq = np.column_stack([x.real, x.imag]).ravel() * 32767.5 / 4
    path.write_bytes(np.clip(np.round(iq), -32768, 32767).astype("<i2").tobytes())
    return ["-f", "ci16", "-r", RATE, "-q", centre, path]


@pytest.mark.parametrize("ppm", [-57.31, -1.0, 0.0, 0.4, 23.456, 98.7])
def test_measures(tmp_path, ppm):
    args = record(tmp_path / "x.bin", ppm)
    text = uw.run("calibrate", "--json", "--emitter-hz", "868.3M", *args).stdout
    got = json.loads(text)
    assert abs(got["ppm"] - ppm) < max(3 * got["error_ppm"] / 2, 1e-4)
    assert 0 < got["error_ppm"] < 0.01
    assert abs(got["snr_db"] + 10) < 1


def test_the_line_for_the_configuration(tmp_path):
    args = record(tmp_path / "x.bin", 12.5)
    text = uw.run("calibrate", "--emitter-hz", "868.3M", *args).stdout.decode()
    assert re.search(r"^    ppm = 12\.50;$", text, re.M) and "fast" in text and "+-" in text


def test_what_is_corrected_already_counts(tmp_path):
    # a crystal that is fast by 30 ppm in a receiver that corrects 20 of it
    rest = ((1 + 30e-6) / (1 + 20e-6) - 1) * 1e6
    args = record(tmp_path / "x.bin", rest)
    got = json.loads(uw.run("calibrate", "--json", "--ppm", "20", "--emitter-hz", "868.3M",
                            *args).stdout)
    assert abs(got["ppm"] - 30) < 0.005


@pytest.mark.parametrize("change, words", [
    (dict(snr_db=-60), "no line"),
    (dict(fm_hz=3000, snr_db=10), "refused"),
    (dict(second=868.31e6), "more than one line"),
    (dict(on=0.6), "not there all the time"),
    (dict(drift_hz_s=40, seconds=3), "refused"),
    (dict(seconds=0.5), "too little"),
    (dict(emitter=868.45e6), "no line"),
])
def test_refuses(tmp_path, change, words):
    args = record(tmp_path / "x.bin", 5, **change)
    done = uw.run("calibrate", "--emitter-hz", "868.3M", *args, status=1)
    assert done.stdout == b""
    assert words in done.stderr.decode()
    assert len(done.stderr.decode().splitlines()) == 1


def test_the_dongles_own_clock_is_no_emitter(tmp_path):
    """A harmonic of 28.8 MHz stands at 864.0 MHz whatever the error is."""
    args = record(tmp_path / "x.bin", 0, centre=863.9e6, emitter=864.0e6)
    done = uw.run("calibrate", "--emitter-hz", "864.01M", "--span-ppm", "40", *args, status=1)
    assert "no line" in done.stderr.decode()


def station(path, ppm, centre=947.2e6, channel=947.4e6, seconds=2.0, fcch=True, seed=1):
    """The broadcast channel of a base station, as a receiver whose crystal is fast by ppm hears it."""
    rng = np.random.default_rng(seed)
    p = ppm * 1e-6
    t = np.arange(int(seconds * RATE)) / (RATE * (1 + p))
    bit = (t * 1625e3 / 6).astype(int)
    signs = rng.choice((-1, 1), bit[-1] + 1)
    frame = 60e-3 / 13
    number = (t / frame).astype(int)
    tone = (number % 51 % 10 == 0) & (number % 51 < 50) & (t - number * frame < 148 / (1625e3 / 6))
    sign = np.where(tone & fcch, 1, signs[bit])
    phase = 2 * np.pi * np.cumsum(channel - centre * (1 + p) + sign * 1625e3 / 24) / (RATE * (1 + p))
    x = 0.1 * (np.exp(1j * phase) + (rng.standard_normal(len(t)) + 1j * rng.standard_normal(len(t)))
               / np.sqrt(2) * 10 ** (-7 / 20))
    iq = np.column_stack([x.real, x.imag]).ravel() * 127.5 / 0.5 + 127.5
    path.write_bytes(np.clip(np.round(iq), 0, 255).astype("u1").tobytes())
    return ["-f", "cu8", "-r", RATE, "-q", centre, path]


@pytest.mark.parametrize("ppm", [-71.0, 0.0, 33.3])
def test_base_station(tmp_path, ppm):
    args = station(tmp_path / "x.bin", ppm)
    got = json.loads(uw.run("calibrate", "--json", "--gsm", "--emitter-hz", "947.4M", *args).stdout)
    assert abs(got["ppm"] - ppm) < 2 * got["error_ppm"]
    assert 0.001 < got["error_ppm"] < 0.05
    assert 36 <= got["segments"] <= 46


def test_no_base_station(tmp_path):
    args = station(tmp_path / "x.bin", 5, fcch=False)
    done = uw.run("calibrate", "--gsm", "--emitter-hz", "947.4M", *args, status=1)
    assert "no frequency bursts" in done.stderr.decode()
    done = uw.run("calibrate", "--gsm", "--span-ppm", "150", "--emitter-hz", "947.4M", *args,
                  status=1)
    assert "next channel" in done.stderr.decode()


def test_out_of_reach(tmp_path):
    args = record(tmp_path / "x.bin", 0)
    done = uw.run("calibrate", "--emitter-hz", "869.3M", *args, status=1)
    assert "not within" in done.stderr.decode()


@pytest.mark.parametrize("args, words", [
    (["x"], "--emitter-hz"),
    (["--emitter-hz", "868M"], "one recording"),
    (["--emitter-hz", "868M", "x", "y"], "one recording"),
    (["--emitter-hz", "868M", "--device", "abacus:1"], "rtlsdr:SERIAL"),
    (["--emitter-hz", "868M", "-n", "mast"], "--config"),
    (["--emitter-hz", "nan", "x"], "--emitter-hz"),
])
def test_usage(args, words):
    done = uw.run("calibrate", *args, status=2)
    assert words in done.stderr.decode() and len(done.stderr.decode().splitlines()) == 1
