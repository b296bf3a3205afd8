"""The best split of a budget between pretraining and fine-tuning data under the transfer-gap law (paper B)."""

from dataclasses import dataclass

import numpy as np

from transferlaws.statistics.arrays import Array


@dataclass(frozen=True)
class Split:
    """Pretraining tokens and fine-tuning units that a budget buys, and the loss predicted for them; each of shape (B,)."""

    pretraining_tokens: Array
    finetuning_units: Array
    loss: Array


def best_split(*, parameters: Array, budget: float, pretraining_token_price: float, finetuning_unit_price: float) -> Split:
    """Minimise L = (A p^-alpha + G) f^-beta + E on c_p p + c_f f = budget.

    parameters (B, 5) are E, G, A, alpha, beta as the law lists them. At the optimum c_f f / (c_p p) = (beta / alpha) (1 + (G / A)
    p^alpha); the left side falls in p, the right side rises, so bisection finds the one root. Without transfer (A or alpha 0)
    everything goes to fine-tuning, without use of fine-tuning data (beta 0) to pretraining.
    """
    e, g, a, alpha, beta = parameters[:, :5].T
    most = np.log(budget / pretraining_token_price)
    low, high = np.full(len(e), most - 80.0), np.full(len(e), most)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        for _ in range(80):
            middle = (low + high) / 2
            spent = np.exp(middle - most)  # share of the budget
            wanted = (beta / alpha) * (1 + (g / a) * np.exp(alpha * middle))
            more = (1 - spent) / spent > wanted
            low, high = np.where(more, middle, low), np.where(more, high, middle)
        tokens = np.where((a > 0) & (alpha > 0), np.exp((low + high) / 2), 0.0)
        units = (budget - pretraining_token_price * tokens) / finetuning_unit_price
        loss = (a * tokens**-alpha + g) * units**-beta + e
    return Split(tokens, units, loss)
