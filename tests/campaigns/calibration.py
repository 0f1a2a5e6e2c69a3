# SPDX-License-Identifier: GPL-3.0-or-later
"""How sure is what, fitted to how often it was right; and how well that holds.

The detector's score ranks what is followed; two laws (of two figures each) say how often such was
right, one for what is followed, one for what has met the rule for an alert. The laws are fitted to
all rounds. What judges is not that: each round is told by laws fitted to the others, with other
seeds, levels and hop sequences.
"""
import collections
import datetime
import math
import pathlib
import re
import subprocess

import numpy as np

import reliability
import report as campaign
from reliability import SETTINGS, Said

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TABLE = SOURCE / "src" / "sig" / "confidence.c"
CANDIDATE_WEIGHT = 0.3  # in the score: what is followed but raises no alert counts less
LINKS_PER_HOUR = 300    # the prior: 20,000 runs with a link to 60 h without, as in a whole campaign
RECEIVERS = [0.8, 0.1, 0.1]  # ... of links alone: good, impaired, with losses that nobody tells
FOLDS = 8
PENALTY = 1.0           # on the squares of the score's standardised weights
FEATURES = 11

# plan, rate, SNR at which nine of ten are found in time
LINKS = [("FCC915", "200Hz", -12), ("FCC915", "100Hz", -15), ("FCC915", "50Hz", -17),
         ("FCC915", "25Hz", -20), ("FCC915", "D50", -12), ("EU868", "200Hz", -12),
         ("EU868", "100Hz", -15), ("ISM2G4", "250Hz", -12)]
LEVELS = [-3, -2, -1, 0, 1, 2, 4, 12]  # dB from there; three of them a round
STRONG = [(20, "zero-if"), (30, "r820t"), (40, "r820t"), (50, "zero-if")]
SEVERAL = [("FCC915", "200Hz", 4, ""), ("FCC915", "100Hz", 3, ""), ("FCC915", "200Hz", 2, "gemini"),
           ("EU868", "200Hz", 3, "")]

# look-alikes that come nearest, and the levels where they do: these get more runs
HARD = ("elrs-no-hop", "polled-sf", "slotted-sf", "rc-", "tdma", "telemetry")
LOW_DB = (-15, 6)
ALL_DB = (-15, 50)


def name_of(job):
    return " ".join(pathlib.Path(str(x)).name for x in job)


def jobs(number, look_alikes, environments):
    """One round: [(what it is called, arguments of the worker)]; seeds follow from its number."""
    seed = 200000 + number
    found = []
    for i, (plan, rate, limit) in enumerate(LINKS):
        for k in range(3):
            level = LEVELS[(3 * number + i + k * 3) % len(LEVELS)]
            word = ["", "", "impaired", "untold"][(number + i + k) % 4]
            found.append(["pd", plan, rate, limit + level, seed + 1000 * k, seed + 1000 * k,
                          "brief", *[word] * bool(word)])
    for k in range(2):
        snr, tuner = STRONG[(2 * number + k) % len(STRONG)]
        found.append(["links", "FCC915", "200Hz", 1, snr, seed, seed, tuner])
    plan, rate, n, word = SEVERAL[number % len(SEVERAL)]
    found.append(["links", plan, rate, n, 3, seed, seed, "r820t", *[word] * bool(word)])
    # levels -15 .. +50, in an order that soon has been everywhere
    for i, path in enumerate(look_alikes):
        level = ALL_DB[0] + (37 * number + 11 * i) % 66
        found.append(["scenario", path, 8, seed, level])
        if path.name.startswith(HARD) and (i + number) % 2:
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


def centred(score, y, weight, slope, most):
    """`at`, so that as much is said in all as was right, under Jeffreys' prior: the penalty alone
    makes rare events likelier than they are (R. Puhr et al., Statistics in Medicine 36, 2017)."""
    share = ((weight * y).sum() + 0.5) / (weight.sum() + 1)
    low, high = -30.0, 30.0
    for _ in range(60):
        at = (low + high) / 2
        mean = (weight * most / (1 + np.exp(-at - slope * score))).sum() / weight.sum()
        low, high = (at, high) if mean < share else (low, at)
    return at


def firth(score, y, weight, most=1.0):
    """Law (at, slope) of P(right) = most / (1 + exp(-at - slope * score)): the slope by D. Firth's
    penalised likelihood, finite where few or none are wrong, and not negative."""
    for columns in (2, 1):
        z = np.c_[np.ones(len(y)), score][:, :columns]
        w = np.zeros(columns)
        for _ in range(200):
            p = 1 / (1 + np.exp(-np.clip(z @ w, -30, 30)))
            v = weight * p * (1 - p)
            info = (z * v[:, None]).T @ z + 1e-9 * np.eye(columns)
            lever = v * np.einsum("ij,jk,ik->i", z, np.linalg.inv(info), z)
            step = np.linalg.solve(info, z.T @ (weight * (y - p) + lever * (0.5 - p)))
            w += np.clip(step, -1, 1)
            if abs(step).max() < 1e-9:
                break
        if columns == 1 or w[1] >= 0:
            slope = float(np.r_[w, 0.0][1])
            return float(centred(score, y, weight, slope, most)), slope


def unique(some):
    """The same thing seen at several settings is one sample that weighs for each of them."""
    found = collections.Counter()
    for s in some:
        found[s.x, s.right, s.run, s.ruled, s.weight] += 1
    return found


class Sample:
    """What was heard of an emitter at some time: a row of the worker's, and whose."""

    def __init__(self, row, line, weight):
        self.setting, self.right, self.said = row[0], row[1], row[2]
        self.x, self.ruled = tuple(row[3:3 + FEATURES]), bool(row[3 + FEATURES])
        self.run = line["round"], line["job"]
        self.kind = line.get("scenario") or f"{line['plan']} {line['rate']}"
        self.weight = weight


def samples(some):
    weights = weights_of(some)
    return [Sample(row, line, weights[stratum(line)]) for line in some for row in line["samples"]]


def score_of(table=None):
    """(intercept, weights) of the detector's score, as the source has it."""
    text = block(table or TABLE.read_text(), "score")
    return (float(re.search(r"INTERCEPT \((.+)\)", text)[1]),
            np.array([float(x) for x in re.findall(r"^    (\S+), /\*", text, re.M)]))


def most_of(alerts, score):
    """Of all sets of the surest alerts, what the one says that speaks most for them (Jeffreys)."""
    order = sorted(alerts, key=lambda s: -float(np.dot(s.x, score[1])))
    right = np.cumsum([bool(s.right) for s in order]) / len(SETTINGS)
    n = np.arange(1, len(order) + 1) / len(SETTINGS)
    return float(((right + 0.5) / (n + 1)).max())


def laws_of(some, score):
    """{"followed": law, "ruled": law, "most": ...} and a line about what they rest on."""
    found = {"most": most_of([s for s in some if s.setting >= 0], score)}
    about = []
    for name, part, times in (
            ("followed", [s for s in some if s.setting < 0 and not s.ruled], 1),
            ("ruled", [s for s in some if s.setting >= 0], len(SETTINGS))):
        keys = unique(part)
        x = np.array([k[0] for k in keys])
        y = np.array([k[1] for k in keys], float)
        count = np.array(list(keys.values())) / times
        found[name] = firth(score[0] + x @ score[1], y, count * np.array([k[4] for k in keys]),
                            found["most"])
        about.append(f"{len(part)} {'alerts of all settings' if times > 1 else 'samples'}, "
                     f"{sum(not s.right for s in part)} wrong")
    return found, f"{about[1]}; {about[0]}"


def said(laws, score, some):
    s = score[0] + np.array([k.x for k in some]) @ score[1]
    ruled = np.array([k.ruled or k.setting >= 0 for k in some])
    at, slope = laws["followed"]
    logit = at + slope * s
    at, slope = laws["ruled"]
    logit = np.where(ruled, np.maximum(logit, at + slope * s), logit)
    return laws["most"] / (1 + np.exp(-logit))


def stratum(line):
    """Runs that are alike: those with one link, by the receiver's faults; without a link by scene, and
    whether it is a faint one."""
    if "scenario" not in line:
        return line.get("impaired")
    return line["scenario"], line.get("level_db", ALL_DB[1]) <= LOW_DB[1]


def weights_of(lines):
    """What a sample weighs, so that receivers are as faulty as RECEIVERS says, and that there are
    LINKS_PER_HOUR of scenes without one, each scene and each level for as long as the others:
    stratum -> weight."""
    links = sum("scenario" not in x for x in lines)
    single = collections.Counter(x["impaired"] for x in lines if "impaired" in x)
    hours = collections.Counter()
    for x in lines:
        if "scenario" in x:
            hours[stratum(x)] += x["seconds"] / 3600
    scenes = {s for s, _ in hours}
    found = {None: 1.0}
    total = sum(single.values())
    for impaired, n in single.items():
        found[impaired] = RECEIVERS[impaired] * total / n
    for (scene, low), h in hours.items():
        share = (LOW_DB[1] - LOW_DB[0] + 1) / (ALL_DB[1] - ALL_DB[0] + 1)
        part = 1.0 if (scene, not low) not in hours else share if low else 1 - share
        found[scene, low] = links / LINKS_PER_HOUR / len(scenes) * part / h
    return found


def unnamed(lines):
    """Runs with alerts of hoppers without a name, and of them those where all are right."""
    n = right = 0
    for line in lines:
        if "scenario" not in line:
            continue
        good = [campaign.is_hopper(line["scenario"]) for a in line["alerts"]
                if a["family"] == "unknown-fhss"]
        n += bool(good)
        right += bool(good) and all(good)
    return n, right


def train_score(some):
    """The score anew: (intercept, weights), its gate at 0 where followed and ruled is as likely
    right as wrong."""
    found = {}
    for s in some:
        key = (*s.x, s.ruled or s.setting >= 0), s.right, s.run, s.weight
        found[key] = max(found.get(key, 0), 1.0 if s.setting >= 0 else CANDIDATE_WEIGHT)
    intercept, weights = fit(np.array([k[0] for k in found], float),
                             np.array([k[1] for k in found], float),
                             np.array([w * k[3] for k, w in found.items()]))
    return float(intercept + weights[FEATURES]), weights[:FEATURES]


def today(rounds):
    try:
        version = subprocess.run(["git", "-C", str(SOURCE), "describe", "--always", "--dirty"],
                                 capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:  # no git on this machine
        version = ""
    version = version or "version not known"
    return f" * {datetime.date.today()}, {version}, rounds {rounds}:\n"


def score_table(score, names, rounds, about):
    return ('/* score begin: "tests/campaigns/detection.py calibrate --score --write" writes it\n'
            f"{today(rounds)} * {about} */\n"
            f"#define INTERCEPT ({score[0]:.3f})\n#define GATE      0.0\n\n"
            "static const double weights[UW_LINK_FEATURES] = {\n" +
            "".join(f"    {max(w, 0):.3f}, /* {name} */\n" for w, name in zip(score[1], names)) +
            "};\n/* score end */\n")


def laws_table(laws, rounds, about, hoppers):
    n, right = hoppers
    return ('/* laws begin: "tests/campaigns/detection.py calibrate --write" writes them\n'
            f"{today(rounds)} * {about};\n"
            f" * {n} runs with hoppers that have no name, {n - right} of them wrong */\n" +
            "".join(f"static const struct law {name} = {{{laws[name][0]:.3f}, {laws[name][1]:.3f}}};\n"
                    for name in ("followed", "ruled")) +
            f"#define MOST         {laws['most']:.4f}\n"
            f"#define MOST_UNNAMED {(right + 0.5) / (n + 1):.4f}\n/* laws end */\n")


def block(text, name):
    return text[text.index(f"/* {name} begin"):text.index(f"/* {name} end */")]


def write_table(text):
    name = text.split()[1]
    old = TABLE.read_text()
    TABLE.write_text(old.replace(block(old, name) + f"/* {name} end */\n", text))


def told(lines, score):
    """(sample, what laws fitted to the other folds say of it) of everything."""
    rounds = sorted({x["round"] for x in lines})
    folds = [rounds[i::FOLDS] for i in range(min(FOLDS, len(rounds)))]
    found = []
    for fold in folds:
        laws, _ = laws_of(samples([x for x in lines if x["round"] not in fold]), score)
        some = samples([x for x in lines if x["round"] in fold])
        found += zip(some, said(laws, score, some))
    return found


def judge(lines, score, as_said):
    """Names and rows: alerts of all settings together and of each, and everything followed."""
    pairs = [(s, s.said) for s in samples(lines)] if as_said else told(lines, score)
    for name, wanted in [("alerts, all settings", range(len(SETTINGS))),
                         *((f"alerts, set to {s}", [i]) for i, s in enumerate(SETTINGS)),
                         ("everything that was followed", [-1])]:
        some = [Said(float(c), s.right, s.run, s.kind, s.weight) for s, c in pairs if s.setting in wanted]
        if some:
            yield name, reliability.rows(some)


def report(lines, score, as_said, plot):
    sets = []
    for name, rows in judge(lines, score, as_said):
        n, k = sum(r.n for r in rows), sum(r.right for r in rows)
        print(f"\n{name}: {n}, {k} of them right\n\n{reliability.table(rows, weighted=True)}\n\n"
              f"{reliability.verdict(rows)}")
        sets.append((name, reliability.points(rows)))
    if plot:
        import plots
        plot.parent.mkdir(parents=True, exist_ok=True)
        plots.reliability([sets[0], sets[-1]], plot)
