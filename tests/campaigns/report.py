# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables (Markdown, on standard output) and pictures of what the campaigns have run."""
import collections
import json
import math
import pathlib
import statistics

import bounds
import reliability

# design targets: SNR at which 90 % must be found within the time limit; at 2.4 GHz 7 dB below what the
# link itself can decode (SF5 -2.5 dB, 2.5 dB a spreading factor)
TARGETS = {"200Hz": -12.0, "100Hz": -14.5, "50Hz": -17.0, "25Hz": -20.5}
TARGETS_2G4 = {"500Hz": -9.5, "333HzFull": -9.5, "250Hz": -12.0, "150Hz": -14.5, "100HzFull": -14.5,
               "50Hz": -17.0}
TAIL_MIN = 20  # tracks, of whose upper half the tail's law is fitted
TRIALS = 3600  # an hour
THRESHOLD = math.log(TRIALS * 720)  # nats that an alert takes by default
LOOKALIKES = pathlib.Path(__file__).resolve().parent / "lookalikes"
TUNERS = ["ideal", "r820t", "zero-if"]


def load(directory, name):
    path = directory / (name + ".jsonl")
    return [json.loads(x) for x in path.read_text().splitlines()] if path.exists() else []


def alert_time(line):
    times = [a["time_s"] for a in line["alerts"] if a["right"]]
    return min(times) if times and min(times) <= line["limit_s"] else None


def quantile(x, p):
    x, place = sorted(x), p * (len(x) - 1)
    i = int(place)
    return x[i] if i + 1 >= len(x) else x[i] + (place - i) * (x[i + 1] - x[i])


def crossing(curve, level, key):
    """SNR at which a rising curve last crosses the level, by straight lines; None if it does not."""
    for upper, lower in zip(curve, curve[1:]):
        if upper[key] >= level > lower[key]:
            part = (level - lower[key]) / (upper[key] - lower[key])
            return lower["snr_db"] + part * (upper["snr_db"] - lower["snr_db"])
    return None


def number(x, form="{:.2f}"):
    return "–" if x is None else form.format(x)


def percent(part, whole):
    return f"{100 * part / whole:.0f} %" if whole else "–"


def table(head, rows):
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


# ---- probability of detection ----

def bound(air, snr, info, is_filter):
    """Over the runs' own packets: some hop sequences pass the receiver's band more often."""
    if is_filter:
        return statistics.fmean(bounds.matched_filter(a, snr, info["bandwidth_hz"], info["sf"])
                                for a in air)
    return statistics.fmean(bounds.radiometer(a, snr, info["bandwidth_hz"]) for a in air)


def first_right(line):
    return min((a for a in line["alerts"] if a["right"]), key=lambda a: a["time_s"], default=None)


def curve_of(lines, info):
    """One row a SNR, highest first."""
    rows = []
    points = collections.defaultdict(list)
    for line in lines:
        points[line["snr_db"]].append(line)
    for snr, runs in sorted(points.items(), reverse=True):
        times = [t for t in map(alert_time, runs) if t is not None]
        low, high = bounds.wilson(len(times), len(runs))
        air = [r["on_air_s"] for r in runs]
        alerts = [a for a in map(first_right, runs) if a]
        rows.append({
            "snr_db": snr, "n": len(runs), "k": len(times), "pd": len(times) / len(runs),
            "low": low, "high": high,
            "median_s": statistics.median(times) if times else None,
            "p95_s": quantile(times, 0.95) if times else None,
            "alerts": len(alerts),
            "false": sum(not a["right"] for r in runs for a in r["alerts"]),
            "rate_open": sum(not a["variant"] for a in alerts),
            "rate_wrong": sum(a["variant"] not in ("", info["rate"]) for a in alerts),
            "plan_open": sum(not a["domain"] for a in alerts),
            "plan_wrong": sum(a["domain"] not in ("", info["plan"]) for a in alerts),
            "air": air,
            "filter": bound(air, snr, info, True), "energy": bound(air, snr, info, False)})
    return rows


def curves_of(lines, infos):
    groups = collections.defaultdict(list)
    for line in lines:
        groups[line["plan"], line["rate"]].append(line)
    order = list(infos)
    for key in sorted(groups, key=order.index):
        info = infos[key]
        parts = [curve_of([r for r in groups[key] if r["impaired"] == x], info)
                 for x in range(3)]
        air = [a for rows in parts for r in rows for a in r["air"]][:200]
        grid = [x / 2 for x in range(-90, 13)]
        curve = {**info, "rows": parts[0], "impaired": parts[1], "untold": parts[2], "grid": grid,
                 "filter": [bound(air, x, info, True) for x in grid],
                 "energy": [bound(air, x, info, False) for x in grid],
                 "target": (TARGETS_2G4 if info["plan"] == "ISM2G4" else TARGETS).get(info["rate"])}
        fine = [{"snr_db": x, "filter": a, "energy": b} for x, a, b in
                zip(grid, curve["filter"], curve["energy"])][::-1]
        curve["ends"] = {"clean": crossing(curve["rows"], 0.9, "pd"),
                         "impaired": crossing(curve["impaired"], 0.9, "pd"),
                         "untold": crossing(curve["untold"], 0.9, "pd"),
                         "filter": crossing(fine, 0.9, "filter"),
                         "energy": crossing(fine, 0.9, "energy")}
        yield curve


def report_pd(lines, infos, draw, suffix):
    curves = list(curves_of(lines, infos))
    print("\n## Probability of detection\n\nSNR in dB at which nine of ten alert within the limit, "
          "by straight lines between the points.")
    rows = []
    for c in curves:
        e = c["ends"]
        loss = None if e["clean"] is None or e["impaired"] is None else e["impaired"] - e["clean"]
        worst = [r for part in (c["rows"], c["impaired"], c["untold"]) for r in part]
        rows.append([c["plan"], c["rate"], f"{c['limit_s']:g} s", number(e["clean"], "{:+.1f}"),
                     number(c["target"], "{:+.1f}"), number(e["impaired"], "{:+.1f}"),
                     number(loss, "{:.1f}"), number(e["untold"], "{:+.1f}"), number(e["energy"], "{:+.1f}"),
                     number(e["filter"], "{:+.1f}"), sum(r["n"] for r in worst),
                     sum(r["false"] for r in worst),
                     f"{sum(r['rate_wrong'] for r in worst)} / "
                     f"{sum(r['plan_wrong'] for r in worst)}"])
    table(["plan", "rate", "within", "90 % at", "target", "impaired: 90 % at", "loss dB",
           "untold: 90 % at",
           "radiometer", "matched filter", "runs", "false alerts", "rate / plan named wrong"], rows)
    plans = list(dict.fromkeys(c["plan"] for c in curves))
    for plan in plans:
        group = [c for c in curves if c["plan"] == plan]
        if draw:
            draw.pd_curves(plan, group, draw.path(f"pd-{plan}{suffix}.png"))
            draw.alert_times(plan, group, draw.path(f"time-{plan}{suffix}.png"))
            print(f"\n![detection in {plan}]({draw.name(f'pd-{plan}{suffix}.png')})\n"
                  f"\n![time to alert in {plan}]({draw.name(f'time-{plan}{suffix}.png')})")
    for c in curves:
        for part, name in (("rows", ""), ("impaired", ", impaired"),
                           ("untold", ", impaired, losses untold")):
            if c[part]:
                print_curve(c, c[part], name)


def print_curve(c, rows, name):
    print(f"\n### {c['plan']} {c['rate']}{name}: alert within {c['limit_s']:g} s")
    table(["SNR dB", "runs", "alert in time", "95 %", "median s", "p95 s", "rate open / wrong",
           "plan open / wrong", "false", "matched filter", "radiometer"],
          [[f"{r['snr_db']:+g}", r["n"], f"{100 * r['pd']:.0f} %",
            f"{100 * r['low']:.0f}–{100 * r['high']:.0f} %", number(r["median_s"]),
            number(r["p95_s"]), f"{r['rate_open']} / {r['rate_wrong']}",
            f"{r['plan_open']} / {r['plan_wrong']}", r["false"], f"{100 * r['filter']:.0f} %",
            f"{100 * r['energy']:.0f} %"] for r in rows])


# ---- false alerts ----

def report_false_alarms(lines, draw, suffix):
    scenarios = collections.defaultdict(list)
    for line in lines:
        scenarios[line["scenario"]].append(line)
    print("\n## False alerts\n\nSettings: one in 30 days (the default), 1 an hour, 10 an hour, "
          "counted in the same runs. Hours are receiver-hours.")
    rows = []
    for name, runs in [*sorted(scenarios.items()), ("all", lines)]:
        hours = sum(r["seconds"] for r in runs) / 3600
        n = [sum(r["settings"][i]["alerts"] for r in runs) for i in range(3)]
        rows.append([name, f"{hours:.2f}", f"{sum(r['candidates'] for r in runs) / hours:.2f}",
                     sum(len(r["ruled"]) for r in runs), n[0],
                     f"{bounds.poisson_upper(n[0]) / hours:.3g}",
                     *(f"{k} ({k / hours:.3g}/h, at most {bounds.poisson_upper(k) / hours:.3g})"
                       for k in n[1:])])
    table(["scenario", "hours", "candidates an hour", "met the rule", "alerts at the default",
           "95 % bound an hour", "at 1 an hour", "at 10 an hour"], rows)
    for line in lines:
        for a in line["alerts"]:
            print(f"\n- {line['scenario']} {line['receiver']}, seed {line['seed']}, "
                  f"{a['time_s']:.1f} s: {a['family']} {a['variant']} {a['domain']}, evidence "
                  f"{a['evidence']}")
    report_tail(lines, draw, suffix)


def report_tail(lines, draw, suffix):
    """How many tracks an hour ever had more than so much evidence. Likelihood ratios fall as an
    exponential of scale 1 at most if their model is true; the scale that is found says how far it
    is, and reaches the threshold where nothing can be counted."""
    hours = sum(r["seconds"] for r in lines) / 3600
    sets = []
    for name, peaks in (("all tracks", [t[0] for r in lines for t in r["tracks"]]),
                        ("that met the behaviour rule", [x for r in lines for x in r["ruled"]])):
        peaks.sort(reverse=True)
        print(f"\nTail, {name}: {len(peaks)} in {hours:.2f} h, the highest "
              f"{number(max(peaks, default=None), '{:.1f}')} nats", end="")
        if len(peaks) < TAIL_MIN:
            print("; too few for a law.")
            sets.append((name, peaks, None))
            continue
        start = statistics.median(peaks)
        beyond = [p - start for p in peaks if p > start]
        scale, rate = statistics.fmean(beyond), len(beyond) / hours
        sets.append((name, peaks, (start, rate, scale)))
        print(f"; {len(beyond)} over {start:.1f}, fewer by a factor e each {scale:.1f} nats; at "
              f"{THRESHOLD:.1f} nats {rate * math.exp(min(0, (start - THRESHOLD) / scale)):.3g} an "
              "hour by extrapolation.")
    ruled = sets[1][1]
    rows = []
    for setting in (0.1, 0.3, 1, 3, 10, 30, 100):
        k = sum(p >= math.log(TRIALS / setting) for p in ruled)
        rows.append((setting, k / hours, (bounds.poisson_lower(k)) / hours,
                     bounds.poisson_upper(k, 0.025) / hours))
    table(["set, an hour", "threshold, nats", "tracks that met the rule and cross it, an hour",
           "95 % interval", "at most twice the setting"],
          [[f"{s:g}", f"{math.log(TRIALS / s):.1f}", f"{rate:.3g}", f"{low:.3g}–{high:.3g}",
            "yes" if high <= 2 * s else "no" if low > 2 * s else "open"]
           for s, rate, low, high in rows])
    if draw:
        draw.tail(sets, hours, THRESHOLD, draw.path(f"false-alerts{suffix}.png"))
        draw.settings(rows, draw.path(f"settings{suffix}.png"))
        print(f"\n![evidence in background]({draw.name(f'false-alerts{suffix}.png')})\n"
              f"\n![false alerts and setting]({draw.name(f'settings{suffix}.png')})")


# ---- look-alikes ----

def is_hopper(name):
    """Whether it truly hops like a control link, so that unknown-fhss is right."""
    path = LOOKALIKES / (name + ".conf")
    return path.exists() and "silent or unknown-fhss" in path.read_text()


def fault(run, alert):
    return alert["family"] != "unknown-fhss" or not is_hopper(run["scenario"])


def report_look_alikes(lines, draw, suffix):
    scenarios = collections.defaultdict(list)
    for line in lines:
        scenarios[line["scenario"]].append(line)
    print("\n## Look-alikes, each alone\n\nWrong: alerts of another family than `unknown-fhss`, and "
          "that where nothing hops like a control link.")
    rows, cells = [], {}
    for name, runs in sorted(scenarios.items()):
        levels = [r["level_db"] for r in runs]
        families = collections.Counter(a["family"] for r in runs for a in r["alerts"])
        where = sorted({r["level_db"] for r in runs if any(fault(r, a) for a in r["alerts"])})
        rows.append([name, f"{sum(r['seconds'] for r in runs) / 3600:.2f}",
                     f"{min(levels):+g} to {max(levels):+g}, {len(set(levels))} levels",
                     sum(r["candidates"] for r in runs),
                     sum(fault(r, a) for r in runs for a in r["alerts"]),
                     ", ".join(f"{k} {v}" for k, v in families.items()) or "–", ranges(where)])
        cells[name] = {r["level_db"]: shade(r) for r in runs}
    table(["look-alike", "hours", "dB", "candidates", "wrong alerts", "families",
           "wrong at dB"], rows)
    hours = sum(r["seconds"] for r in lines) / 3600
    wrong = [x for x in rows if x[4]]
    print(f"\n{len(rows)} look-alikes, {hours:.1f} h; silent or rightly named: "
          f"{len(rows) - len(wrong)}.")
    if draw:
        levels = sorted({r["level_db"] for r in lines})
        draw.look_alikes(sorted(cells), list(range(int(levels[0]), int(levels[-1]) + 1)), cells,
                         draw.path(f"look-alikes{suffix}.png"))
        print(f"\n![look-alikes]({draw.name(f'look-alikes{suffix}.png')})")


def shade(run):
    if any(a["family"] != "unknown-fhss" for a in run["alerts"]):
        return 3
    return 2 if run["alerts"] else 1 if run["tracks"] else 0


def ranges(levels):
    """1 2 3 7 -> +1 … +3, +7."""
    parts = []
    for x in levels:
        if parts and x == parts[-1][1] + 1:
            parts[-1][1] = x
        else:
            parts.append([x, x])
    return ", ".join(f"{a:+g}" if a == b else f"{a:+g} … {b:+g}" for a, b in parts) or "–"


# ---- several links ----

def owner(track):
    """(the link that a track follows, whether where it sends); (None, False): nobody's."""
    for heard in track["votes"], track["aside"]:
        # one that hears more of nothing than of anybody follows nobody
        if sum(heard) > 0 and sum(track["votes"]) + sum(track["aside"]) >= track["strangers"] \
                and 2 * sum(heard) >= sum(track["votes"]) + sum(track["aside"]):
            return heard.index(max(heard)), heard is track["votes"]
    return None, False


def outcome(run):
    """What became of the links: right, or what went wrong first of: missed, merged (another link's
    track has heard it, too), doubled, aside (a second alert on other channels than the link's),
    ghost (an alert when nobody was heard, or raised twice)."""
    alerting = [t for t in run["tracks"] if t["alerts"]]
    owners = [owner(t) for t in alerting]
    for i in range(run["n"]):
        if not any(o[0] == i for o in owners):
            shared = any(4 * t["votes"][i] >= sum(t["votes"]) > 0 for t in alerting)
            return "merged" if shared else "missed"
    for i in range(run["n"]):
        if owners.count((i, True)) > 1:
            return "doubled"
    if any(o[0] is not None and not o[1] for o in owners) and len(owners) > run["n"]:
        return "aside"
    return "ghost" if (None, False) in owners or run["alerts"] != run["n"] else "right"


def report_links(lines, draw, suffix):
    points = collections.defaultdict(list)
    for line in lines:
        points[line["n"] == 1 and not line["gemini"], line["plan"], line["rate"], line["gemini"],
               line["n"], line["snr_db"], TUNERS[line["tuner"]]].append(line)
    print("\n## Several links at once\n\nSame product, levels over 20 dB, the weakest at the level "
          "given; telemetry within ± 10 dB of its handset; Gemini links send on two channels at "
          "once. *Right*: one alert and one confirmed track for each link, and no more. *Missed*: "
          "no alert follows a link; *merged*: another link's track has heard it, too; *doubled*: "
          "two alerts on one; *aside*: two alerts on one, the second heard in its time on channels "
          "where it was not; *ghost*: an alert when no link sent, or raised twice.")
    rows, bars = [], []
    for key, runs in sorted(points.items()):
        found = collections.Counter(map(outcome, runs))
        n = len(runs)
        low, high = bounds.wilson(found["right"], n)
        counted = sum(r["alerts"] == r["n"] for r in runs)
        label = f"{key[1]} {key[2]}{' Gemini' if key[3] else ''}, {key[4]} at {key[5]:+g} dB, " \
                f"{key[6]}"
        rows.append([label, n, percent(found["right"], n), f"{100 * low:.0f}–{100 * high:.0f} %",
                     percent(counted, n),
                     percent(sum(sum(t["confirmed"] for t in r["tracks"]) == r["n"] for r in runs),
                             n),
                     *(found[x] for x in ("missed", "merged", "doubled", "aside", "ghost")),
                     f"{statistics.fmean(len(r['tracks']) for r in runs) - key[4]:.1f}"])
        bars.append((label, n, {k: v / n for k, v in found.items()}))
    table(["links", "runs", "right", "95 %", "number of alerts right", "of confirmed tracks right",
           "missed", "merged", "doubled", "aside", "ghost", "further tracks a run, tentative too"], rows)
    if draw:
        draw.links(bars, draw.path(f"links{suffix}.png"))
        print(f"\n![several links]({draw.name(f'links{suffix}.png')})")


# ---- confidence ----

def said(pd, links, hours, alike):
    """(setting, Said) of every alert when it was raised, with the false-alert rate set to each of the
    settings. In scenarios right is what truly hops; elsewhere a link of that family, heard there."""
    for kind, lines in (("one link", pd), ("several links", links), ("background", hours),
                        ("look-alikes", alike)):
        for run, line in enumerate(lines):
            for setting, confidence, right, family in line["said"]:
                if kind == "look-alikes":
                    right = not fault(line, {"family": family})
                yield setting, reliability.Said(confidence, bool(right), (kind, run), kind)


def report_calibration(pd, links, hours, alike, draw, suffix):
    """Over everything that was run: the mix of runs is the campaign's, not a site's."""
    everything = list(said(pd, links, hours, alike))
    print("\n## Calibration of confidence\n\nAlerts when they were raised, in the same runs at four "
          "settings of the false-alert rate. Right: a drone's link of that family was on the air, and "
          "was where the alert's emitter was heard; of look-alikes, `unknown-fhss` where something "
          "hops like a control link. Intervals count runs.")
    sets = []
    for name, wanted in [("Alerts of all settings", range(len(reliability.SETTINGS))),
                         *((f"Alerts, set to {s}", [i])
                           for i, s in enumerate(reliability.SETTINGS))]:
        some = [s for setting, s in everything if setting in wanted]
        if not some:
            continue
        rows = reliability.rows(some)
        sets.append((name.lower(), reliability.points(rows)))
        print(f"\n### {name}\n\n{sum(s.right for s in some)} of {len(some)} right.\n\n"
              f"{reliability.table(rows)}\n\n{reliability.verdict(rows)}")
    tracks = [reliability.Said(t[1], bool(t[2]), (kind, run, i), kind)
              for kind, lines in (("one link", pd), ("background", hours))
              for run, line in enumerate(lines) for i, t in enumerate(line["tracks"])]
    if tracks:
        rows = reliability.rows(tracks)
        print("\n### Tracks at their highest\n\nEverything that was followed at the default, alert or "
              f"not; each track counts.\n\n{reliability.table(rows)}")
        sets.append(("tracks at their highest", reliability.points(rows)))
    if draw and sets:
        draw.reliability([sets[0], sets[-1]], draw.path(f"calibration{suffix}.png"))
        print(f"\n![calibration]({draw.name(f'calibration{suffix}.png')})")


class Draw:
    """The functions of plots.py, with where the files go and how the text names them."""

    def __init__(self, directory, base):
        import plots
        self.directory, self.base = directory, base
        self.plots = plots

    def __getattr__(self, name):
        return getattr(self.plots, name)

    def path(self, name):
        return self.directory / name

    def name(self, name):
        return f"{self.base}{name}"


def write(directory, plots, base, infos, about):
    draw = Draw(plots, base) if plots else None
    print(f"# Detection campaign\n\n{about}")
    for suffix in "", "-above":
        pd, links, hours, alike = (load(directory, n + suffix)
                                   for n in ("pd", "links", "false-alarms", "look-alikes"))
        if not (pd or links or hours or alike):
            continue
        if suffix:
            print("\n# Without the search below the noise")
        if pd:
            report_pd(pd, {(i["plan"], i["rate"]): i for i in infos}, draw, suffix)
        if hours:
            report_false_alarms(hours, draw, suffix)
        if alike:
            report_look_alikes(alike, draw, suffix)
        if links:
            report_links(links, draw, suffix)
        report_calibration(pd, links, hours, alike, draw, suffix)
