"""Laws that ScaleBench (arXiv 2604.22753) fits to its two tasks, fitted here by least squares.

Exponents and floors on a grid, all that is linear solved exactly; the data-constrained laws by scipy from many starts.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import least_squares

EPSILON = 1e-12


def gridded(columns: Callable, grid: np.ndarray) -> Callable:
    """A law linear in all but one parameter: `columns(weights, domain, parameter)` -> (n, p)."""

    def law(weights, losses, unseen, domain):
        best, found = np.inf, None
        for value in grid:
            a = columns(weights, domain, value)
            coefficients, *_ = np.linalg.lstsq(a, losses, rcond=1e-10)
            squares = ((a @ coefficients - losses) ** 2).sum()
            if squares < best:
                best, found = squares, columns(unseen, domain, value) @ coefficients
        return found

    return law


def _own(weights, domain):
    return np.maximum(weights[:, domain], EPSILON)


def _others(weights, domain):
    return np.delete(weights, domain, axis=1)


def _one(weights):
    return np.ones(len(weights))


EXPONENTS = np.geomspace(0.02, 3, 60)
NONE = np.zeros(1)
DOMAIN = {
    "ScaleBench 1: a + b ln p_i + sum c_j p_j": gridded(
        lambda w, i, _: np.column_stack([_one(w), np.log(_own(w, i)), _others(w, i)]), NONE
    ),
    "ScaleBench 3: a + b p_i^e + sum c_j p_j": gridded(
        lambda w, i, e: np.column_stack([_one(w), _own(w, i) ** e, _others(w, i)]), EXPONENTS
    ),
    "ScaleBench 8: c - a p_i^b": gridded(lambda w, i, e: np.column_stack([_one(w), _own(w, i) ** e]), EXPONENTS),
    "ScaleBench 9: quadratic in ln p_i": gridded(
        lambda w, i, _: np.column_stack([_one(w), np.log(_own(w, i)), np.log(_own(w, i)) ** 2]), NONE
    ),
    "ScaleBench 10: a + b / (p_i + e)": gridded(
        lambda w, i, e: np.column_stack([_one(w), 1 / (w[:, i] + e)]), np.geomspace(1e-3, 1, 60)
    ),
}


def started(law: Callable, low: list[float], high: list[float], starts: int = 24) -> Callable:
    """Fit `law(theta, unique, size, tokens)` by scipy, from starts drawn between low and high; x in units of 10^8."""

    def fitted(x, losses, unseen):
        random = np.random.default_rng(0)
        x, unseen = ([part / 1e8 for part in parts] for parts in (x, unseen))
        best = None
        for _ in range(starts):
            found = least_squares(lambda theta: law(theta, *x) - losses, random.uniform(low, high), method="trf", max_nfev=400)
            if best is None or found.cost < best.cost:
                best = found
        return law(best.x, *unseen)

    return fitted


def _grown(unique, amount, rate):
    """Muennighoff et al.: what repeated or surplus amounts are worth."""
    again = np.maximum(amount / unique - 1, 0)
    return unique * (1 + rate * (1 - np.exp(-again / rate)))


def _muennighoff(theta, unique, size, tokens):
    a, b, alpha, e, rate_n, rate_d, rho = theta
    useful = np.minimum(np.exp(np.clip(rho, -9, 9)) * unique, size)
    return (
        e
        + np.exp(a) * _grown(useful, size, np.exp(np.clip(rate_n, -5, 8))) ** -alpha
        + np.exp(b) * _grown(unique, tokens, np.exp(np.clip(rate_d, -5, 8))) ** -alpha
    )


def _chinchilla_unique(theta, unique, size, tokens):
    a, alpha, b, beta, e, gamma, delta = theta
    return np.exp(a) * size**-alpha + np.exp(b) * tokens**-beta + np.exp(e) * unique**gamma * size**delta


def _geometric(theta, unique, size, tokens):
    a, alpha, b, beta, e, gamma = theta
    return e + np.exp(a) * size**-alpha + np.exp(b) * (unique**gamma * tokens ** (1 - gamma)) ** -beta


def _limited(theta, unique, size, tokens):
    e, a, alpha, b, beta, s, d = theta
    scale = np.exp(np.clip(s, -9, 9)) * unique * size**d
    return e + np.exp(a) * size**-alpha + np.exp(b) * (tokens / (1 + tokens / scale)) ** -beta


DATA_CONSTRAINED = {
    "ScaleBench 1: A/N^a + B/D^b + E U^g N^d": started(
        _chinchilla_unique, [-2, 0, -1, 0, -1, -0.3, -0.3], [2, 1, 3, 1, 1.5, 0.1, 0.3]
    ),
    "ScaleBench 3: Muennighoff et al.": started(_muennighoff, [-2, -1, 0.1, 1, 0, 0, -3], [2, 3, 0.8, 3, 4, 4, 3]),
    "ScaleBench 4: D / (1 + D / (s U N^d))": started(_limited, [1, -2, 0.1, -1, 0.1, 0, -0.3], [3, 2, 0.8, 3, 0.8, 5, 0.3]),
    "ScaleBench 5: U^g D^(1-g)": started(_geometric, [-2, 0.1, -1, 0.1, 1, 0], [2, 0.8, 3, 0.8, 3, 0.8]),
}
