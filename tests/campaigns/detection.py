#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detection campaigns: runs the worker in parallel, keeps every run, makes tables and plots.

  detection.py pd            probability of detection over SNR, 1 dB steps where it changes
  detection.py links         several links at once, and a strong one alone: how many are counted
  detection.py false-alarms  simulated hours of scenario files without a drone
  detection.py look-alikes   each scenario alone, its level swept
  detection.py calibrate     fits the confidence of hopping links to runs made for it, and judges it
  detection.py report        tables, plots, calibration from what has been run
  detection.py baseline      make the fixed-seed figures that "check" compares with
  detection.py check         run them again; fails if one has moved beyond its statistical error

Every run is one line in a file of the results directory and is not done again: a campaign that was
stopped goes on where it was. docs/scoring.md describes what is measured and how.
"""
import argparse
import concurrent.futures
import hashlib
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
BASELINE = HERE / "baseline.json"
WORKER = "tests/campaigns/detection"
CHUNK = 10  # seeds a job
COARSE_DB = 3
IMPAIRED = [[], ["impaired"], ["untold"]]
TUNERS = ["ideal", "r820t", "zero-if"]  # as the worker numbers them


class Results:
    """Lines of JSON, appended whole; a line that was cut by a kill is dropped."""

    def __init__(self, directory, name, worker, mix):
        self.path = directory / (name + ".jsonl")
        self.lock = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)
        self.check_build(directory / "build.json", worker, mix)
        self.lines = []
        text = self.path.read_text() if self.path.exists() else ""
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):
                self.lines.append(json.loads(line))
        if text and not text.endswith("\n"):
            self.path.write_text(text[:text.rfind("\n") + 1])

    @staticmethod
    def check_build(path, worker, mix):
        """Figures of two builds, or of two databases, are not figures of one detector."""
        parts = [worker, *sorted((SOURCE / "config" / "signatures").glob("*.conf"))]
        digest = hashlib.sha256(b"".join(x.read_bytes() for x in parts)).hexdigest()
        known = json.loads(path.read_text())["worker"] if path.exists() else digest
        if known != digest and not mix:
            sys.exit(f"error: {path.parent} holds results of another build: "
                     "give another --results, or --mix to add to them")
        path.write_text(json.dumps({"worker": digest}) + "\n")

    def add(self, text):
        with self.lock, self.path.open("a") as f:
            f.write(text)
            f.flush()
            self.lines += [json.loads(line) for line in text.splitlines()]


class Progress:
    def __init__(self, total):
        self.total, self.done, self.begin, self.shown = total, 0, time.monotonic(), 0.0
        self.tty = sys.stderr.isatty()

    def step(self, what):
        self.done += 1
        now = time.monotonic()
        if now - self.shown < (0.2 if self.tty else 10) and self.done < self.total:
            return
        self.shown = now
        left = (now - self.begin) / self.done * (self.total - self.done)
        text = f"{self.done}/{self.total} jobs, {left:.0f} s to go: {what}"
        print(f"\r\033[K{text}" if self.tty else text, end="" if self.tty else "\n",
              file=sys.stderr, flush=True)
        if self.tty and self.done == self.total:
            print(file=sys.stderr)


def work(worker, args, nice=19):
    done = subprocess.run(["nice", "-n", str(nice), str(worker), *map(str, args)],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, args))}: {done.stderr.strip()}")
    return done.stdout


def marked(text, members):
    """With more members in each line."""
    return "".join(json.dumps({**json.loads(x), **members}) + "\n" for x in text.splitlines())


def run_jobs(args, jobs, results, members=None):
    """Each job: arguments of the worker. members: id of a job -> what its lines are marked with."""
    progress = Progress(len(jobs))
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        running = {pool.submit(work, args.worker, job, args.nice): job for job in jobs}
        try:
            for future in concurrent.futures.as_completed(running):
                if future.cancelled():
                    continue
                job = running[future]
                text = future.result()
                results.add(marked(text, members[id(job)]) if members else text)
                progress.step(" ".join(map(str, running[future][:6])))
                if time.monotonic() > args.begun + 60 * args.minutes:
                    for other in running:
                        other.cancel()
            if any(x.cancelled() for x in running) and not members:
                sys.exit("time is up; what was done is kept")
        except (KeyboardInterrupt, RuntimeError) as e:
            pool.shutdown(wait=True, cancel_futures=True)
            sys.exit(f"stopped: {e}; what was done is kept" if str(e) else
                     "stopped; what was done is kept")


def named(name, args):
    """With and without the search below the noise there are two detectors."""
    return name + ("-above" if args.above_noise else "")


def below(args):
    return [] if args.above_noise else ["below"]


def chunks(seeds):
    """Runs of consecutive seeds, at most CHUNK long: (first, last)."""
    found = []
    for seed in seeds:
        if found and seed == found[-1][1] + 1 and seed - found[-1][0] < CHUNK:
            found[-1][1] = seed
        else:
            found.append([seed, seed])
    return found


def in_time(line):
    """The first right alert, if it came within the limit."""
    times = [a["time_s"] for a in line["alerts"] if a["right"]]
    return min(times) if times and min(times) <= line["limit_s"] else None


def wanted_points(points, seeds, top, bottom):
    """What a curve still lacks: [(SNR, seeds)], empty when it is done.

    points: SNR -> (runs, of them detected). A few seeds every third dB, then every dB, say where
    the curve bends; the points there, and on to where nearly all or none are detected, get all the
    seeds.
    """
    few = min(CHUNK, seeds)
    all_found = [x for x, (n, k) in points.items() if k >= 0.95 * n - 1]
    none_found = [x for x, (n, k) in points.items() if k <= 0.02 * n]
    for snr in range(top, bottom - 1, -COARSE_DB):
        if points.get(snr, (0, 0))[0] < few:
            return [(snr, few)]
        if snr in none_found:
            break
    middle = [x for x in points if x not in all_found and x not in none_found]
    high = min((x for x in all_found if all(x > m for m in middle)), default=top)
    low = max((x for x in none_found if all(x < m for m in middle) and x < high), default=bottom)
    for n in few, seeds:
        lack = [(x, n) for x in range(high, low - 1, -1) if points.get(x, (0, 0))[0] < n]
        if lack:
            return lack
    return []


def do_pd(args):
    curves = [(c["plan"], c["rate"]) for c in map(json.loads,
              work(args.worker, ["list"]).splitlines())
              if (not args.plan or c["plan"] in args.plan)
              and (not args.rate or c["rate"] in args.rate)]
    if not curves:
        sys.exit("error: no such plan and rate; detection list names them")
    results = Results(args.results, named("pd", args), args.worker, args.mix)
    flags = ["brief"] + IMPAIRED[args.impaired] + below(args)
    top, bottom = args.snr
    for turn in range(100):
        points, done = {}, {}
        for line in results.lines:
            if line["impaired"] == args.impaired:
                key = line["plan"], line["rate"], line["snr_db"]
                n, k = points.setdefault(key[:2], {}).get(key[2], (0, 0))
                points[key[:2]][key[2]] = n + 1, k + (in_time(line) is not None)
                done.setdefault(key, set()).add(line["seed"])
        jobs = [["pd", *c, snr, first, last, *flags] for c in curves
                for snr, seeds in wanted_points(points.get(c, {}), args.seeds, top, bottom)
                for first, last in chunks(s for s in range(1, seeds + 1)
                                          if s not in done.get((*c, snr), ()))]
        if not jobs:
            return
        print(f"turn {turn + 1}: {len({tuple(j[1:3]) for j in jobs})} curves", file=sys.stderr)
        run_jobs(args, jobs, results)


# plan, rate, links, weakest dB, words: as many tracks and alerts as links
LINK_POINTS = [(plan, rate, n, 3, word) for plan, rate in (("FCC915", "200Hz"), ("EU868", "100Hz"),
                                                          ("FCC915", "50Hz"), ("ISM2G4", "250Hz"))
               for word in ("", "gemini") for n in ((1, 2) if word else (2, 3, 4))]
# one strong link; a tuner that mirrors, one that clips and mixes
STRONG_POINTS = [(plan, rate, 1, snr, word) for plan, rate in (("FCC915", "200Hz"),
                                                              ("FCC915", "25Hz"),
                                                              ("ISM2G4", "250Hz"))
                 for snr in (20, 30, 40, 50) for word in ("r820t", "zero-if")
                 if plan != "ISM2G4" or word == "zero-if"]


def do_links(args):
    results = Results(args.results, named("links", args), args.worker, args.mix)
    done = {}
    for x in results.lines:
        key = x["plan"], x["rate"], x["n"], x["snr_db"], x["gemini"], TUNERS[x["tuner"]]
        done.setdefault(key, set()).add(x["seed"])
    jobs = []
    for points, seeds in ((LINK_POINTS, args.seeds), (STRONG_POINTS, args.strong_seeds)):
        for plan, rate, n, snr, word in points:
            if (args.plan and plan not in args.plan) or (args.rate and rate not in args.rate):
                continue
            tuner = word if word in TUNERS else "zero-if" if plan == "ISM2G4" else "r820t"
            key = plan, rate, n, snr, word == "gemini", tuner
            jobs += [["links", plan, rate, n, snr, first, last, tuner, *[word] * (word == "gemini"),
                      *below(args)]
                     for first, last in chunks(s for s in range(1, seeds + 1)
                                               if s not in done.get(key, ()))]
    run_jobs(args, jobs, results)


def scenario_jobs(args, results, levels, seconds, seeds):
    done = {(x["scenario"], x["seed"], x.get("level_db")) for x in results.lines}
    return [["scenario", path, seconds, seed] + ([] if level is None else [level]) + below(args)
            for seed in seeds for level in levels for path in args.scenario
            if (pathlib.Path(path).name.split(".")[0], seed, level) not in done]


def do_false_alarms(args):
    results = Results(args.results, named("false-alarms", args), args.worker, args.mix)
    receivers = sum(json.loads(work(args.worker, ["receivers", x])) for x in args.scenario)
    rounds = math.ceil(args.hours * 3600 / args.chunk_s / receivers)
    run_jobs(args, scenario_jobs(args, results, [None], args.chunk_s, range(1, rounds + 1)),
             results)


def spread_out(levels):
    """Far ones first, so that a campaign that is stopped has been everywhere."""
    found = []
    for step in 16, 8, 4, 2, 1:
        found += [x for x in levels[::step] if x not in found]
    return found


def do_look_alikes(args):
    results = Results(args.results, named("look-alikes", args), args.worker, args.mix)
    levels = list(range(args.levels[0], args.levels[1] + 1))
    seconds = round(args.hours * 3600 / len(levels), 1)
    run_jobs(args, scenario_jobs(args, results, spread_out(levels), seconds, [1]), results)


def do_calibrate(args):
    import calibration  # needs numpy
    results = Results(args.results, "calibration", args.worker, args.mix)
    look_alikes = sorted(HERE.glob("lookalikes/*.conf"))
    environments = sorted((SOURCE / "config" / "scenarios").glob("env-*.conf"))
    rounds = {n: calibration.jobs(n, look_alikes, environments) for n in range(1, args.rounds + 1)}
    done = {(x["round"], x["job"]) for x in results.lines}
    todo = [(n, job) for n, jobs in rounds.items() for job in jobs
            if (n, calibration.name_of(job)) not in done]
    run_jobs(args, [job for _, job in todo], results,
             {id(job): {"round": n, "job": calibration.name_of(job)} for n, job in todo})
    done = {(x["round"], x["job"]) for x in results.lines}
    # a round that was stopped in its middle is of another mix
    wanted = {n: {calibration.name_of(job) for job in jobs} for n, jobs in rounds.items()}
    whole = [n for n, names in wanted.items() if all((n, x) in done for x in names)]
    if len(whole) < 2:
        sys.exit("error: fewer than two whole rounds: what judges is told by the others")
    lines = [x for x in results.lines if x["round"] in whole and x["job"] in wanted[x["round"]]]
    some = calibration.samples(lines)
    rounds = f"1 to {whole[-1]}"
    score = calibration.score_of()
    tables = []
    if args.score:
        score = calibration.train_score(some)
        names = work(args.worker, ["features"]).split("\n")[:-1]
        tables.append(calibration.score_table(score, names, rounds, f"{len(some)} samples"))
    laws, about = calibration.laws_of(some, score)
    tables.append(calibration.laws_table(laws, rounds, about, calibration.unnamed(lines)))
    for text in tables:
        print(text)
        if args.write:
            calibration.write_table(text)
    calibration.report(lines, score, args.as_said, args.plot)


def do_report(args):
    import report  # needs numpy, which nothing else here does; its pictures need matplotlib
    plots = None if args.no_plots else args.plots or args.results / "plots"
    report.write(args.results, plots, args.base,
                 [json.loads(x) for x in work(args.worker, ["list"]).splitlines()], args.about)


# plan, rate, SNR, words: where the link stands out of the noise, and where that ends; then the same
# of the search below the noise
BASELINE_POINTS = [("FCC915", "200Hz", 3), ("FCC915", "200Hz", 0), ("FCC915", "200Hz", -3),
                   ("FCC915", "50Hz", 0), ("EU868", "100Hz", 0), ("EU868-3.x", "200Hz", 0),
                   ("ISM2G4", "250Hz", 0),
                   ("FCC915", "200Hz", -9, "below"), ("FCC915", "200Hz", -13, "below")]


# several links at once: as many alerts as links
BASELINE_LINKS = [("FCC915", "200Hz", 3, 3, "below", "r820t")]


def lines_of(worker, jobs, n_parallel):
    with concurrent.futures.ThreadPoolExecutor(n_parallel) as pool:
        return [json.loads(x) for out in pool.map(lambda j: work(worker, j), jobs)
                for x in out.splitlines()]


def measure(worker, p, seeds, n_parallel):
    """How many of the seeds were detected, or counted right."""
    if p["kind"] == "links":
        return sum(x["alerts"] == x["n"] for x in lines_of(
            worker, [["links", p["plan"], p["rate"], p["n"], p["snr_db"], seed, seed, *p["words"]]
                     for seed in range(1, seeds + 1)], n_parallel)), None
    times = [t for t in map(in_time, lines_of(
        worker, [["pd", p["plan"], p["rate"], p["snr_db"], first, last, "brief", *p["words"]]
                 for first, last in chunks(range(1, seeds + 1))], n_parallel)) if t is not None]
    return len(times), round(statistics.median(times), 3) if times else None


def do_baseline(args):
    points = [{"kind": "pd", "plan": p[0], "rate": p[1], "snr_db": p[2], "words": list(p[3:]),
               "seeds": args.seeds} for p in BASELINE_POINTS]
    points += [{"kind": "links", "plan": p[0], "rate": p[1], "n": p[2], "snr_db": p[3],
                "words": list(p[4:]), "seeds": args.seeds // 2} for p in BASELINE_LINKS]
    for p in points:
        p["right"], median = measure(args.worker, p, p["seeds"], args.jobs)
        if p["kind"] == "pd":
            p["median_s"] = median
        print(p)
    text = ",\n".join("  " + json.dumps(p) for p in points)
    BASELINE.write_text('{"made_by": "tests/campaigns/detection.py baseline --worker '
                        f'build/{WORKER}",\n "points": [\n{text}\n]}}\n')


def do_check(args):
    import bounds
    faults = 0
    for p in json.loads(BASELINE.read_text())["points"]:
        k, _ = measure(args.worker, p, p["seeds"], args.jobs)
        low, high = bounds.wilson(p["right"], p["seeds"])
        moved = not low <= k / p["seeds"] <= high
        faults += moved
        links = f"{p['n']} links " if p["kind"] == "links" else ""
        print(f"{p['plan']} {p['rate']} {links}at {p['snr_db']:+d} dB {' '.join(p['words'])}: {k} "
              f"of {p['seeds']} right, baseline {p['right']}{': MOVED' if moved else ''}")
    if faults:
        print("If this was meant, make the baseline anew: " +
              json.loads(BASELINE.read_text())["made_by"])
    return 1 if faults else 0


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, do in COMMANDS.items():
        p = commands.add_parser(name)
        p.set_defaults(do=do)
        p.add_argument("--worker", type=pathlib.Path, default=SOURCE / "build" / WORKER)
        p.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), help="in parallel")
        if name not in ("baseline", "check"):
            p.add_argument("--results", type=pathlib.Path, required=True, metavar="DIR")
        if name in ("pd", "links", "false-alarms", "look-alikes", "calibrate"):
            p.add_argument("--mix", action="store_true", help="add to results of another build")
            p.add_argument("--nice", type=int, default=19, help="of the workers (%(default)s)")
            p.add_argument("--minutes", type=float, default=math.inf,
                           help="begin no more runs after so long; what is done is kept")
            p.add_argument("--above-noise", action="store_true",
                           help="without the search below the noise")
        if name in ("pd", "links", "baseline"):
            p.add_argument("--seeds", type=int, default=16 if name == "baseline" else 100,
                           help="runs a point (%(default)s)")
        if name == "links":
            p.add_argument("--strong-seeds", type=int, default=20,
                           help="the same for a strong link alone (%(default)s)")
        if name in ("pd", "links"):
            p.add_argument("--plan", action="append", help="only this one (may be repeated)")
            p.add_argument("--rate", action="append", help="only this one (may be repeated)")
        if name == "pd":
            p.add_argument("--snr", type=int, nargs=2, default=(6, -26), metavar=("FROM", "TO"),
                           help="dB, downwards (6 -26)")
            p.add_argument("--impaired", action="store_const", const=1, default=0,
                           help="lost samples, gain steps, a birdie")
            p.add_argument("--untold", action="store_const", const=2, dest="impaired",
                           help="the same; the receiver does not know what it has lost")
        if name == "calibrate":
            p.add_argument("--rounds", type=int, default=6,
                           help="of some minutes of a core each (%(default)s)")
            p.add_argument("--write", action="store_true", help="the laws into src/sig/confidence.c")
            p.add_argument("--score", action="store_true",
                           help="fit the score, too: that moves the gate of the alert rule")
            p.add_argument("--as-said", action="store_true",
                           help="judge what the worker said, not the new fit")
            p.add_argument("--plot", type=pathlib.Path, metavar="PNG")
        if name == "report":
            p.add_argument("--plots", type=pathlib.Path, metavar="DIR", help="(RESULTS/plots)")
            p.add_argument("--no-plots", action="store_true")
            p.add_argument("--base", default="plots/", help="how the text names them (%(default)s)")
            p.add_argument("--about", default="", help="a first paragraph")
        if name in ("false-alarms", "look-alikes"):
            p.add_argument("scenario", nargs="+")
            p.add_argument("--hours", type=float, default=12 if name == "false-alarms" else 1,
                           help="of signal: false-alarms in all, look-alikes each (%(default)s)")
        if name == "false-alarms":
            p.add_argument("--chunk-s", type=float, default=300,
                           help="a run of every scenario in turn (%(default)s)")
        if name == "look-alikes":
            p.add_argument("--levels", type=int, nargs=2, default=(-15, 50),
                           metavar=("FROM", "TO"), help="dB, upwards (-15 50)")
    return parser.parse_args()


COMMANDS = {"pd": do_pd, "links": do_links, "false-alarms": do_false_alarms, "look-alikes": do_look_alikes,
            "calibrate": do_calibrate, "report": do_report, "baseline": do_baseline, "check": do_check}

if __name__ == "__main__":
    sys.dont_write_bytecode = True
    chosen = options()
    chosen.begun = time.monotonic()
    if not chosen.worker.is_file():
        sys.exit(f"error: {chosen.worker}: not there; build it, or name it with --worker")
    sys.exit(chosen.do(chosen))
