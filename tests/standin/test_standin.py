# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for librtlsdr is good enough for the programs that are made for the real one."""
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

STANDIN = os.environ["UW_STANDIN_DIR"]
REAL = "/usr/lib/x86_64-linux-gnu/librtlsdr.so.0"
pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("rtl_sdr", "rtl_test", "rtl_tcp"))),
                                reason="rtl-sdr's programs are not installed")


def environment(**more):
    return {**os.environ, "LD_LIBRARY_PATH": STANDIN,
            **{"UW_STANDIN_" + k: str(v) for k, v in more.items()}}


def run(*args, **more):
    done = subprocess.run([str(a) for a in args], env=environment(**more), capture_output=True,
                          timeout=20, check=False)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def begin(*args, **more):
    return subprocess.Popen([str(a) for a in args], env=environment(**more), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def end(process, after):
    """Its words, when it has been asked to end."""
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=10)[0]


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "air.cu8"
    path.write_bytes(random.Random(1).randbytes(2 * 1000000))
    return path


def test_same_symbols():
    if not os.path.exists(REAL):
        pytest.skip("librtlsdr is not installed")

    def symbols(path):
        text = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True,
                              check=True).stdout
        return {line.split()[-1] for line in text.splitlines() if "rtlsdr_" in line}

    assert symbols(pathlib.Path(STANDIN) / "librtlsdr.so.0") == symbols(REAL)


def test_rtl_test_counts_the_loss(tmp_path):
    clean = begin("rtl_test", "-s", "1024000")
    lossy = begin("rtl_test", "-s", "1024000", SCRIPT=tmp_path / "script")
    (tmp_path / "script").write_text("0.8 0 lose 1000\n")
    assert "per million lost (minimum): 0\n" in end(clean, 1.8)
    # it sees the count of bytes modulo 256, and takes the difference either way
    assert re.search("lost at least (208|48) bytes", end(lossy, 0.1))


def test_rtl_test_sees_the_end(tmp_path):
    (tmp_path / "script").write_text("0.5 0 unplug\n")
    process = begin("rtl_test", "-s", "2400000", SCRIPT=tmp_path / "script")
    words = process.communicate(timeout=10)[0]
    assert "Library error" in words or "canceling" in words
    code, _, words = run("rtl_test", DEVICES="")
    assert code != 0 and "No supported devices found" in words


def test_rtl_sdr_gets_the_recording(recording, tmp_path):
    out = tmp_path / "out.cu8"
    code, _, words = run("rtl_sdr", "-d", "north", "-f", "915e6", "-s", "2.4e6", "-g", "29.7",
                         "-n", "1200000", out, DEVICES="00000001,00000001,north",
                         AIR=f"{recording}:cu8:2400000:915000000")
    assert code == 0, words
    assert "2:  Realtek, RTL2838UHIDIR, SN: north" in words and "Using device 2" in words
    got, air = out.read_bytes(), recording.read_bytes() * 3
    at = air.find(got[100000:100064])
    assert len(got) == 2400000 and at >= 0 and at % 2 == 0
    start = (at - 100000) % len(recording.read_bytes())
    assert got[60000:] == air[start + 60000:start + len(got)]  # but for settling


def tone(data, rate):
    """Frequency of a carrier in cu8, from its turning."""
    numpy = pytest.importorskip("numpy")
    v = numpy.frombuffer(data, numpy.uint8).astype(float) - 127.5
    x = v[0::2] + 1j * v[1::2]
    return numpy.angle((x[1:] * x[:-1].conj()).sum()) / (2 * numpy.pi) * rate, abs(x).mean() / 127.5


def test_tuning_and_gain_are_heard(tmp_path):
    out = tmp_path / "out.cu8"
    for freq, gain, want in (915.0e6, 29.7, 0.1), (915.0e6, 19.7, 0.0316), (914.7e6, 29.7, 0.1):
        code, _, words = run("rtl_sdr", "-f", freq, "-s", "1024000", "-g", gain, "-n", "250000", out,
                             TONES="915.1e6:-20", NOISE=-50)
        assert code == 0, words
        found, level = tone(out.read_bytes()[100000:], 1.024e6)
        assert abs(found - (915.1e6 - freq)) < 2e3
        assert abs(level - want) < 0.1 * want


def test_faster_than_the_clock(tmp_path):
    began = time.monotonic()
    code, _, words = run("rtl_sdr", "-f", "915e6", "-s", "250000", "-n", "1000001", tmp_path / "out",
                         SPEED=20)
    assert code == 0, words
    assert time.monotonic() - began < 1.5  # of four seconds of signal


def test_resampled_recording(tmp_path):
    """A carrier in a recording at 2 MS/s, heard by a device at 1.024 MS/s and another centre."""
    numpy = pytest.importorskip("numpy")
    k = numpy.arange(2000000)
    x = 0.5 * numpy.exp(2j * numpy.pi * 0.05 * k)  # 100 kHz
    v = numpy.stack([x.real, x.imag], 1)
    (tmp_path / "air").write_bytes(numpy.rint(v * 127.5 + 127.5).astype(numpy.uint8).tobytes())
    code, _, words = run("rtl_sdr", "-f", "867.9e6", "-s", "1024000", "-g", "29.7", "-n", "250000",
                         tmp_path / "out", AIR=f"{tmp_path / 'air'}:cu8:2000000:868000000")
    assert code == 0, words
    found, level = tone((tmp_path / "out").read_bytes()[100000:], 1.024e6)
    assert abs(found - 200e3) < 1e3 and abs(level - 0.5) < 0.02


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_rtl_tcp_serves(recording, tmp_path):
    port = free_port()
    server = begin("rtl_tcp", "-a", "127.0.0.1", "-p", port, "-s", "1024000", "-f", "868000000",
                   AIR=f"{recording}:cu8:1024000:868000000", LOG=tmp_path / "log")
    for _ in range(50):
        try:
            client = socket.create_connection(("127.0.0.1", port), timeout=5)
            break
        except OSError:
            time.sleep(0.1)
    with client:
        client.sendall(struct.pack(">BI", 3, 1) + struct.pack(">BI", 4, 297))  # manual, 29.7 dB
        data = b""
        while len(data) < 800000:
            data += client.recv(65536)
    assert data[:12] == b"RTL0" + struct.pack(">II", 5, 29)
    assert data[-64:] in recording.read_bytes() * 2
    server.kill()  # a signal while it parts from a client is lost
    server.communicate()
    assert "00000001 gain 297" in (tmp_path / "log").read_text()


def test_refusals(tmp_path):
    for line, word in ("access off", "usb_open error -3"), ("busy on", "usb_claim_interface error -6"), \
            ("rate refuse", "Failed to set sample rate"), \
            ("unlock 1500e6", "PLL not locked"), ("freq refuse", "Failed to set center freq"):
        (tmp_path / "script").write_text(f"0 0 {line}\n")
        _, _, words = run("rtl_sdr", "-f", "1.6e9", "-s", "1024000", "-n", "1000", tmp_path / "out",
                          SCRIPT=tmp_path / "script")
        assert word in words, line
