# SPDX-License-Identifier: GPL-3.0-or-later
"""What no detector of its kind can beat, for the same packets and the same false-alert rate.

Both statistics are sums of n squared magnitudes in complex Gaussian noise: under noise alone
2*sum follows a chi-square law with 2n degrees of freedom, with a signal a non-central one.

- matched filter: every symbol known, coherent within a symbol of 2^SF chips, the symbols' energies
  added (nothing is known of the phase from one to the next): n = symbols, each with 2^SF * SNR.
  J. I. Marcum, "A statistical theory of target detection by pulsed radar" (1960), sections 2 and 3.
- radiometer: place, time and width of every packet known, nothing of its form: n = chips, each with
  SNR. H. Urkowitz, "Energy detection of unknown deterministic signals", Proc. IEEE 55 (1967).
"""
import functools
import math

import numpy as np

# One false alert in 720 hours, with a trial a second: the default setting of the alert rule.
FALSE_ALARM = 1 / (3600 * 720)


def poisson_pmf(mean, first, last):
    """P(X = k) for k in first .. last."""
    k = np.arange(first, last + 1, dtype=float)
    log_factorial = math.lgamma(first + 1) + np.concatenate(([0.0], np.cumsum(np.log(k[1:]))))
    return np.exp(k * math.log(mean) - mean - log_factorial)


def span(mean):
    """Where a Poisson variable can be."""
    wide = 12 * math.sqrt(mean) + 40
    return max(0, int(mean - wide)), int(mean + wide)


def gamma_q(n, x):
    """P(sum of n unit exponentials > x) = P(Poisson(x) < n)."""
    first, last = span(x)
    if n - 1 < first:
        return 0.0
    return float(poisson_pmf(x, first, min(n - 1, last)).sum())


@functools.lru_cache(maxsize=None)
def threshold(n, false_alarm=FALSE_ALARM):
    low, high = float(n), n + 12 * math.sqrt(n) + 40
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if gamma_q(n, middle) > false_alarm else (low, middle)
    return high


@functools.lru_cache(maxsize=None)
def detection(n, snr_db, false_alarm=FALSE_ALARM):
    """P(detection) of n independent looks of this SNR each."""
    if n < 1:
        return 0.0
    x, mean = threshold(n, false_alarm), n * 10 ** (snr_db / 10)
    first, last = span(mean)
    weights = poisson_pmf(mean, first, last)
    low, high = span(x)
    pmf = poisson_pmf(x, low, max(high, n + last))
    below = np.cumsum(pmf)
    index = np.arange(first, last + 1) + n - 1 - low
    cdf = np.where(index < 0, 0.0, below[np.clip(index, 0, len(below) - 1)])
    return float(min(1.0, (weights * cdf).sum()))


def matched_filter(on_air_s, snr_db, bandwidth_hz, sf):
    return detection(round(on_air_s * bandwidth_hz / 2**sf), snr_db + 10 * math.log10(2**sf))


def radiometer(on_air_s, snr_db, bandwidth_hz):
    return detection(round(on_air_s * bandwidth_hz), snr_db)


def wilson(k, n):
    """E. B. Wilson's 95 % interval (1927)."""
    if n == 0:
        return 0.0, 1.0
    z, p = 1.959963984540054, k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (0.0 if k == 0 else middle - half), (1.0 if k == n else middle + half)


def poisson_upper(k, tail=0.05):
    """Upper bound of the mean after k events; one-sided 95 %: 2.996 for none."""
    low, high = 0.0, k + 10 * math.sqrt(k + 1)
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if gamma_q(k + 1, middle) > tail else (low, middle)
    return high


def poisson_lower(k, tail=0.025):
    """Lower bound of the mean after k events; 0 for none (F. Garwood, Biometrika 28, 1936)."""
    low, high = 0.0, float(k)
    for _ in range(80 if k else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - gamma_q(k, middle) < tail else (low, middle)
    return low
