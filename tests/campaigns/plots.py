# SPDX-License-Identifier: GPL-3.0-or-later
"""The campaign's pictures, from the rows that report.py has made. Needs python3-matplotlib."""
import math
import sys

try:
    import matplotlib
except ImportError:
    sys.exit("error: pictures take matplotlib: apt-get install python3-matplotlib "
             "(or report --no-plots)")
matplotlib.use("Agg")
from matplotlib import colors  # noqa: E402 (the backend comes first)
from matplotlib import pyplot as plt  # noqa: E402

MEASURED, FILTER, ENERGY, GREY = "#1f77b4", "#2ca02c", "#d62728", "#777777"
IMPAIRED, UNTOLD = "#ff7f0e", "#9467bd"
OUTCOMES = {"right": "#2ca02c", "missed": "#7f7f7f", "merged": "#1f77b4", "doubled": "#ff7f0e",
            "aside": "#9467bd", "ghost": "#d62728"}


def save(fig, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    room = 0.55 / fig.get_figheight() if fig.legends else 0
    fig.tight_layout(rect=(0, room, 1, 1))
    fig.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(fig)
    print(f"plot: {path}", file=sys.stderr)


def grid_of(n, width=5.6, height=3.6):
    columns = min(2, n)
    n_rows = -(-n // columns)
    fig, axes = plt.subplots(n_rows, columns, figsize=(width * columns, height * n_rows + 0.6),
                             squeeze=False)
    for ax in axes.flat[n:]:
        ax.set_visible(False)
    return fig, list(axes.flat[:n])


def legend_below(fig, axes, columns=5):
    """One legend of all that any of them shows."""
    found = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels()):
            found.setdefault(label, handle)
    fig.legend(found.values(), found.keys(), fontsize=8, loc="lower center",
               ncols=columns)


def pd_curves(plan, curves, path):
    """curves: dicts with rate, limit_s, grid, filter, energy, target, rows, impaired (or [])."""
    fig, axes = grid_of(len(curves))
    for ax, c in zip(axes, curves):
        ax.plot(c["grid"], [100 * x for x in c["filter"]], color=FILTER, lw=1.2,
                label="matched filter (bound)")
        ax.plot(c["grid"], [100 * x for x in c["energy"]], color=ENERGY, lw=1.2, ls="--",
                label="ideal radiometer")
        for rows, colour, shift, name in ((c["rows"], MEASURED, 0, "measured, 95 % interval"),
                                          (c["impaired"], IMPAIRED, 0.12, "impaired receiver"),
                                          (c["untold"], UNTOLD, 0.24, "... losses untold")):
            if rows:
                pd = [100 * r["pd"] for r in rows]
                errors = [[max(0, 100 * (r["pd"] - r["low"])) for r in rows],
                          [max(0, 100 * (r["high"] - r["pd"])) for r in rows]]
                ax.errorbar([r["snr_db"] + shift for r in rows], pd, yerr=errors, color=colour,
                            marker="o", ms=3, capsize=2, label=name)
        if c["target"] is not None:
            ax.plot([c["target"]], [90], marker="*", ms=11, color="black", ls="none",
                    label="target")
        ax.set_title(f"{c['rate']}: alert within {c['limit_s']:g} s", fontsize=10)
        ax.set_ylim(-3, 103)
        bent = [r["snr_db"] for r in c["rows"] + c["impaired"] + c["untold"] if 0 < r["pd"] < 1] or [0]
        left = min([x for x, y in zip(c["grid"], c["filter"]) if y > 0.01] or [-30])
        ax.set_xlim(left - 1, max(bent) + 5)
        ax.set_xlabel("SNR in the signal's bandwidth, dB")
        ax.set_ylabel("alert in time, %")
        ax.grid(alpha=0.3)
    legend_below(fig, axes, 5 if len(axes) > 1 else 2)
    fig.suptitle(f"Detection of ExpressLRS in {plan}")
    save(fig, path)


def alert_times(plan, curves, path):
    fig, axes = grid_of(len(curves))
    for ax, c in zip(axes, curves):
        for rows, colour, name in ((c["rows"], MEASURED, ""),
                                   (c["impaired"], IMPAIRED, ", impaired receiver"),
                                   (c["untold"], UNTOLD, ", losses untold")):
            rows = [r for r in rows if r["k"] >= 5]
            if not rows:
                continue
            snr = [r["snr_db"] for r in rows]
            ax.plot(snr, [r["median_s"] for r in rows], color=colour, marker="o", ms=3,
                    label="median" + name)
            ax.plot(snr, [r["p95_s"] for r in rows], color=colour, marker="^", ms=3, ls="--",
                    label="95th percentile" + name)
        ax.axhline(c["limit_s"], color=GREY, ls=":", label="time limit")
        ax.set_title(c["rate"], fontsize=10)
        ax.set_ylim(0, 1.08 * c["limit_s"])
        ax.set_xlabel("SNR in the signal's bandwidth, dB")
        ax.set_ylabel("start to alert, s")
        ax.grid(alpha=0.3)
    legend_below(fig, axes, 5 if len(axes) > 1 else 2)
    fig.suptitle(f"Time to alert in {plan} (of those in time; points with 5 or more)")
    save(fig, path)


def tail(sets, hours, threshold, path):
    """sets: (name, peaks in falling order, fit or None); fit: (from, rate an hour, scale)."""
    fig, ax = plt.subplots(figsize=(6.5, 4.2))
    for (name, peaks, fit), colour in zip(sets, (MEASURED, ENERGY)):
        if peaks:
            ax.step(peaks, [(i + 1) / hours for i in range(len(peaks))], where="post",
                    color=colour, label=f"{name}, {hours:.1f} h")
        if fit:
            last = max(threshold + 2, peaks[0])
            at = [fit[0] + i * (last - fit[0]) / 20 for i in range(21)]
            ax.plot(at, [fit[1] * math.exp((fit[0] - x) / fit[2]) for x in at], color=colour,
                    ls="--", label="its exponential law")
    ax.axvline(threshold, color=GREY, ls=":", label="default threshold")
    ax.set_yscale("log")
    if max((p[0] for _, p, _ in sets if p), default=0) > 200:
        ax.set_xscale("log")
    ax.set_xlabel("highest evidence of a track, nats")
    ax.set_ylabel("tracks an hour with more")
    ax.set_title("Evidence that background gathers", fontsize=10)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    save(fig, path)


def settings(rows, path):
    """rows: (setting an hour, counted an hour, low, high)."""
    fig, ax = plt.subplots(figsize=(6.0, 4.4))
    x = [r[0] for r in rows]
    ax.plot(x, x, color=GREY, lw=1, ls=":", label="as set")
    ax.plot(x, [2 * v for v in x], color=ENERGY, lw=1, ls="--", label="twice the setting")
    ax.fill_between(x, [max(r[2], 1e-5) for r in rows], [r[3] for r in rows], color=MEASURED,
                    alpha=0.2, step="mid", label="95 % interval")
    counted = [r for r in rows if r[1] > 0]
    ax.plot([r[0] for r in counted], [r[1] for r in counted], "o", ms=4, color=MEASURED,
            label="counted" if counted else "counted: none")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(min(0.01, 0.5 * x[0]), None)
    ax.set_xlabel("setting: false alerts an hour")
    ax.set_ylabel("counted an hour")
    ax.set_title("False alerts against the setting, all environments", fontsize=10)
    ax.grid(alpha=0.3, which="both")
    ax.legend(fontsize=8)
    save(fig, path)


def look_alikes(names, levels, cells, path):
    """cells[name][level]: 0 silent, 1 a weak track, 2 unknown-fhss, 3 named a drone; None."""
    table = [[cells[n].get(x, -1) for x in levels] for n in names]
    shades = colors.ListedColormap(["#ffffff", "#e5f2e5", "#fff3b0", "#f4a259", "#c1121f"])
    fig, ax = plt.subplots(figsize=(11, 0.24 * len(names) + 1.8))
    ax.pcolormesh([x - 0.5 for x in levels] + [levels[-1] + 0.5], range(len(names) + 1), table,
                  cmap=shades, vmin=-1.5, vmax=3.5, edgecolors="white", lw=0.3)
    ax.set_yticks([i + 0.5 for i in range(len(names))], names, fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel("level: SNR in its own bandwidth, dB")
    ax.set_title("Look-alikes, each alone", fontsize=10)
    marks = [plt.Rectangle((0, 0), 1, 1, fc=shades(i), ec=GREY) for i in range(5)]
    fig.legend(marks, ["not run", "silent", "tentative track", "unknown-fhss", "named a drone's"],
               fontsize=8, loc="lower center", ncols=5)
    save(fig, path)


def links(rows, path):
    """rows: (label, runs, outcome -> share)."""
    fig, ax = plt.subplots(figsize=(8.5, 0.3 * len(rows) + 1.8))
    left = [0.0] * len(rows)
    for name, colour in OUTCOMES.items():
        share = [100 * r[2].get(name, 0) for r in rows]
        ax.barh(range(len(rows)), share, left=left, color=colour, label=name, height=0.7)
        left = [a + b for a, b in zip(left, share)]
    ax.axvline(90, color="black", ls=":", lw=1, label="90 %")
    ax.set_yticks(range(len(rows)), [f"{r[0]} (n = {r[1]})" for r in rows], fontsize=8)
    ax.invert_yaxis()
    ax.set_xlim(0, 100)
    ax.set_xlabel("share of runs, %")
    ax.set_title("As many tracks and alerts as links?", fontsize=10)
    legend_below(fig, [ax])
    save(fig, path)


def logit(p):
    p = min(max(p, 3e-4), 1 - 1e-5)
    return math.log10(p / (1 - p))


def reliability(sets, path):
    """sets: (name, rows of (mean said, n, share right, low, high))."""
    fig, ax = plt.subplots(figsize=(5.8, 5.4))
    marks = [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999]
    ends = [logit(0.001), logit(0.99999)]
    ax.plot(ends, ends, color=GREY, ls=":", label="as sure as right")
    ax.add_patch(plt.Rectangle((logit(0.85), logit(0.85)), logit(0.95) - logit(0.85),
                               logit(0.95) - logit(0.85), color=FILTER, alpha=0.2,
                               label="said 90 %: wanted"))
    for (name, rows), colour, shift in zip(sets, (MEASURED, ENERGY), (0, 0.05)):
        for said, _, _, low, high in rows:
            ax.plot([logit(said) + shift] * 2, [logit(low), logit(high)], color=colour, lw=1)
        ax.plot([logit(r[0]) + shift for r in rows], [logit(r[2]) for r in rows], "o",
                color=colour, ms=5, label=f"{name} (n = {sum(r[1] for r in rows)})")
    for axis in ax.xaxis, ax.yaxis:
        axis.set_ticks([logit(m) for m in marks], [f"{100 * m:g}" for m in marks])
    ax.set_xlabel("said: sure to … %")
    ax.set_ylabel("right in … % (bars: 95 %)")
    ax.set_title("Is confidence right?", fontsize=10)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    save(fig, path)
