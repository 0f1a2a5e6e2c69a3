#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reload a daemon over and over with configurations drawn at random, good and bad ones, while its dongles
(the tests' stand-in for librtlsdr) fail at random: of most use in a build with a sanitizer.

    tests/campaigns/reloads.py --build build-asan --seconds 60 --seed 1

Exit status 1 if the daemon dies, hangs, is told off by a sanitizer, or a thread shows no sign of life.
"""
import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
FAULTS = ("unplug", "plug", "lose 5000", "stall", "flow", "clip 3", "clip off")
WHERE = ("freq_hz = 915.0e6;", "freq_hz = 868.0e6;", 'freq_hz = 915.0e6; plan = "auto";',
         "freq_hz = 915.0e6; centres_hz = [ 915.0e6, 868.0e6 ]; dwell_s = 0.5;")
ENABLED = ("", 'enabled = [ "expresslrs-900" ];', 'enabled = [ "expresslrs-900", "lorawan" ];')
MORE = ("", "lag_s = 1.0;", "alerts = { coast_s = 1.0; };", "health = { clear_s = 0.2; };", "nonsense = 1;",
        'region = "EU";', 'region = "FCC";', "below_noise = false;", 'site = "elsewhere";')


def receivers(chance, recording):
    """One to five, of which at most two are dongles."""
    names, dongles = list("abcde"), 0
    chance.shuffle(names)
    for name in names[:chance.randint(1, 5)]:
        if chance.random() < 0.5 or dongles == 2:
            yield f'{{ name = "{name}"; type = "loop"; path = "{recording}"; ' \
                  f'freq_hz = {chance.choice((915e6, 868e6, 433e6))}; }}'
        else:
            dongles += 1
            yield f'{{ name = "{name}"; type = "rtlsdr"; device = "s{dongles}"; rate_hz = 250.0e3; ' \
                  f'{chance.choice(WHERE)} }}'


def write(chance, path, directory, more):
    text = f'state_directory = "{directory}";\nfeed = {{ endpoint = "ipc://{directory}/feed"; }};\n' \
           f'signatures = {{ directory = "{SOURCE}/config/signatures"; {chance.choice(ENABLED)} }};\n{more}\n' \
           "receivers = (\n" + ",\n".join(receivers(chance, directory / "x_915M_250k.cu8")) + "\n);\n"
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)  # the daemon never sees half of it


def run(args, directory):
    chance = random.Random(args.seed)
    conf, script = directory / "uaswatch.conf", directory / "script"
    script.write_text("")
    (directory / "x_915M_250k.cu8").write_bytes(chance.randbytes(500000))
    write(chance, conf, directory, "")
    env = dict(os.environ, LD_LIBRARY_PATH=str(args.build / "tests/standin"), UW_STANDIN_DEVICES="s1,s2",
               UW_STANDIN_SCRIPT=str(script))
    with (directory / "log").open("wb") as log:
        daemon = subprocess.Popen([args.build / "uaswatchd", "-c", conf], stderr=log, env=env)
        time.sleep(1)
        end, n = time.monotonic() + args.seconds, 0
        while time.monotonic() < end and daemon.poll() is None:
            write(chance, conf, directory, chance.choice(MORE))
            daemon.send_signal(signal.SIGHUP)
            n += 1
            if chance.random() < 0.3:
                with script.open("a") as f:
                    f.write(f"now {chance.randint(0, 1)} {chance.choice(FAULTS)}\n")
            time.sleep(chance.choice((0.01, 0.1, 0.3, 0.6)))
        if daemon.poll() is None:
            daemon.send_signal(signal.SIGTERM)
        try:
            return n, daemon.wait(60)
        except subprocess.TimeoutExpired:
            daemon.kill()
            return n, "does not stop"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.build = args.build.resolve()
    with tempfile.TemporaryDirectory() as name:
        n, status = run(args, pathlib.Path(name))
        log = (pathlib.Path(name) / "log").read_text(errors="replace")
    taken, refused = log.count("configuration holds"), log.count("configuration goes on")
    bad = [w for w in ("Sanitizer", "runtime error", "no sign of life", "fusion has ended") if w in log]
    print(f"{n} signals, {taken} reloads taken, {refused} refused, ended with {status}", *bad)
    if status != 0 or bad or taken == 0 or refused == 0:
        print(log[-5000:])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
