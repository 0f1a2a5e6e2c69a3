# SPDX-License-Identifier: GPL-3.0-or-later
"""What was said against what was right: rows of a reliability table, and the table.

Alerts of one run are not independent (four settings hear the same link), so an interval counts runs,
as many as tell as much if their shares of the bin differ.
"""
import collections
import typing

import bounds

SETTINGS = ["1 in 30 days", "1 an hour", "10 an hour", "no demand on evidence"]
BINS = [0.0, 0.5, 0.7, 0.85, 0.95, 0.99, 1.0001]
ASKED = 0.85, 0.95  # "said to be 90 % sure": right as often


class Said(typing.NamedTuple):
    confidence: float
    right: bool
    run: object      # what tells runs apart
    kind: str        # where it comes from
    weight: float = 1.0


class Row(typing.NamedTuple):
    low: float
    high: float
    mean: float      # said
    n: int
    right: int
    runs: int
    share: float     # right, by weight
    bottom: float    # 95 %
    top: float
    wrong: collections.Counter


def row_of(low, high, inside):
    runs = collections.defaultdict(float)
    for s in inside:
        runs[s.run] += s.weight
    total = sum(runs.values())
    share = sum(s.weight * s.right for s in inside) / total
    alike = total**2 / sum(w * w for w in runs.values())  # L. Kish, Survey Sampling, 1965
    bottom, top = bounds.wilson(share * alike, alike)
    return Row(low, min(high, 1.0), sum(s.weight * s.confidence for s in inside) / total,
               len(inside), sum(bool(s.right) for s in inside), len(runs), share, max(bottom, 0.0),
               min(top, 1.0), collections.Counter(s.kind for s in inside if not s.right))


def rows(some):
    """[Said] -> [Row], bins that are empty left out."""
    found = []
    for low, high in zip(BINS, BINS[1:]):
        inside = [s for s in some if low <= s.confidence < high]
        if inside:
            found.append(row_of(low, high, inside))
    return found


def verdict(found):
    """One sentence about what was said to be 85 to 95 % sure, and one about all."""
    lines = []
    for r in found:
        if (r.low, r.high) == ASKED:
            how = "within" if ASKED[0] <= r.share <= ASKED[1] else \
                "not within, nor is that refuted:" if r.bottom <= ASKED[1] and r.top >= ASKED[0] \
                else "not within:"
            lines.append(f"Said to be 85–95 % sure: {r.right} of {r.n} right, in {r.runs} runs; "
                         f"{how} 85–95 % (95 % interval {100 * r.bottom:.1f}–{100 * r.top:.1f} %).")
    if not lines:
        lines = ["Said to be 85–95 % sure: none."]
    held = sum(r.bottom <= r.mean <= r.top for r in found)
    return lines[0] + f" In {held} of {len(found)} bins the mean that was said lies in the interval."


def table(found, weighted=False):
    """Lines of Markdown."""
    share = "right, weighted" if weighted else "right"
    lines = [f"| said to be | of them | right | in runs | mean said | {share} | 95 % of runs | "
             "the wrong ones come from |", "|---|---|---|---|---|---|---|---|"]
    for r in found:
        lines.append(f"| {100 * r.low:g}–{100 * r.high:g} % | {r.n} | {r.right} | {r.runs} | "
                     f"{100 * r.mean:.2f} % | {100 * r.share:.1f} % | {100 * r.bottom:.1f}–{100 * r.top:.1f} % | "
                     f"{', '.join(f'{w} {i}' for w, i in r.wrong.most_common(4)) or '–'} |")
    return "\n".join(lines)


def points(found):
    """What plots.reliability takes."""
    return [(r.mean, r.n, r.share, r.bottom, r.top) for r in found]
