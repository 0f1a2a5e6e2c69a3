#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Receivers that fail in every way, again and again, under a whole daemon.

  faults.py run     so many random faults (1000); goes on where it was stopped
  faults.py check   a hundred of them in under a minute, as a test
  faults.py report  what has been found, and the line for docs/measurements.md

A daemon listens to dongles of the stand-in for librtlsdr and to rtl_tcp servers of this program. Each
of them fails at random times, alone or together with others; the quiet hours of a day between two
faults are left out, the faults themselves run at the signal's speed. For each fault it is looked at
  told       seconds until health has the receiver in a state that fits, with advice
  alert      whether the feed has an active alert about the receiver, if it hears nothing
  recovered  seconds from the repair until health says "ok"; nobody helps
and at the end whether threads, descriptors and memory are as before, and the daemon stops at once.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import threading
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/e2e"))
import peer  # noqa: E402

RATE = 1.024e6
FREQ = 868.0e6
TOLD_S = 2.0  # the promise
LEARN_S = 3.5  # a receiver learns in its first two seconds what its noise is
RECOVER_S = 20.0  # back-off is at most 5 s; losses are mentioned for 5 s after the last
CONF = """
site = "arena"; node = "roof"; log_level = "warning"; lag_s = 0.5;
signatures: {{ directory = "{signatures}"; enabled = [ "expresslrs-900" ]; }};
feed = {{ enabled = true; endpoint = "{endpoint}"; }};
health: {{ clear_s = 0.0; }};
receivers = (
{receivers}
);
"""
RX = ('    {{ name = "{name}"; type = "{type}"; device = "{device}"; rate_hz = {rate}; '
      'freq_hz = {freq}; gain_db = 29.7; }}')

LOST, DEGRADED = "lost", "degraded"


class Fault:
    """How to break a receiver and to mend it, and what must be said about it."""

    def __init__(self, name, weight, states, problems, lasts, begin, end):
        self.name, self.weight, self.states, self.problems = name, weight, states, problems
        self.lasts, self.begin, self.end = lasts, begin, end


# --- dongles: lines for the stand-in's script ---

def line(text):
    return lambda rx, rng: rx.say(text.format(index=rng.randrange(8)))


def lines(*texts):
    return lambda rx, rng: [rx.say(t.format(index=rng.randrange(8))) for t in texts]


def nothing(rx, rng):
    pass


GONE = {"absent", "stalled", "unreachable"}
DONGLE = [
    Fault("unplugged", 5, {LOST}, GONE, (0.2, 8), line("unplug"), line("plug {index}")),
    Fault("stalled", 4, {LOST}, {"stalled", "absent"}, (0.5, 8), line("stall"), line("flow")),
    # what is said first is that it is gone; why it does not come back can be known when it is tried
    Fault("busy", 2, {LOST}, GONE, (0.5, 6), lines("unplug", "busy on", "plug {index}"),
          line("busy off")),
    Fault("no access", 1, {LOST}, GONE, (0.5, 6),
          lines("unplug", "access off", "plug {index}"), line("access on")),
    Fault("rate refused", 2, {LOST}, GONE | {"refused"}, (0.5, 6),
          lines("unplug", "rate refuse", "plug {index}"), line("rate ok")),
    Fault("loss at once", 3, {DEGRADED}, {"losing"}, (0, 0),
          lambda rx, rng: rx.say(f"lose {rng.randrange(50000, 400000)}"), nothing),
    Fault("loss bursts", 2, {DEGRADED, LOST}, {"losing", "stalled"}, (1, 6),
          lambda rx, rng: rx.say(f"loss {rng.choice((0.05, 0.2, 0.5))}"), line("loss 0")),
    Fault("clipping", 2, {DEGRADED}, {"clipping"}, (0.5, 6), line("clip 6"), line("clip off")),
    Fault("antenna off", 2, {LOST, DEGRADED}, {"deaf"}, (0.5, 6), line("antenna off"),
          line("antenna on")),
    Fault("lock lost", 2, {LOST, DEGRADED}, {"unlocked", "deaf"}, (0.5, 3), line("slip"), nothing),
]


# --- servers ---

def mode(name):
    def begin(rx, rng):
        rx.peer.mode = name
    return begin


def well(rx, rng):
    rx.peer.speed, rx.peer.samples, rx.peer.mode = 1.0, rx.peer.well, "ok"


def lie(rx, rng):
    rx.peer.speed = rng.choice((0.5, 0.8, 1.25, 2.0))


def drop(rx, rng):
    rx.peer.drop = peer.CHUNK * rng.randrange(4, 20)


def pause(rx, rng):
    rx.peer.pause = rng.uniform(2.0, 4.0)


def voice(samples):
    def begin(rx, rng):
        rx.peer.samples = samples
    return begin


SERVER = [
    Fault("hangs up", 4, {LOST}, {"unreachable"}, (0.2, 8), mode("hang_up"), well),
    Fault("resets", 3, {LOST}, {"unreachable"}, (0.2, 8), mode("reset"), well),
    Fault("refuses", 3, {LOST}, {"unreachable"}, (0.2, 8), mode("refuse"), well),
    Fault("hangs", 4, {LOST}, {"stalled", "unreachable"}, (0.5, 8), mode("stall"), well),
    Fault("mute", 2, {LOST}, {"stalled", "unreachable"}, (0.5, 8), mode("mute"), well),
    Fault("half a greeting", 2, {LOST}, {"stalled", "unreachable"}, (0.5, 8), mode("half"), well),
    Fault("another protocol", 2, {LOST}, {"unreachable"}, (0.5, 8), mode("magic"), well),
    Fault("trickles", 2, {LOST, DEGRADED}, {"stalled", "losing"}, (0.5, 8), mode("trickle"), well),
    Fault("lies about its rate", 3, {LOST, DEGRADED}, {"refused", "losing"}, (1, 6), lie, well),
    Fault("loses samples", 3, {DEGRADED}, {"losing"}, (0, 0), drop, nothing),
    Fault("network cut", 2, {LOST, DEGRADED}, {"stalled", "losing"}, (0, 0), pause, nothing),
    Fault("clipping", 1, {DEGRADED}, {"clipping"}, (0.5, 6), voice(peer.LOUD), well),
    Fault("deaf", 1, {LOST, DEGRADED}, {"deaf"}, (0.5, 6), voice(peer.DEAF), well),
]


class Receiver:
    def __init__(self, name, site, number=None, server=None):
        self.name, self.site, self.number, self.peer = name, site, number, server
        self.faults = DONGLE if server is None else SERVER
        self.kind = "dongle" if server is None else "rtl_tcp"
        self.stage, self.since, self.until = "start", time.time(), 0.0
        self.fault, self.record = None, None

    def say(self, text):
        self.site.script.write(f"now {self.number} {text}\n")
        self.site.script.flush()


class Feed:
    """The latest word about each receiver, from the public feed."""

    def __init__(self, uaswatch, endpoint):
        self.lock = threading.Lock()
        self.health, self.alerts, self.history = {}, {}, {}
        self.process = subprocess.Popen(
            [uaswatch, "feed", "v1.health.", "v1.alert.", "--endpoint", endpoint],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for text in self.process.stdout:
            m, now = json.loads(text), time.time()
            with self.lock:
                if m["type"] == "health":
                    for r in m["receivers"]:
                        self.health[r["receiver"]] = r
                        self.history.setdefault(r["receiver"], []).append((now, r))
                        del self.history[r["receiver"]][:-200]
                elif m["kind"] == "receiver":
                    self.alerts.setdefault(m["receiver"], []).append((now, m))
                    del self.alerts[m["receiver"]][:-200]

    def first(self, receiver, since, fits):
        """When, after `since`, it was first so; None: never."""
        with self.lock:
            return next((t for t, r in self.history.get(receiver, []) if t >= since and fits(r)),
                        None)

    def now(self, receiver):
        with self.lock:
            return self.health.get(receiver, {})

    def alerted(self, receiver, since):
        """An alert that is active after `since`: one that was raised then, or not over before."""
        with self.lock:
            active = False
            for t, m in self.alerts.get(receiver, []):
                if t < since:
                    active = m["state"] != "ended"
                elif m["state"] != "ended":
                    return True
            return active


class Site:
    """A daemon, its receivers, and what they do."""

    def __init__(self, build, directory, n_dongles, n_servers):
        directory.mkdir(parents=True, exist_ok=True)
        self.build, self.directory = build, directory
        self.endpoint = f"ipc://{directory}/feed"
        samples = peer.noise()
        self.script = (directory / "script").open("w")
        self.receivers = [Receiver(f"d{i}", self, number=i) for i in range(n_dongles)]
        self.receivers += [Receiver(f"s{i}", self, server=peer.Peer(samples))
                           for i in range(n_servers)]
        conf = directory / "faults.conf"
        conf.write_text(CONF.format(
            signatures=SOURCE / "config/signatures", endpoint=self.endpoint,
            receivers=",\n".join(self._receiver(r) for r in self.receivers)))
        env = {**os.environ, "LD_LIBRARY_PATH": str(build / "tests/standin"),
               "UW_STANDIN_DEVICES": ",".join(f"serial{i}" for i in range(n_dongles)),
               "UW_STANDIN_SCRIPT": str(directory / "script")}
        self.log = (directory / "daemon.log").open("ab")
        self.feed = Feed(build / "uaswatch", self.endpoint)
        self.daemon = subprocess.Popen([build / "uaswatchd", "-c", conf], env=env, stdout=self.log,
                                       stderr=self.log, stdin=subprocess.DEVNULL)

    def _receiver(self, rx):
        what = ("rtl_tcp", f"127.0.0.1:{rx.peer.port}") if rx.peer else ("rtlsdr",
                                                                         f"serial{rx.number}")
        return RX.format(name=rx.name, type=what[0], device=what[1], rate=RATE, freq=FREQ)

    def resources(self):
        proc = pathlib.Path(f"/proc/{self.daemon.pid}")
        status = dict(x.split(":", 1) for x in (proc / "status").read_text().splitlines())
        return {"threads": int(status["Threads"]), "descriptors": len(list((proc / "fd").iterdir())),
                "rss_mib": round(int(status["VmRSS"].split()[0]) / 1024, 1)}

    def all_ok(self):
        return all(self.feed.now(r.name).get("state") == "ok" for r in self.receivers)

    def wait_ok(self, timeout):
        end = time.time() + timeout
        while time.time() < end and not self.all_ok():
            if self.daemon.poll() is not None:
                raise SystemExit(f"the daemon has ended: see {self.directory}/daemon.log")
            time.sleep(0.1)
        return self.all_ok()

    def stop(self):
        """(exit status, seconds)"""
        begin = time.time()
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
        try:
            status = self.daemon.wait(10)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            status = "stuck"
        took = time.time() - begin
        self.feed.process.kill()
        self.feed.process.wait()
        for r in self.receivers:
            if r.peer:
                r.peer.stop()
        return status, took


class Run:
    def __init__(self, site, rng, total, gap_s, longest_s, told_s, out, number=0):
        self.site, self.rng, self.total, self.out = site, rng, total, out
        self.gap_s, self.longest_s, self.told_s = gap_s, longest_s, told_s
        self.number, self.begun, self.results = number, 0, []
        self.shown = 0.0

    def step(self, rx):
        now = time.time()
        if rx.stage == "start" and self.begun < self.total and now >= rx.until:
            if self.site.feed.now(rx.name).get("state") == "ok":
                self.break_it(rx, now)
        elif rx.stage == "told":
            self.look_for_word(rx, now)
        elif rx.stage == "last" and now >= rx.until:
            rx.fault.end(rx, self.rng)
            rx.stage, rx.since = "recover", now
        elif rx.stage == "recover":
            self.look_for_recovery(rx, now)

    def break_it(self, rx, now):
        rx.fault = self.rng.choices(rx.faults, [f.weight for f in rx.faults])[0]
        rx.record = {"number": self.number + self.begun, "receiver": rx.kind, "name": rx.name,
                     "fault": rx.fault.name}
        self.begun += 1
        rx.stage, rx.since = "told", time.time()
        rx.fault.begin(rx, self.rng)

    def look_for_word(self, rx, now):
        f = rx.fault
        told = self.site.feed.first(rx.name, rx.since, lambda r: r["state"] in f.states and
                                    r.get("problem") in f.problems and r.get("advice"))
        if told is None and now < rx.since + self.told_s + 3:
            return
        rx.record["told_s"] = round(told - rx.since, 3) if told else None
        if told is None:
            rx.record["instead"] = {k: self.site.feed.now(rx.name).get(k)
                                    for k in ("state", "problem", "advice")}
        low, high = f.lasts
        lasts = self.rng.uniform(low, min(high, max(low, self.longest_s)))
        rx.record["lost"] = self.site.feed.now(rx.name).get("state") == LOST
        rx.broken = rx.since
        rx.stage, rx.until = "last", time.time() + lasts

    def look_for_recovery(self, rx, now):
        since = max(rx.since, rx.broken + (rx.record["told_s"] or 0) + 0.001)
        ok = self.site.feed.first(rx.name, since, lambda r: r["state"] == "ok")
        if ok is None and now < rx.since + RECOVER_S:
            return
        r = rx.record
        r["recovered_s"] = round(ok - rx.since, 3) if ok else None
        if ok is None:
            r["instead"] = {k: self.site.feed.now(rx.name).get(k)
                            for k in ("state", "problem", "advice")}
        if r["lost"]:
            r["alert"] = self.site.feed.alerted(rx.name, rx.broken)
        self.results.append(r)
        self.out.write(json.dumps(r) + "\n")
        self.out.flush()
        rx.stage, rx.until = "start", time.time() + self.rng.uniform(0, self.gap_s)

    def go(self):
        while len(self.results) < self.total:
            if self.site.daemon.poll() is not None:
                break
            for rx in self.site.receivers:
                self.step(rx)
            self.show()
            time.sleep(0.02)

    def show(self):
        now = time.time()
        if now - self.shown < (0.5 if sys.stderr.isatty() else 15):
            return
        self.shown = now
        bad = sum(bool(faulty(r, self.told_s)) for r in self.results)
        print(f"{'' if not sys.stderr.isatty() else chr(13)}{len(self.results)}/{self.total} faults, "
              f"{bad} bad", file=sys.stderr, end="" if sys.stderr.isatty() else "\n", flush=True)


def faulty(r, told_s=TOLD_S):
    """What is wrong with the way a fault went, in words; "" if nothing."""
    if r.get("told_s") is None:
        return f"never told: {r.get('instead')}"
    if r["told_s"] > told_s:
        return f"told after {r['told_s']} s"
    if r.get("recovered_s") is None:
        return f"did not recover: {r.get('instead')}"
    if r["lost"] and not r["alert"]:
        return "no alert"
    return ""


def session(args, directory, seed, total, out, number=0):
    """One daemon, so many faults. Returns (results, what is wrong with the daemon)."""
    site = Site(args.build, directory, args.dongles, args.servers)
    if args.only:
        for rx in site.receivers:
            rx.faults = [f for f in rx.faults if f.name in args.only] or rx.faults
    run = Run(site, random.Random(seed), total, args.gap, args.longest, args.told, out, number)
    wrong = []
    try:
        if not site.wait_ok(20):
            wrong.append("not all receivers came up")
        time.sleep(LEARN_S)
        before = site.resources()
        run.go()
        if site.daemon.poll() is None:
            if not site.wait_ok(20):
                wrong.append("not all receivers came back")
            time.sleep(1.5)
            after = site.resources()
            if after["threads"] != before["threads"]:
                wrong.append(f"threads: {before['threads']} before, {after['threads']} after")
            if after["descriptors"] != before["descriptors"]:
                wrong.append("descriptors: %d before, %d after" %
                             (before["descriptors"], after["descriptors"]))
            if after["rss_mib"] > before["rss_mib"] * 1.1 + 16:
                wrong.append(f"memory: {before['rss_mib']} MiB before, {after['rss_mib']} after")
            print(f"before {before}, after {after}", file=sys.stderr)
    finally:
        status, took = site.stop()
    if status != 0:
        wrong.append(f"the daemon ended with {status}: see {directory}/daemon.log")
    elif took > 2:
        wrong.append(f"the daemon took {took:.1f} s to stop")
    return run.results, wrong


def load(path):
    text = path.read_text() if path.exists() else ""
    return [json.loads(x) for x in text.splitlines(keepends=True) if x.endswith("\n")]


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def report(results, sessions, told_s=TOLD_S):
    bad = [(r, faulty(r, told_s)) for r in results if faulty(r, told_s)]
    kinds = sorted({(r["receiver"], r["fault"]) for r in results})
    print(f"{'receiver':9} {'fault':20} {'n':>5} {'told s':>7} {'worst':>7} {'back s':>7} {'worst':>7}"
          f" {'alerts':>8} {'bad':>4}")
    for kind in kinds:
        of = [r for r in results if (r["receiver"], r["fault"]) == kind]
        told = [r["told_s"] for r in of if r.get("told_s") is not None]
        back = [r["recovered_s"] for r in of if r.get("recovered_s") is not None]
        lost = [r for r in of if r["lost"]]
        print(f"{kind[0]:9} {kind[1]:20} {len(of):5} {percentile(told, .5):7.2f} "
              f"{max(told, default=float('nan')):7.2f} {percentile(back, .5):7.2f} "
              f"{max(back, default=float('nan')):7.2f} "
              f"{sum(r['alert'] for r in lost):4}/{len(lost):<3} "
              f"{sum(1 for r, _ in bad if (r['receiver'], r['fault']) == kind):4}")
    for r, why in bad:
        print(f"  fault {r['number']} ({r['receiver']}, {r['fault']}, {r['name']}): {why}")
    for why in sessions:
        print("  " + why)
    told = [r["told_s"] for r in results if r.get("told_s") is not None]
    back = [r["recovered_s"] for r in results if r.get("recovered_s") is not None]
    lost = [r for r in results if r["lost"]]
    if told:
        print(f"{len(results)} faults: told after {statistics.median(told):.2f} s (99 %: "
              f"{percentile(told, .99):.2f} s, worst {max(told):.2f} s); "
              f"{sum(r['alert'] for r in lost)} of {len(lost)} losses with an alert; back after "
              f"{statistics.median(back):.1f} s (worst {max(back):.1f} s); {len(bad)} bad, "
              f"{len(sessions)} faults of the daemon")
    return bool(bad or sessions)


def command_run(args):
    args.results.mkdir(parents=True, exist_ok=True)
    path, notes = args.results / "faults.jsonl", args.results / "sessions.jsonl"
    done = load(path)
    while len(done) < args.number:
        n = min(args.session, args.number - len(done))
        with path.open("a") as out:
            results, wrong = session(args, args.results / "site", args.seed + len(done), n, out,
                                     len(done))
        with notes.open("a") as f:
            f.write(json.dumps({"faults": len(results), "wrong": wrong}) + "\n")
        done += results
        if not results:
            break
    return command_report(args)


def command_report(args):
    sessions = [w for s in load(args.results / "sessions.jsonl") for w in s["wrong"]]
    return report(load(args.results / "faults.jsonl"), sessions, args.told)


def command_check(args):
    args.results.mkdir(parents=True, exist_ok=True)
    with open(os.devnull, "w") as out:
        results, wrong = session(args, args.results / "site", args.seed, args.number, out)
    return report(results, wrong, args.told)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("command", choices=("run", "check", "report"))
    p.add_argument("--build", type=pathlib.Path, default=SOURCE / "build")
    p.add_argument("--results", type=pathlib.Path, default=pathlib.Path("faults"))
    p.add_argument("--number", type=int)
    p.add_argument("--session", type=int, default=100, help="faults of one daemon")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--dongles", type=int, default=8)
    p.add_argument("--servers", type=int, default=8)
    p.add_argument("--gap", type=float, default=3, help="seconds of peace, at most")
    p.add_argument("--longest", type=float, default=8, help="seconds that a fault lasts, at most")
    p.add_argument("--told", type=float, default=TOLD_S)
    p.add_argument("--only", action="append", help="faults of this name; may be repeated")
    args = p.parse_args()
    args.build, args.results = args.build.resolve(), args.results.resolve()
    if args.number is None:
        args.number = 100 if args.command == "check" else 1000
    if args.command == "check" and not (args.build / "tests/standin/librtlsdr.so.0").exists():
        print("the stand-in for librtlsdr is missing")
        return 77
    os.nice(10)
    return int({"run": command_run, "check": command_check, "report": command_report}
               [args.command](args))


if __name__ == "__main__":
    sys.exit(main())
