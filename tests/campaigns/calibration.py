# SPDX-License-Identifier: GPL-3.0-or-later
"""What confidence rests on, fitted to how often it was right; and how well that holds.

The table is fitted to all rounds. What judges is not that: each fold of the rounds is told by a fit to
the others, with other seeds, levels and hop sequences.
"""
import collections
import datetime
import math
import pathlib
import subprocess

import numpy as np

import bounds

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TABLE = SOURCE / "src" / "sig" / "confidence.c"
BEGIN, END = "/* table begin", "/* table end */\n"
CANDIDATE_WEIGHT = 0.3  # what is followed but raises no alert counts less
LINKS_PER_HOUR = 60     # the prior: of look-alikes and busy bands, as in the campaign
FOLDS = 4
PENALTY = 1.0           # on the squares of the standardised weights
BINS = [0.0, 0.5, 0.7, 0.85, 0.95, 0.99, 1.0001]
SETTINGS = ["1 in 30 days", "1 an hour", "10 an hour", "any"]
FEATURES = 12

# plan, rate, SNR at which nine of ten are found in time
LINKS = [("FCC915", "200Hz", -12), ("FCC915", "100Hz", -15), ("FCC915", "50Hz", -17),
         ("FCC915", "25Hz", -20), ("FCC915", "D50", -12), ("EU868", "200Hz", -12),
         ("EU868", "100Hz", -15), ("ISM2G4", "250Hz", -12)]
LEVELS = [-3, -1, 1, 4, 12]  # dB from there
STRONG = [(20, "zero-if"), (30, "r820t"), (40, "r820t"), (50, "zero-if")]


# look-alikes that come nearest, and the levels where they do: these get more runs
HARD = ("elrs-no-hop", "polled-sf", "slotted-sf", "rc-", "tdma", "telemetry")
LOW_DB = (-15, 6)
ALL_DB = (-15, 50)


def name_of(job):
    return " ".join(pathlib.Path(str(x)).name for x in job)


def jobs(number, look_alikes, environments):
    """One round: [(what it is called, arguments of the worker)]; seeds follow from its number."""
    seed = 100000 + number
    found = []
    for i, (plan, rate, limit) in enumerate(LINKS):
        for k, level in enumerate(LEVELS):
            word = ["", "", "impaired", "untold"][(number + i + k) % 4]
            found.append(["pd", plan, rate, limit + level, seed + 1000 * k, seed + 1000 * k,
                          *[word] * bool(word)])
    for snr, tuner in STRONG:
        found.append(["links", "FCC915", "200Hz", 1, snr, seed, seed, tuner])
    found.append(["links", "FCC915", "100Hz", 3, 3, seed, seed, "r820t"])
    # levels -15 .. +50, in an order that soon has been everywhere
    for i, path in enumerate(look_alikes):
        for k in range(2):
            level = ALL_DB[0] + (37 * (2 * number + k) + 11 * i) % 66
            found.append(["scenario", path, 10, seed, level])
        if path.name.startswith(HARD):
            found.append(["scenario", path, 20, seed, LOW_DB[0] + (9 * number + 5 * i) % 22])
    found += [["scenario", path, 20, seed] for path in environments[number % 3::3]]
    return [job + ["below", "samples"] for job in found]


def fit(x, y, weight):
    """Logistic, weights not negative: (intercept, weights). Newton's method; a weight that would
    speak the wrong way is left out, the worst first."""
    mean, scale = x.mean(0), x.std(0)
    used = [i for i in range(x.shape[1]) if scale[i] > 1e-6]
    while True:
        z = np.c_[np.ones(len(y)), (x[:, used] - mean[used]) / scale[used]]
        w = np.zeros(z.shape[1])
        keep = PENALTY * np.r_[0, np.ones(len(used))]
        for _ in range(60):
            p = 1 / (1 + np.exp(-np.clip(z @ w, -30, 30)))
            step = np.linalg.solve((z * (weight * p * (1 - p))[:, None]).T @ z + np.diag(keep + 1e-9),
                                   z.T @ (weight * (y - p)) - keep * w)
            w += step
            if abs(step).max() < 1e-9:
                break
        if len(used) == 0 or w[1:].min() >= 0:
            break
        used.pop(int(w[1:].argmin()))
    full = np.zeros(x.shape[1])
    full[used] = w[1:] / scale[used]
    return w[0] - (full * mean).sum(), full


def said(model, x):
    intercept, weights, most = model
    return most / (1 + np.exp(-(intercept + x @ weights)))


def samples(some):
    """(setting, right, features, where from, said, weight) of the lines."""
    weights = weights_of(some)
    found = []
    for line in some:
        where = line.get("scenario") or f"{line['plan']} {line['rate']}"
        for s in line["samples"]:
            found.append((s[0], s[1], s[3:3 + FEATURES], where, s[2], weights[stratum(line)]))
    return found


def stratum(line):
    """Runs among which those without a link are alike: a scene, and whether it is a faint one."""
    if "scenario" not in line:
        return None
    return line["scenario"], line.get("level_db", ALL_DB[1]) <= LOW_DB[1]


def weights_of(lines):
    """What a sample weighs, so that there are LINKS_PER_HOUR of scenes without one, each scene and
    each level for as long as the others: stratum -> weight."""
    links = sum("scenario" not in x for x in lines)
    hours = collections.Counter()
    for x in lines:
        if "scenario" in x:
            hours[stratum(x)] += x["seconds"] / 3600
    scenes = {s for s, _ in hours}
    found = {None: 1.0}
    for (scene, low), h in hours.items():
        share = (LOW_DB[1] - LOW_DB[0] + 1) / (ALL_DB[1] - ALL_DB[0] + 1)
        part = 1.0 if (scene, not low) not in hours else share if low else 1 - share
        found[scene, low] = links / LINKS_PER_HOUR / len(scenes) * part / h
    return found


def train(lines):
    unique = {}  # the same thing seen at several settings counts once
    for setting, right, x, where, _, scale in samples(lines):
        key = tuple(x), right, where, scale
        unique[key] = max(unique.get(key, 0), 1.0 if setting >= 0 else CANDIDATE_WEIGHT)
    x = np.array([k[0] for k in unique])
    y = np.array([k[1] for k in unique], float)
    weight = np.array(list(unique.values()))
    intercept, weights = fit(x, y, weight * np.array([k[3] for k in unique]))
    score = intercept + x @ weights
    alerts = weight == 1
    # of all sets of the surest alerts, the one that speaks most for them (Laplace)
    order = np.argsort(-score[alerts], kind="stable")
    right = np.cumsum(y[alerts][order])
    most = ((right + 1) / (np.arange(len(right)) + 3)).max()
    about = (f"{int(alerts.sum())} alerts, {int((alerts & (y == 0)).sum())} of them wrong; "
             f"{int((~alerts).sum())} others, {int((~alerts & (y == 0)).sum())} wrong")
    return (float(intercept), weights, float(most)), about


def table(model, names, about, rounds):
    intercept, weights, most = model
    version = subprocess.run(["git", "-C", str(SOURCE), "describe", "--always", "--dirty"],
                             capture_output=True, text=True, check=False).stdout.strip()
    lines = [f"{BEGIN}: \"tests/campaigns/detection.py calibrate --write\" writes it",
             f" * {datetime.date.today()}, {version}, rounds {rounds}:",
             f" * {about} */",
             f"#define MOST      {most:.4f}", f"#define INTERCEPT ({intercept:.3f})", "",
             "static const double weights[UW_LINK_FEATURES] = {"]
    lines += [f"    {max(w, 0):.3f}, /* {name} */" for w, name in zip(weights, names)]
    return "\n".join(lines + ["};"]) + "\n" + END


def write_table(text):
    old = TABLE.read_text()
    TABLE.write_text(old[:old.index(BEGIN)] + text + old[old.index(END) + len(END):])


def rows_of(c, some):
    """Of each bin: limits, mean said, number, right ones, their weighted share, its interval (as if
    of so many that weigh the same), where the wrong ones come from."""
    right = np.array([s[1] for s in some])
    weight = np.array([s[5] for s in some])
    where = np.array([s[3] for s in some])
    rows = []
    for low, high in zip(BINS, BINS[1:]):
        inside = (c >= low) & (c < high)
        n = int(inside.sum())
        if n:
            share = float((weight * right)[inside].sum() / weight[inside].sum())
            mean = float((weight * c)[inside].sum() / weight[inside].sum())
            a, b = bounds.wilson(share * n, n)
            rows.append((low, min(high, 1.0), mean, n, int(right[inside].sum()), share, a, b,
                         collections.Counter(where[inside & (right == 0)])))
    return rows


def told(lines):
    """(sample, what a fit to the other folds says of it) of everything."""
    rounds = sorted({x["round"] for x in lines})
    folds = [rounds[i::FOLDS] for i in range(min(FOLDS, len(rounds)))]
    found = []
    for fold in folds:
        model, _ = train([x for x in lines if x["round"] not in fold])
        some = samples([x for x in lines if x["round"] in fold])
        found += zip(some, said(model, np.array([s[2] for s in some])))
    return found


def judge(lines, as_said):
    """For the alerts of each setting, and everything that was followed: rows of the bins."""
    pairs = [(s, s[4]) for s in samples(lines)] if as_said else told(lines)
    for name, setting in [*((f"alerts, set to {s}", i) for i, s in enumerate(SETTINGS)),
                          ("everything that was followed", -1)]:
        some = [p for p in pairs if p[0][0] == setting]
        if some:
            yield name, rows_of(np.array([p[1] for p in some]), [p[0] for p in some])


def report(lines, as_said, plot):
    sets = []
    for name, rows in judge(lines, as_said):
        n, k = sum(r[3] for r in rows), sum(r[4] for r in rows)
        print(f"\n{name}: {n}, {k} of them right\n\n| said to be | of them | right | mean said | right, "
              "weighted | 95 % | the wrong ones come from |\n|---|---|---|---|---|---|---|")
        for low, high, mean, n, k, share, a, b, wrong in rows:
            print(f"| {100 * low:g}–{min(100, 100 * high):g} % | {n} | {k} | {100 * mean:.1f} % | "
                  f"{100 * share:.1f} % | {100 * a:.1f}–{100 * b:.1f} % | "
                  f"{', '.join(f'{w} {i}' for w, i in wrong.most_common(4)) or '–'} |")
        sets.append((name, [(mean, n, share, a, b) for _, _, mean, n, _, share, a, b, _ in rows]))
    if plot:
        import plots
        plot.parent.mkdir(parents=True, exist_ok=True)
        plots.reliability([sets[0], sets[-1]], plot)
