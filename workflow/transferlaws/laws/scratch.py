"""From-scratch curves ln L(ln D) of models of one size: monotone, smooth, read in both directions.

The means over seeds are made non-increasing by isotonic regression; through them goes the C2 cubic spline whose slopes are limited
where it would not be monotone (Hyman 1983). Of a sharply bent curve with one D a decade it misses a tenth of what a cubic with
local slopes misses. Beyond its ends a curve goes on straight.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from transferlaws.statistics.arrays import Array, indicators_of
from transferlaws.statistics.tests import isotonic

SATURATION = 0.99  # D(N) reaches 99 % of infinite-data performance: L(inf) = 0.99 L(D(N)), footnote 7 of Hernandez et al.
FLAT = 3.0  # a curve ends flat if it comes within 1 % of its lowest loss at a third of its largest D


@dataclass(frozen=True)
class Curves:
    """One size's curve in each of B drawn data sets."""

    knots: Array  # (m,) ln D, increasing
    values: Array  # (B, m) ln L, non-increasing
    slopes: Array  # (B, m) d ln L / d ln D at the knots

    def at(self, log_size: Array) -> tuple[Array, Array]:
        """Ln L and its derivative at log_size (B, k); both (B, k)."""
        piece = np.clip(np.searchsorted(self.knots, log_size, side="right") - 1, 0, len(self.knots) - 2)
        rows = np.arange(len(self.values))[:, None]
        width = np.diff(self.knots)[piece]
        t = (log_size - self.knots[piece]) / width
        inside = np.clip(t, 0.0, 1.0)
        low, high = self.values[rows, piece], self.values[rows, piece + 1]
        left, right = width * self.slopes[rows, piece], width * self.slopes[rows, piece + 1]
        rise = high - low
        square, cube = 3 * rise - 2 * left - right, left + right - 2 * rise
        value = low + inside * (left + inside * (square + inside * cube))
        slope = (left + inside * (2 * square + 3 * cube * inside)) / width
        return value + (t - inside) * width * slope, slope

    def invert(self, log_loss: Array) -> Array:
        """Ln D at which each curve has log_loss (B, k); infinite beyond the ends."""
        low = np.full(log_loss.shape, self.knots[0])
        high = np.full(log_loss.shape, self.knots[-1])
        for _ in range(50):
            middle = 0.5 * (low + high)
            above = self.at(middle)[0] > log_loss
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        found = 0.5 * (low + high)
        found = np.where(log_loss < self.values[:, -1:], np.inf, found)
        return np.where(log_loss > self.values[:, :1], -np.inf, found)


@dataclass(frozen=True)
class ScratchCurve:
    """The from-scratch measurements of one size, and which rows they are."""

    rows: Array  # (n,) index into the rows of the source table
    index: Array  # (n,) which of the distinct D each row has
    sizes: Array  # (m,) distinct D, increasing

    def means(self, log_losses: Array) -> Array:
        """Mean ln L of each D; log_losses (B, all rows) -> (B, m)."""
        return log_losses[:, self.rows] @ (indicators_of(self.index) / np.bincount(self.index))

    def curves(self, log_losses: Array) -> Curves:
        """The curve of each data set; log_losses (B, all rows)."""
        values = -isotonic(-self.means(log_losses), np.bincount(self.index).astype(float))
        knots = np.log(self.sizes)
        secants = np.diff(values) / np.diff(knots)
        if len(knots) == 2:
            return Curves(knots, values, np.hstack([secants, secants]))
        smooth = values @ CubicSpline(knots, np.eye(len(knots)))(knots, 1).T
        before, after = np.hstack([secants[:, :1], secants]), np.hstack([secants, secants[:, -1:]])
        return Curves(knots, values, np.clip(smooth, 3 * np.maximum(before, after), 0.0))

    def limit(self, log_losses: Array) -> float | None:
        """D(N): where the measured curve comes within 1 % of its lowest loss; None where it has not flattened by its largest D."""
        curves = self.curves(log_losses[None])
        found = float(np.exp(curves.invert(curves.values[:, -1:] - np.log(SATURATION))[0, 0]))
        return found if found * FLAT <= self.sizes[-1] else None

    def moved(self, log_losses: Array, deviation: float) -> list[float]:
        """D whose mean isotonic regression moved by more than twice its own noise, the standard deviation of one loss given."""
        means, counts = self.means(log_losses[None])[0], np.bincount(self.index)
        shift = np.abs(self.curves(log_losses[None]).values[0] - means)
        return self.sizes[shift > 2 * deviation / np.sqrt(counts)].tolist()
