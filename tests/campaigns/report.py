# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables (Markdown, on standard output) and plots of what the campaigns have run."""
import collections
import json
import math
import statistics

import bounds
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402 (the backend comes first)

# design targets: SNR at which 90 % must be found within the time limit
TARGETS = {"200Hz": -12.0, "100Hz": -14.5, "50Hz": -17.0, "25Hz": -20.5}
TAIL_FROM = 3.0  # nats; the tail's law is fitted from here on
THRESHOLD = math.log(3600 * 720)  # nats that an alert takes by default
MEASURED, FILTER, ENERGY, GREY = "#1f77b4", "#2ca02c", "#d62728", "#777777"
BINS = [0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0001]


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
        rows.append({
            "snr_db": snr, "n": len(runs), "k": len(times), "pd": len(times) / len(runs),
            "low": low, "high": high,
            "median_s": statistics.median(times) if times else None,
            "p95_s": quantile(times, 0.95) if times else None,
            "extra": sum(max(0, sum(a["right"] for a in r["alerts"]) - 1) for r in runs),
            "false": sum(not a["right"] for r in runs for a in r["alerts"]),
            "air": air,
            "filter": bound(air, snr, info, True), "energy": bound(air, snr, info, False)})
    return rows


def bound(air, snr, info, is_filter):
    """Over the runs' own packets: some hop sequences pass the receiver's band more often."""
    if is_filter:
        return statistics.fmean(bounds.matched_filter(a, snr, info["bandwidth_hz"], info["sf"])
                                for a in air)
    return statistics.fmean(bounds.radiometer(a, snr, info["bandwidth_hz"]) for a in air)


def bound_lines(rows, info):
    """Both bounds on a fine grid that reaches beyond what was run."""
    air = rows[0]["air"]
    grid = [x / 2 for x in range(-90, 2 * int(rows[0]["snr_db"]) + 1)]
    return grid, [bound(air, x, info, True) for x in grid], [bound(air, x, info, False)
                                                             for x in grid]


def number(x, form="{:.2f}"):
    return "–" if x is None else form.format(x)


def print_curve(key, rows, info, ends):
    plan, rate, impaired = key
    print(f"\n### {plan} {rate}{', impaired' if impaired else ''}: alert within "
          f"{info['limit_s']:g} s\n")
    print("| SNR dB | runs | alert in time | 95 % | median s | p95 s | extra | false | matched "
          "filter | radiometer |\n|---|---|---|---|---|---|---|---|---|---|")
    for r in rows:
        print(f"| {r['snr_db']:+g} | {r['n']} | {100 * r['pd']:.0f} % | {100 * r['low']:.0f}–"
              f"{100 * r['high']:.0f} % | {number(r['median_s'])} | {number(r['p95_s'])} | "
              f"{r['extra']} | {r['false']} | {100 * r['filter']:.0f} % | "
              f"{100 * r['energy']:.0f} % |")
    print(f"\n90 % at {number(ends['measured'], '{:+.1f}')} dB; matched filter "
          f"{number(ends['filter'], '{:+.1f}')} dB, radiometer {number(ends['energy'], '{:+.1f}')}"
          f" dB; target {number(TARGETS.get(rate) if plan != 'ISM2G4' else None, '{:+.1f}')} dB.")


def draw_curve(ax, key, rows, info, is_target):
    snr = [r["snr_db"] for r in rows]
    pd = [100 * r["pd"] for r in rows]
    errors = [[100 * (r["pd"] - r["low"]) for r in rows], [100 * (r["high"] - r["pd"]) for r in rows]]
    grid, best, energy = bound_lines(rows, info)
    ax.plot(grid, [100 * x for x in best], color=FILTER, lw=1.2, label="matched filter (bound)")
    ax.plot(grid, [100 * x for x in energy], color=ENERGY, lw=1.2, ls="--",
            label="ideal radiometer")
    ax.errorbar(snr, pd, yerr=errors, color=MEASURED, marker="o", ms=3, capsize=2,
                label="measured, 95 % interval")
    if is_target:
        ax.plot([TARGETS[key[1]]], [90], marker="*", ms=11, color="black", ls="none",
                label="target")
    ax.set_title(f"{key[1]}: alert within {info['limit_s']:g} s", fontsize=10)
    ax.set_ylim(-3, 103)
    visible = [x for x, y in zip(grid, best) if y > 0.01]
    ax.set_xlim(min(visible, default=-30) - 1, max(snr) + 0.5)
    ax.grid(alpha=0.3)


def report_pd(lines, plots, infos, suffix):
    curves = collections.defaultdict(list)
    for line in lines:
        curves[line["plan"], line["rate"], line["impaired"]].append(line)
    print("\n## Probability of detection")
    groups = collections.defaultdict(list)
    for key, runs in curves.items():
        info = infos[key[0], key[1]]
        rows = curve_of(runs, info)
        grid, best, energy = bound_lines(rows, info)
        ends = {"measured": crossing(rows, 0.9, "pd")}
        for name, values in ("filter", best), ("energy", energy):
            fine = [{"snr_db": x, "y": y} for x, y in zip(grid, values)]
            ends[name] = crossing(fine[::-1], 0.9, "y")
        print_curve(key, rows, info, ends)
        groups[key[0], key[2]].append((key, rows, info))
    for (plan, impaired), group in groups.items():
        columns = min(2, len(group))
        n_rows = -(-len(group) // columns)
        fig, axes = plt.subplots(n_rows, columns, figsize=(5.6 * columns, 3.7 * n_rows + 0.6),
                                 squeeze=False)
        for ax in axes.flat[len(group):]:
            ax.set_visible(False)
        for ax, (key, rows, info) in zip(axes.flat, group):
            draw_curve(ax, key, rows, info, plan != "ISM2G4" and key[1] in TARGETS)
            ax.set_xlabel("SNR in the signal's bandwidth, dB")
            ax.set_ylabel("alert in time, %")
        fig.legend(*axes.flat[0].get_legend_handles_labels(), fontsize=8, loc="lower center",
                   ncols=4)
        fig.suptitle(f"ExpressLRS in {plan}{', impaired receiver' if impaired else ''}")
        save(fig, plots / f"pd-{plan}{'-impaired' if impaired else ''}{suffix}.png")


def save(fig, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.tight_layout(rect=(0, 0.05 if fig.legends else 0, 1, 1))
    fig.savefig(path, dpi=110)
    plt.close(fig)
    print(f"\nplot: {path}")


def report_false_alarms(lines, plots, suffix):
    scenarios = collections.defaultdict(list)
    for line in lines:
        scenarios[line["scenario"]].append(line)
    print("\n## False alerts\n")
    print("| scenario | hours | candidates an hour | alerts at one in 30 days | 95 % bound, an hour"
          " | at 1 an hour | at 10 an hour |\n|---|---|---|---|---|---|---|")
    for name, runs in [*sorted(scenarios.items()), ("all", lines)]:
        hours = sum(r["seconds"] for r in runs) / 3600
        n = [sum(r["settings"][i]["alerts"] for r in runs) for i in range(3)]
        print(f"| {name} | {hours:.2f} | {sum(r['candidates'] for r in runs) / hours:.2f} | {n[0]} "
              f"| {bounds.poisson_upper(n[0]) / hours:.3g} | {n[1]} ({n[1] / hours:.3g}/h) "
              f"| {n[2]} ({n[2] / hours:.3g}/h) |")
    draw_tail(lines, plots, suffix)


def draw_tail(lines, plots, suffix):
    """How many tracks an hour ever had more than so much evidence; a straight line is the law that
    evidence in nats should follow, and reaches the threshold where nothing can be counted."""
    hours = sum(r["seconds"] for r in lines) / 3600
    sets = {"all tracks": sorted((t[0] for r in lines for t in r["tracks"]), reverse=True),
            "that met the behaviour rule": sorted((x for r in lines for x in r["ruled"]),
                                                  reverse=True)}
    fig, ax = plt.subplots(figsize=(6.5, 4.2))
    for (name, peaks), colour in zip(sets.items(), (MEASURED, ENERGY)):
        print(f"\nTail, {name}: {len(peaks)} in {hours:.2f} h", end="")
        ax.step(peaks, [(i + 1) / hours for i in range(len(peaks))], where="post", color=colour,
                label=f"{name}, {hours:.1f} h")
        beyond = [p - TAIL_FROM for p in peaks if p >= TAIL_FROM]
        if len(beyond) < 10:
            print(f", too few over {TAIL_FROM:g} nats for a fit.")
            continue
        scale, rate = statistics.fmean(beyond), len(beyond) / hours
        at = [TAIL_FROM, THRESHOLD + 2]
        ax.plot(at, [rate * math.exp((TAIL_FROM - x) / scale) for x in at], color=colour, ls="--")
        print(f", {len(beyond)} of them over {TAIL_FROM:g} nats, fewer by a factor e each "
              f"{scale:.1f} nats; at {THRESHOLD:.1f} nats "
              f"{rate * math.exp((TAIL_FROM - THRESHOLD) / scale):.3g} an hour by extrapolation.")
    ax.axvline(THRESHOLD, color=GREY, ls=":", label="default threshold")
    ax.set_yscale("log")
    ax.set_xlabel("highest evidence of a track, nats")
    ax.set_ylabel("tracks an hour with more")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    save(fig, plots / f"false-alerts{suffix}.png")


def report_look_alikes(lines):
    scenarios = collections.defaultdict(list)
    for line in lines:
        scenarios[line["scenario"]].append(line)
    print("\n## Look-alikes, each alone\n")
    print("| scenario | hours | levels dB | candidates | alerts | families | at levels dB |\n"
          "|---|---|---|---|---|---|---|")
    for name, runs in sorted(scenarios.items()):
        levels = [r["level_db"] for r in runs]
        families = collections.Counter(a["family"] for r in runs for a in r["alerts"])
        where = sorted({r["level_db"] for r in runs if r["alerts"]})
        print(f"| {name} | {sum(r['seconds'] for r in runs) / 3600:.2f} | {min(levels):+g} to "
              f"{max(levels):+g} | {sum(r['candidates'] for r in runs)} "
              f"| {sum(r['settings'][0]['alerts'] for r in runs)} "
              f"| {', '.join(f'{k} {v}' for k, v in families.items()) or '–'} "
              f"| {', '.join(f'{x:+g}' for x in where) or '–'} |")


def reliability(pairs):
    """(said, right) -> rows of (mean said, n, right)."""
    rows = []
    for low, high in zip(BINS, BINS[1:]):
        inside = [p for p in pairs if low <= p[0] < high]
        if inside:
            rows.append((low, min(high, 1.0), statistics.fmean(p[0] for p in inside), len(inside),
                         sum(p[1] for p in inside)))
    return rows


def logit(p):
    p = min(max(p, 1e-5), 1 - 1e-5)
    return math.log10(p / (1 - p))


def report_calibration(lines, plots, suffix):
    """Over everything that was run: the mix of runs is the campaign's, not a site's."""
    sets = {"alerts": [(a["confidence"], a["right"]) for r in lines for a in r["alerts"]],
            "tracks": [(t[1], bool(t[2])) for r in lines for t in r["tracks"]]}
    print("\n## Calibration of confidence")
    fig, ax = plt.subplots(figsize=(5.5, 5.2))
    marks = [0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999]
    ax.plot([logit(0.003), logit(0.99999)], [logit(0.003), logit(0.99999)], color=GREY, ls=":")
    for (name, pairs), colour, shift in zip(sets.items(), (MEASURED, ENERGY), (0, 0.06)):
        rows = reliability(pairs)
        print(f"\n| {name} said to be | n | mean said | right | 95 % |\n|---|---|---|---|---|")
        for low, high, said, n, right in rows:
            a, b = bounds.wilson(right, n)
            print(f"| {low:g}–{high:g} | {n} | {said:.4f} | {100 * right / n:.1f} % "
                  f"| {100 * a:.1f}–{100 * b:.1f} % |")
        for _, _, said, n, right in rows:
            a, b = bounds.wilson(right, n)
            ax.plot([logit(said) + shift] * 2, [logit(a), logit(b)], color=colour, lw=1)
        ax.plot([logit(r[2]) + shift for r in rows], [logit(r[4] / r[3]) for r in rows], "o",
                color=colour, ms=5, label=f"{name} (n = {len(pairs)})")
    for axis in ax.xaxis, ax.yaxis:
        axis.set_ticks([logit(m) for m in marks], [f"{100 * m:g}" for m in marks])
    ax.set_xlabel("said: sure to ... %")
    ax.set_ylabel("right in ... % (bars: 95 %)")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    save(fig, plots / f"calibration{suffix}.png")


def write(directory, plots, infos):
    print("# Detection campaign")
    for suffix in "", "-below":
        pd, hours, alike = (load(directory, n + suffix) for n in ("pd", "false-alarms",
                                                                  "look-alikes"))
        if suffix and (pd or hours or alike):
            print("\n# With the search below the noise")
        if pd:
            report_pd(pd, plots, {(i["plan"], i["rate"]): i for i in infos}, suffix)
        if hours:
            report_false_alarms(hours, plots, suffix)
        if alike:
            report_look_alikes(alike)
        if pd or hours or alike:
            report_calibration(pd + hours + alike, plots, suffix)
