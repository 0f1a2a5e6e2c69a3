# SPDX-License-Identifier: GPL-3.0-or-later
"""What the end-to-end tests share: the programs, scenarios, recordings and schemas."""
import json
import os
import pathlib
import signal
import struct
import subprocess
import time
import zlib

import jsonschema

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("UW_BUILD_DIR", SOURCE / "build"))
UASWATCH = BUILD / "uaswatch"
UASWATCHD = BUILD / "uaswatchd"
IQ = pathlib.Path(os.environ.get("UW_IQ_DIR", SOURCE.parent / "shared" / "iq"))

ELRS = """
duration_s = {duration};
seed = {seed};
receivers = (
{receivers}
);
emitters = (
    {{ name = "pilot"; link = "expresslrs"; variant = "{variant}"; domain = "{domain}"; snr_db = {snr};
      ppm = 4.0; }}
);
"""
RECEIVER = '    {{ name = "{name}"; rate_hz = {rate}; freq_hz = {freq}; format = "{format}"; ppm = {ppm}; }}'


def receiver(name="rx", rate=2.4e6, freq=915.0e6, fmt="cu8", ppm=1.5):
    return RECEIVER.format(name=name, rate=rate, freq=freq, format=fmt, ppm=ppm)


def elrs(duration=2.0, seed=1, variant="200Hz", domain="FCC915", snr=10.0, receivers=None):
    return ELRS.format(duration=float(duration), seed=seed, variant=variant, domain=domain,
                       snr=float(snr), receivers=",\n".join(receivers or [receiver()]))


def run(*args, status=0, **kwargs):
    """Run uaswatch and check its exit status (None: any)."""
    done = subprocess.run([str(UASWATCH), *map(str, args)], capture_output=True, timeout=120,
                          check=False, **kwargs)
    assert status is None or done.returncode == status, \
        (args, done.returncode, done.stderr.decode(errors="replace"))
    return done


def synth(directory, scenario, name="sample"):
    """Make a recording; returns the path of its meta file (of the first receiver)."""
    conf = directory / (name + ".conf")
    conf.write_text(scenario)
    run("synth", conf, "-o", directory / name)
    found = sorted(directory.glob(name + "*.sigmf-meta"))
    assert found
    return found[0]


def parse(text):
    return [json.loads(line) for line in text.splitlines()]


def replay(*args, **kwargs):
    """The messages, and the summary."""
    lines = parse(run("replay", "--json", *args, **kwargs).stdout)
    assert lines[-1]["type"] == "summary"
    return lines[:-1], lines[-1]


def of_type(messages, kind):
    return [m for m in messages if m["type"] == kind]


def raised(messages, kind="uas"):
    return [m for m in of_type(messages, "alert") if m["event"] == "raised" and m["kind"] == kind]


def body(output):
    """A replay's output without its summary, whose wall clock figures differ."""
    lines = output.splitlines(keepends=True)
    assert json.loads(lines[-1])["type"] == "summary"
    return b"".join(lines[:-1])


def validator(kind, cache={}):
    if kind not in cache:
        schema = json.loads((SOURCE / "docs/schema" / f"{kind}.schema.json").read_text())
        cls = jsonschema.validators.validator_for(schema)
        cls.check_schema(schema)
        cache[kind] = cls(schema)
    return cache[kind]


class Process:
    """A program in the background; its output is collected in a file."""

    def __init__(self, args, out, env=None):
        self.out = pathlib.Path(out)
        self.file = self.out.open("wb")
        self.process = subprocess.Popen([str(a) for a in args], stdout=self.file,
                                        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env)

    def text(self):
        return self.out.read_text(errors="replace")

    def wait_for(self, words, timeout=10.0, since=0):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if words in self.text()[since:]:
                return
            time.sleep(0.05)
        raise AssertionError(f"no {words!r} within {timeout} s in:\n{self.text()}")

    def stop(self, number=signal.SIGTERM, timeout=5.0):
        """Returns (exit status, seconds that it took)."""
        begin = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(timeout)
        self.file.close()
        return status, time.monotonic() - begin

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.file.close()


def png(path):
    """Width, height and the unpacked pixel data; every chunk's checksum is looked at."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, size = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk = data[at + 8:at + 8 + length]
        crc = struct.unpack_from(">I", data, at + 8 + length)[0]
        assert crc == zlib.crc32(kind + chunk)
        if kind == b"IHDR":
            size = struct.unpack_from(">II", chunk)
        packed += chunk if kind == b"IDAT" else b""
        at += 12 + length
    assert kind == b"IEND"
    return *size, zlib.decompress(packed)
