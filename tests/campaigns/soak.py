#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the daemon run for long, at full rate, and see that it stays as it was.

    tests/campaigns/soak.py --minutes 120 --out soak

Receivers are loops of a recording with a link in it (--dongles: dongles of the tests' stand-in for
librtlsdr, with that recording on the air). Memory, file descriptors, threads, processor time, what lies
on the disk and every message of the feed are sampled. At the end all of it is judged: what grows, what
was lost, how old the latest sign of life ever was, whether alerts came. Then, unless --no-overload,
another daemon is given more receivers of a higher rate than this machine can do: what is shed must be
counted and said, and alerts must still come. Exit status 1 if a judgement fails.
"""
import argparse
import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import zmq

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SCENARIO = """
duration_s = %.1f;
seed = 1;
receivers = ( { name = "rx"; rate_hz = %.1f; freq_hz = 915.0e6; format = "cu8"; ppm = 1.5; } );
emitters = (
    { name = "pilot"; link = "expresslrs"; variant = "200Hz"; domain = "FCC915"; snr_db = 10.0; ppm = 4.0; }
);
"""
SAMPLE_S = 5.0
# What is allowed to change after the warm-up. The allocator keeps some of what it got: a trend is judged
# over the whole time, and by what it would be in a day.
RSS_DAY_MIB = 64.0
RSS_NOISE_KIB = 8192
TREND_MIN = 30.0  # minutes that a trend takes to be one
SILENCE_S = 3.0  # without a sign of life for so long, a subscriber has to take the feed for dead


def processor_s():
    """Seconds of all processors: busy, and in all."""
    ticks = [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / 100.0, sum(ticks) / 100.0


class Node:
    """The daemon, its feed, and what the kernel says of it."""

    def __init__(self, args, directory, recording, receivers, dongles):
        directory.mkdir()
        self.directory, self.endpoint = directory, "ipc://%s/feed" % directory
        self.state = directory / "state"
        self.state.mkdir()
        conf = directory / "uaswatch.conf"
        if dongles:
            line = '    {{ name = "rx{0}"; type = "rtlsdr"; device = "s{0}"; rate_hz = 2.4e6; freq_hz = 915.0e6; ' \
                   'gain_db = 30.0; }}'
        else:
            line = '    {{ name = "rx{0}"; type = "loop"; path = "%s"; }}' % recording
        conf.write_text('state_directory = "%s";\nfeed = { endpoint = "%s"; };\nreceivers = (\n%s\n);\n' % (
            self.state, self.endpoint, ",\n".join(line.format(i) for i in range(receivers))))
        env = dict(os.environ)
        if dongles:
            env.update(LD_LIBRARY_PATH=str(args.build / "tests/standin"),
                       UW_STANDIN_DEVICES=",".join(f"s{i}" for i in range(receivers)),
                       UW_STANDIN_AIR="%s:cu8:2.4e6:915e6" % recording.with_suffix(".sigmf-data"))
        self.log = (directory / "daemon.log").open("wb")
        # health goes by the real time at the start, and on evenly from there
        self.real_of_mono = time.time() - time.monotonic()
        self.process = subprocess.Popen([args.build / "uaswatchd", "-c", conf], stderr=self.log,
                                        stdin=subprocess.DEVNULL, env=env)
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.setsockopt(zmq.RCVHWM, 100000)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"v1.")
        self.socket.connect(self.endpoint)
        self.health, self.seq, self.gaps = {}, {}, 0
        self.said, self.age = None, 0.0  # when the latest health was sent, how old it has been
        self.alerts = {}  # which -> (kind, about)
        self.n_messages = 0

    def listen(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.process.poll() is not None:
                sys.exit(f"the daemon has ended with {self.process.returncode}: "
                         + (self.directory / "daemon.log").read_text()[-2000:])
            if self.socket.poll(left * 1000):
                self.take(json.loads(self.socket.recv_multipart()[1]))

    def take(self, m):
        kind, number = m["type"], m["seq"]
        self.n_messages += 1
        if number > self.seq.get(kind, number - 1) + 1:
            self.gaps += number - self.seq[kind] - 1
        # repeated ones, too: what was raised before the connection was there comes as such
        if kind == "alert":
            about = m.get("part") or m.get("receiver") or m.get("band") or m.get("family")
            self.alerts[m["alert"]] = m["kind"], about
        if number <= self.seq.get(kind, 0):
            return  # repeated
        self.seq[kind] = number
        if kind == "health":
            self.grow_old()
            self.health = m
            self.said = datetime.datetime.fromisoformat(m["time"].replace("Z", "+00:00")).timestamp()

    def grow_old(self):
        if self.said is not None:
            self.age = max(self.age, time.monotonic() + self.real_of_mono - self.said)

    def raised(self, kind):
        return sum(k == kind for k, about in self.alerts.values())

    def sample(self):
        proc = pathlib.Path(f"/proc/{self.process.pid}")
        stat = (proc / "stat").read_text().rsplit(")", 1)[1].split()
        sums = {k: sum(r.get(k, 0) for r in self.health.get("receivers", []))
                for k in ("lost_samples", "dropped_samples")}
        self.grow_old()
        age, self.age = self.age, 0.0
        return {
            "age_s": round(age, 2), "at_s": round(time.monotonic(), 2), "machine_s": processor_s(),
            "rss_kib": int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024,
            "fds": len(list((proc / "fd").iterdir())),
            "threads": len(list((proc / "task").iterdir())),
            "cpu_s": (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"),
            "disk_bytes": sum(f.stat().st_size for f in self.state.rglob("*") if f.is_file()),
            "messages": self.n_messages, "gaps": self.gaps, **sums,
        }

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        self.log.close()
        self.socket.close()
        return status


def run(node, seconds, log):
    """Samples every few seconds."""
    samples, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        node.listen(min(SAMPLE_S, max(end - time.monotonic(), 0.1)))
        samples.append(node.sample())
        log.write(json.dumps(samples[-1]) + "\n")
        log.flush()
    return samples


def slope(samples, key):
    """Least squares, per second."""
    n = len(samples)
    t = [s["at_s"] for s in samples]
    y = [s[key] for s in samples]
    tm, ym = sum(t) / n, sum(y) / n
    spread = sum((a - tm) ** 2 for a in t)
    return sum((a - tm) * (b - ym) for a, b in zip(t, y)) / spread if spread else 0.0


class Judge:
    def __init__(self):
        self.failed = 0

    def say(self, good, text):
        self.failed += not good
        print(("good    " if good else "FAILED  ") + text, flush=True)


def judge_quiet(judge, samples, node):
    first, last = samples[0], samples[-1]
    seconds = last["at_s"] - first["at_s"]
    load = (last["cpu_s"] - first["cpu_s"]) / seconds / (os.cpu_count() or 1)
    busy = (last["machine_s"][0] - first["machine_s"][0]) / (last["machine_s"][1] - first["machine_s"][1])
    grown = last["rss_kib"] - first["rss_kib"]
    day = slope(samples, "rss_kib") * 86400 / 1024
    judge.say(grown < RSS_NOISE_KIB and (day < RSS_DAY_MIB or seconds < 60 * TREND_MIN),
              f"memory: {first['rss_kib'] / 1024:.1f} to {last['rss_kib'] / 1024:.1f} MiB resident, "
              f"{grown:+d} KiB in {seconds / 60:.1f} min, trend {day:+.1f} MiB a day")
    for key, name in ("fds", "file descriptors"), ("threads", "threads"), ("disk_bytes", "bytes kept"):
        values = [s[key] for s in samples]
        judge.say(max(values) == min(values), f"{name}: {min(values)} to {max(values)}")
    lost = last["lost_samples"] - first["lost_samples"]
    judge.say(lost == 0 or busy > 0.7, f"samples lost: {lost}, load {100 * load:.0f} %, of the whole machine "
              f"{100 * busy:.0f} %" + (": too busy with other things to judge" if lost and busy > 0.7 else ""))
    judge_feed(judge, samples, "")
    judge.say(node.raised("uas") > 0, f"links: {node.raised('uas')} alerts raised")


def judge_feed(judge, samples, what):
    age = max(s["age_s"] for s in samples)
    judge.say(samples[-1]["gaps"] == 0,
              f"{what}messages: {samples[-1]['messages']}, missing {samples[-1]['gaps']}")
    judge.say(0 < age < SILENCE_S, f"{what}health: the latest was never older than {age:.1f} s")


def overload(args, judge, directory, log):
    recording = make_recording(args, directory / "wide", args.overload_rate, 4.0)
    node = Node(args, directory / "overload", recording, args.overload_receivers, False)
    samples = run(node, 60 * args.overload_minutes, log)
    last, seconds = samples[-1], samples[-1]["at_s"] - samples[0]["at_s"]
    dropped = last["dropped_samples"] - samples[0]["dropped_samples"]
    asked = args.overload_receivers * args.overload_rate * seconds
    said = {r["problem"] for r in node.health["receivers"] if "problem" in r}
    judge.say(dropped > 0, f"overload: {args.overload_receivers} receivers at {args.overload_rate / 1e6:.1f} MS/s, "
              f"{100 * dropped / asked:.0f} % dropped and counted")
    judge.say("overloaded" in said, f"overload: receivers say {sorted(said)}")
    judge.say(("system", "load") in node.alerts.values(), "overload: an alert of kind system, part load")
    judge.say(node.raised("uas") > 0, f"overload: {node.raised('uas')} alerts about links raised all the same")
    later = run(node, 60 * args.overload_minutes / 2, log)
    judge_feed(judge, samples + later, "overload: ")
    judge.say(later[-1]["rss_kib"] - last["rss_kib"] < 8 * RSS_NOISE_KIB,
              f"overload: memory {last['rss_kib'] / 1024:.0f} to {later[-1]['rss_kib'] / 1024:.0f} MiB")
    judge.say(node.stop() == 0, "overload: stopped with 0")
    return node


def make_recording(args, stem, rate_hz, seconds):
    conf = stem.with_suffix(".conf")
    conf.write_text(SCENARIO % (seconds, rate_hz))
    subprocess.run([args.build / "uaswatch", "synth", conf, "-o", stem], check=True,
                   stdout=subprocess.DEVNULL)
    return sorted(stem.parent.glob(stem.name + "*.sigmf-meta"))[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--warm-up", type=float, default=1.0, help="minutes that are not judged")
    parser.add_argument("--receivers", type=int, default=4)
    parser.add_argument("--dongles", action="store_true")
    parser.add_argument("--no-overload", action="store_true")
    parser.add_argument("--overload-receivers", type=int, default=16)
    parser.add_argument("--overload-rate", type=float, default=20e6)
    parser.add_argument("--overload-minutes", type=float, default=0.7)
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build")
    parser.add_argument("--out", type=pathlib.Path, help="keep samples and the log of the daemon here")
    args = parser.parse_args()
    args.build = args.build.resolve()
    judge = Judge()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        recording = make_recording(args, directory / "air", 2.4e6, 20.0)
        node = Node(args, directory / "quiet", recording, args.receivers, args.dongles)
        logs = [node.directory / "daemon.log"]
        with (directory / "samples.jsonl").open("w", encoding="utf-8") as log:
            run(node, 60 * args.warm_up, log)
            judge_quiet(judge, run(node, 60 * args.minutes, log), node)
            judge.say(node.stop() == 0, "stopped with 0")
            if not args.no_overload:
                logs.append(overload(args, judge, directory, log).directory / "daemon.log")
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            for f in directory / "samples.jsonl", *logs:
                shutil.copy(f, args.out / f"{f.parent.name}-{f.name}" if f in logs else args.out)
    print("soak:", "FAILED" if judge.failed else "good")
    return 1 if judge.failed else 0


if __name__ == "__main__":
    sys.exit(main())
