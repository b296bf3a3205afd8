"""Effective data transferred (Hernandez et al. 2021): how much fine-tuning data pretraining was worth.

For each model size N the from-scratch loss as a function of data, L(D), is inverted at the loss of a fine-tuned model: that much
data, D_E, would have been needed without pretraining, and D_T = D_E - D_F is what pretraining transferred. The inversion takes
measured points (a fitted L(N, D) was too poor in the paper, appendix E.1): losses made non-increasing in D by isotonic regression,
then a monotone cubic through (ln L, ln D). Loss noise goes through the whole procedure in the bootstrap.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from transferlaws.laws.bootstrap import Bootstrap
from transferlaws.laws.estimate import Fitted, PointCurve, Unfitted, fit_curve
from transferlaws.laws.forms.form import Design
from transferlaws.laws.forms.posynomial import CROSS_ENTROPY_POWER
from transferlaws.laws.groups import Group
from transferlaws.laws.law import Law
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.solver import PointFit, fit_point, huber, minimise_from_least_squares
from transferlaws.progress import Progress
from transferlaws.seeding import generator
from transferlaws.statistics.arrays import Array, indicators_of
from transferlaws.statistics.noise import NoiseEvidence, draw_noise, gather
from transferlaws.statistics.tests import isotonic, pure_error

SATURATION = 0.99  # D(N) reaches 99 % of infinite-data performance: L(inf) = 0.99 L(D(N)), footnote 7


def fraction(*, k: float, alpha: float, beta: float, finetuning_size: Array, parameters: Array) -> Array:
    """Share of the effective data that was transferred, D_T / (D_F + D_T) (Hernandez et al., eq. B.2)."""
    ratio = k * finetuning_size ** (alpha - 1) * parameters**beta
    return ratio / (1 + ratio)


def unified_loss(*, kaplan: Array, k: float, alpha: float, beta: float, finetuning_size: Array, parameters: Array) -> Array:
    """Loss in nats/token of a fine-tuned model: D_T in place of D in Kaplan's law (Hernandez et al., eq. 6.1, "tentative").

    kaplan is (N_c, D_c, alpha_N, alpha_D). For the low-data regime only; not for zero-shot.
    """
    model, data, alpha_n, alpha_d = kaplan
    transferred = k * finetuning_size**alpha * parameters**beta
    return ((model / parameters) ** (alpha_n / alpha_d) + data / transferred) ** alpha_d


def monotone_cubic(x: Array, y: Array, at: Array) -> Array:
    """Monotone cubic interpolation (Fritsch and Carlson's slopes, as in scipy's PchipInterpolator) of many curves at once.

    x (B, m) increasing, y (m,), at (B, k) -> (B, k). Beyond the ends it goes on with the slope of the outermost interval.
    """
    width = np.diff(x, axis=1)
    slope = np.diff(y) / width
    if x.shape[1] == 2:
        tangent = np.hstack([slope, slope])
    else:
        left, right = 2 * width[:, 1:] + width[:, :-1], width[:, 1:] + 2 * width[:, :-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            inner = (left + right) / (left / slope[:, :-1] + right / slope[:, 1:])
        inner = np.where(slope[:, :-1] * slope[:, 1:] > 0, inner, 0.0)
        tangent = np.hstack([_end(width, slope, 0, 1)[:, None], inner, _end(width, slope, -1, -2)[:, None]])
    piece = np.clip((at[:, :, None] >= x[:, None, 1:-1]).sum(axis=2), 0, x.shape[1] - 2)
    rows = np.arange(len(x))[:, None]
    h = width[rows, piece]
    t = (at - x[rows, piece]) / h
    inside = np.clip(t, 0.0, 1.0)
    low, high = y[piece], y[piece + 1]
    cubic = (
        low * (1 + 2 * inside) * (1 - inside) ** 2
        + high * inside**2 * (3 - 2 * inside)
        + h * tangent[rows, piece] * inside * (1 - inside) ** 2
        - h * tangent[rows, piece + 1] * inside**2 * (1 - inside)
    )
    return cubic + (t - inside) * h * slope[rows, piece]


def _end(width: Array, slope: Array, near: int, far: int) -> Array:
    """One-sided three-point slope at an end, kept monotone."""
    h0, h1, d0, d1 = width[:, near], width[:, far], slope[:, near], slope[:, far]
    value = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)
    value = np.where(np.sign(value) != np.sign(d0), 0.0, value)
    return np.where((np.sign(d0) != np.sign(d1)) & (np.abs(value) > 3 * np.abs(d0)), 3 * d0, value)


@dataclass(frozen=True)
class Inversion:
    """From-scratch curves of one task, to be inverted: which rows they are made of, by model size."""

    curves: dict[float, tuple[Array, Array]]  # N -> (rows of the scratch points, index of their D among the distinct ones)
    sizes: dict[float, Array]  # N -> distinct D, increasing

    def effective(self, log_losses: Array, *, parameters: Array, rows: Array) -> Array:
        """D_E of fine-tuned rows; log_losses (B, all rows), parameters and rows (k,) -> (B, k)."""
        found = np.full((len(log_losses), len(rows)), np.nan)
        for size, (scratch, index) in self.curves.items():
            mine = np.flatnonzero(parameters == size)
            means = log_losses[:, scratch] @ (indicators_of(index) / np.bincount(index))
            # increasing in D; equal neighbours are set apart by less than any loss is known to
            rising = isotonic(-means, np.bincount(index).astype(float)) + 1e-9 * np.arange(means.shape[1])
            found[:, mine] = np.exp(monotone_cubic(rising, np.log(self.sizes[size]), -log_losses[:, rows[mine]]))
        return found


def derive(group: Group, settings: FitSettings) -> tuple[Group, Inversion, pd.DataFrame, dict[str, float | None]]:
    """Turn a group of losses into a group of D_T, every point that cannot be used excluded with its reason.

    Returns the derived group (columns loss, effective and fraction added), what it takes to repeat the inversion, the source
    points, and D(N) by model size (None where the asymptote is not above 0).
    """
    data, model = group.columns
    source = group.points[group.points.role.isin(["fit", "baseline"]) & group.points.value.gt(0)].reset_index(drop=True)
    scratch = source[source.role == "baseline"]
    curves, sizes, limits = {}, {}, {}
    for size, rows in scratch.groupby(model):
        distinct, index = np.unique(rows[data].to_numpy(float), return_inverse=True)
        if len(distinct) >= 2:
            curves[float(size)], sizes[float(size)] = (rows.index.to_numpy(), index), distinct
            limits[float(size)] = _data_limit(rows[data].to_numpy(float), rows.value.to_numpy(float))
    inversion = Inversion(curves, sizes)
    points = group.points.rename(columns={"value": "loss"}).assign(effective=np.nan, value=np.nan, fraction=np.nan, noise=0.0)
    fit = source.index[source.role == "fit"]
    effective = inversion.effective(
        np.log(source.value.to_numpy(float))[None], parameters=source[model].to_numpy(float)[fit], rows=fit.to_numpy()
    )[0]
    for row, tokens in zip(source.row[fit], effective, strict=True):
        k = points.index[(points.row == row) & (points.role == "fit")][0]
        size, own = float(points.loc[k, model]), float(points.loc[k, data])
        reason = ""
        if size not in curves:
            reason = f"fewer than two from-scratch D for {model} = {size:g}"
        else:
            lowest, highest = sizes[size][0], sizes[size][-1]
            points.loc[k, ["effective", "value", "fraction"]] = [tokens, tokens - own, (tokens - own) / tokens]
            if tokens > highest:
                reason = f"censored: better than every from-scratch run, D_E > {highest:g}"
            elif tokens < lowest:
                reason = f"censored: worse than every from-scratch run, D_E < {lowest:g}"
            elif limits[size] is not None and own > settings.low_data_share * limits[size]:
                reason = f"not low-data: D_F > {settings.low_data_share:g} * D(N) = {settings.low_data_share * limits[size]:.6g}"
            elif tokens <= own:
                reason = "ossification: D_T <= 0, no gain over training from scratch"
            if reason.startswith("censored"):
                points.loc[k, ["effective", "value", "fraction"]] = np.nan
        if reason:
            points.loc[k, ["role", "reason"]] = ["excluded", reason]
    derived = replace(group, metric="data_transferred", scale=str(group.key.get("finetuning_unit", "")), points=points)
    return replace(derived, extras=("loss", "effective", "fraction")), inversion, source, {f"{n:g}": v for n, v in limits.items()}


def _data_limit(sizes: Array, losses: Array) -> float | None:
    """D(N): data with which a from-scratch model comes within 1 % of its asymptote, from a power law with an asymptote."""
    if len(np.unique(sizes)) < 3:
        return None
    form = CROSS_ENTROPY_POWER
    design = form.design(x=sizes[:, None], log_values=np.log(losses))
    fit = fit_point(form=form, design=design, log_values=np.log(losses) - design.level, delta=1e-3)
    asymptote, coefficient, exponent = form.natural(fit.theta[None], design)[0, :3]
    if asymptote <= 0 or exponent <= 0 or coefficient <= 0:
        return None
    return float((coefficient / (asymptote / SATURATION - asymptote)) ** (1 / exponent))


def loss_evidence(sources: list[pd.DataFrame], columns: tuple[str, str]) -> NoiseEvidence:
    """Run and residual noise of log losses from repeated measurements, each row counted once."""
    rows = pd.concat(sources).drop_duplicates("row")
    data, model = columns
    cells = rows.groupby(["mixture", "rung", data, model]).ngroup().to_numpy()
    runs = rows.groupby(["mixture", model, "seed"]).ngroup().to_numpy()
    log_losses = np.log(rows.value.to_numpy(float))
    means = indicators_of(cells)
    return gather(residuals=log_losses - means @ (log_losses @ means / means.sum(axis=0)), jacobian=means, runs=runs)


def logit_fit(log_transferred: Array, weights: Array, design: Design) -> Array:
    """The paper's procedure: a logit fit per D_F, then a fit of the fits with equal weight to each D_F (appendix C).

    logit(D_T / (D_F + D_T)) = beta (ln N - ln N*), beta common (the mean over D_F), N* of each D_F; then ln N* is linear in ln D_F
    with slope (1 - alpha) / beta. log_transferred and weights (B, n), 0 for points left out -> internal parameters (B, 3).
    """
    sizes, index = np.unique(design.x[:, 0], return_inverse=True)
    member = indicators_of(index)
    logit, log_n = log_transferred - np.log(design.x[:, 0]), np.log(design.x[:, 1])
    count = weights @ member
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_n, mean_y = (weights * log_n) @ member / count, (weights * logit) @ member / count
        spread = (weights * log_n**2) @ member - count * mean_n**2
        slope = ((weights * log_n * logit) @ member - count * mean_n * mean_y) / np.where(spread > 1e-9, spread, np.nan)
        sloped = np.isfinite(slope)
        beta = np.where(sloped, slope, 0.0).sum(axis=1, keepdims=True) / sloped.sum(axis=1, keepdims=True)
        half = mean_n - mean_y / beta  # ln N*
    known = np.isfinite(half)
    log_f = np.where(known, np.log(sizes), 0.0)
    half = np.where(known, half, 0.0)
    total = np.maximum(known.sum(axis=1), 1)
    centre_f, centre_h = log_f.sum(axis=1) / total, half.sum(axis=1) / total
    covariance = (log_f * half).sum(axis=1) - total * centre_f * centre_h
    with np.errstate(divide="ignore", invalid="ignore"):
        rise = covariance / ((log_f**2).sum(axis=1) - total * centre_f**2)
    beta = beta[:, 0]
    alpha = 1 - beta * rise
    log_k = -beta * (centre_h - rise * centre_f)
    return np.stack([log_k + alpha * design.centre[0] + beta * design.centre[1] - design.level, alpha, beta], axis=1)


def fit_effective_data(groups: list[Group], *, law: Law, settings: FitSettings) -> list[Fitted | Unfitted]:
    """D_T = k D_F^alpha N^beta for every group of losses; the bootstrap repeats the inversion on losses drawn with noise."""
    derived = [derive(group, settings) for group in groups]
    evidence = {
        task: loss_evidence([s for g, _, s, _ in derived if g.key["task"] == task], groups[0].columns)
        for task in {g.key["task"] for g, *_ in derived}
    }
    results: list[Fitted | Unfitted] = []
    with Progress(f"{law.form.name}: intervals", len(groups), unit="curve") as progress:
        for group, inversion, source, limits in derived:
            curve = fit_curve(group, law=law, settings=settings)
            if isinstance(curve, PointCurve):
                own = evidence[group.key["task"]]
                if settings.protocol == "hernandez":
                    curve = replace(curve, fit=_hernandez(curve, law, settings))
                draws = _bootstrap(curve, inversion, source, evidence=own, law=law, settings=settings)
                error = pure_error(log_values=curve.log_values, cells=_cells(curve), runs=curve.sample.runs)
                results.append(Fitted(curve, own, error, draws, extra={"data_limits": limits}))
            else:
                results.append(curve)
            progress.update(1)
    return results


def _cells(curve: PointCurve) -> Array:
    return np.unique(curve.sample.x, axis=0, return_inverse=True)[1].ravel()


def _hernandez(curve: PointCurve, law: Law, settings: FitSettings) -> PointFit:
    values = (curve.log_values + curve.design.level)[None]
    theta = logit_fit(values, np.ones_like(values), curve.design)[0]
    residuals = curve.log_values - law.form.log_prediction(theta[None], curve.design)[0][0]
    loss = float(huber(residuals, settings.delta).sum())
    return PointFit(theta=theta, objective=loss, gradient_norm=0.0, converged=bool(np.isfinite(theta).all()), starts=1, agreeing=1)


def _bootstrap(
    curve: PointCurve, inversion: Inversion, source: pd.DataFrame, *, evidence: NoiseEvidence, law: Law, settings: FitSettings
) -> Bootstrap:
    form, design, count = law.form, curve.design, settings.bootstraps
    points = curve.group.points[curve.group.points.role == "fit"]
    if evidence.residual_freedom == 0:
        return Bootstrap(np.empty((0, form.size)), np.empty((0, len(points))), None, np.empty(0))
    stream = generator(settings.seed, "bootstrap", form.name, curve.group.metric, sorted(curve.group.key.items()))
    runs = source.groupby(["mixture", curve.group.columns[1], "seed"]).ngroup().to_numpy()
    shared = (source.noise / source.value).to_numpy(float)
    noise = draw_noise(runs=runs, test_noise=shared, evidence=evidence, count=count, generator=stream)
    rows = pd.Index(source.row).get_indexer(points.row)
    effective = inversion.effective(
        np.log(source.value.to_numpy(float)) + noise, parameters=points[curve.group.columns[1]].to_numpy(float), rows=rows
    )
    transferred = effective - points[curve.group.columns[0]].to_numpy(float)
    usable = transferred > 0
    log_values = np.where(usable, np.log(np.where(usable, transferred, 1.0)), design.level) - design.level
    weights = usable.astype(float)
    if settings.protocol == "hernandez":
        thetas = logit_fit(log_values + design.level, weights, design)
        return Bootstrap(thetas[np.isfinite(thetas).all(axis=1)], log_values, weights, np.zeros(count))
    start = np.repeat(curve.fit.theta[None], count, axis=0)
    solution = minimise_from_least_squares(
        form=form, design=design, log_values=log_values, start=start, delta=settings.delta, weights=weights
    )
    return Bootstrap(solution.theta, log_values, weights, solution.objective)
