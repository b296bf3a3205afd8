"""The best split of a budget between pretraining and fine-tuning data under the transfer-gap law (paper B)."""

from dataclasses import dataclass

import numpy as np

from transferlaws.advice.settings import AdviceSettings
from transferlaws.laws.estimate import Fitted, Unfitted
from transferlaws.laws.registry import LAWS
from transferlaws.laws.verdict import may_split, was_fitted
from transferlaws.measurements.means import Quantity
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
        # without transfer no pretraining is bought, and its term is what it is at any number of tokens
        left = np.where(tokens > 0, a * tokens**-alpha, np.where(alpha > 0, 0.0, a))
        loss = (left + g) * units**-beta + e
    return Split(tokens, units, loss)


def no_split(documents: dict, settings: AdviceSettings) -> str:
    """Why there is no budget to split, or no law to split it by; empty if there is."""
    missing = [k for k in ("budget", "pretraining_token_price", "finetuning_unit_price") if getattr(settings, k) is None]
    if missing:
        return f"not set: {', '.join(missing)}"
    return "" if "transfer-gap" in documents else "the transfer-gap law was not fitted"


def splits(curves: list[tuple[Fitted | Unfitted, dict]], settings: AdviceSettings) -> dict:
    """Paper B's split of the budget, for every curve (with its report) that the transfer-gap law was fitted to."""
    found = []
    for result, report in curves:
        if not isinstance(result, Fitted) or not may_split(report["status"]):
            continue
        form, curve = LAWS["transfer-gap"].form, result.curve
        prices = settings.model_dump(include={"budget", "pretraining_token_price", "finetuning_unit_price"})
        point = best_split(parameters=form.natural(curve.fit.theta[None], curve.design), **prices)
        draws = best_split(parameters=form.natural(result.draws.thetas, curve.design), **prices)
        quantities = {
            name: Quantity(float(getattr(point, name)[0]), getattr(draws, name)).json(settings.confidence)
            for name in ("pretraining_tokens", "finetuning_units", "loss")
        }
        if not all(np.isfinite(found["estimate"]) for found in quantities.values()):
            continue
        x = curve.sample.x
        beyond = [
            name
            for j, name in enumerate(("pretraining_tokens", "finetuning_units"))
            if not x[:, j].min() / 4 <= quantities[name]["estimate"] <= 4 * x[:, j].max()
        ]
        found.append({"group": report["group"], **quantities, "beyond_measured": beyond})
    return {"splits": found, "reason": "" if found else "no curve determines the transfer-gap law"}


def model_size(documents: dict) -> list[dict]:
    """Paper C: how much larger a model would have to be to be worth ten times the fine-tuning data."""
    fits = documents.get("effective-data", {"fits": []})["fits"]
    return [
        {"group": fit["group"], "status": fit["status"], **fit["parameters"]["model_size_for_10x_data"]}
        for fit in fits
        if was_fitted(fit["status"])
    ]
