"""Effective data transferred (Hernandez et al. 2021): how much fine-tuning data pretraining was worth.

For each model size N the from-scratch loss as a function of data, L(D), says how much data, D_E, the loss of a fine-tuned model
would have needed without pretraining; D_T = D_E - D_F is what pretraining transferred. Measured curves are read
(`scratch.py`): a fitted L(N, D) was too poor in the paper, appendix E.1. The law is fitted to all points in losses
(`transfer_fit.py`), or as the paper did (`hernandez.py`).
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from transferlaws.laws.bootstrap import Bootstrap
from transferlaws.laws.estimate import Fitted, PointCurve, Unfitted, fit_curve, sample_of, too_few
from transferlaws.laws.groups import Group
from transferlaws.laws.hernandez import Inversion, logit_bootstrap, logit_point
from transferlaws.laws.law import Law
from transferlaws.laws.scratch import ScratchCurve
from transferlaws.laws.settings import FitSettings
from transferlaws.laws.solver import PointFit, Solution
from transferlaws.laws.transfer_fit import Tuned, fit, inside, refit
from transferlaws.progress import Progress
from transferlaws.seeding import generator
from transferlaws.statistics.arrays import Array, indicators_of
from transferlaws.statistics.noise import NoiseEvidence, gather
from transferlaws.statistics.tests import PureError, pure_error

COARSE = 5.0  # from-scratch D that are further apart than by this factor: alpha errs by up to 5 % between them
STARTS = ((0.2, 0.4), (0.5, 0.2), (0.1, 0.1), (0.0, 0.8))  # alpha, beta


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


def derive(group: Group, settings: FitSettings) -> tuple[Group, dict[float, ScratchCurve], pd.DataFrame, dict[str, float | None]]:
    """Turn a group of losses into a group of D_T.

    Returns the derived group (columns loss, effective and fraction added), the from-scratch curves by model size, the source
    points, and D(N) by model size (None where the curve has not flattened by its largest D). By default only points are excluded
    that have no curve or are not low-data; the protocol `hernandez` also excludes those without a D_T of their own.
    """
    data, model = group.columns
    source = group.points[group.points.role.isin(["fit", "held-out", "baseline"]) & group.points.value.gt(0)].reset_index(drop=True)
    log_losses = np.log(source.value.to_numpy(float))
    curves, limits = {}, {}
    for size, rows in source[source.role == "baseline"].groupby(model):
        distinct, index = np.unique(rows[data].to_numpy(float), return_inverse=True)
        if len(distinct) >= 2:
            curves[float(size)] = ScratchCurve(rows.index.to_numpy(), index, distinct)
            limits[float(size)] = curves[float(size)].limit(log_losses)
    points = group.points.rename(columns={"value": "loss"}).assign(effective=np.nan, value=np.nan, fraction=np.nan, noise=0.0)
    strict = settings.protocol == "hernandez"
    tuned, read = points.role.isin(["fit", "held-out"]), {}
    for size, curve in curves.items():
        own = points.index[tuned & (points[model] == size)]
        found = curve.curves(log_losses[None]).invert(np.log(points.loss[own].to_numpy(float))[None])[0]
        read |= dict(zip(own, np.exp(found), strict=True))
    for k in points.index[tuned]:
        size, own = float(points.loc[k, model]), float(points.loc[k, data])
        if size not in curves:
            points.loc[k, ["role", "reason"]] = ["excluded", f"fewer than two from-scratch D for {model} = {size:g}"]
            continue
        sizes, tokens = curves[size].sizes, float(read[k])
        said = ""
        if tokens > sizes[-1]:
            said = f"censored: better than every from-scratch run, D_E > {sizes[-1]:g}"
        elif tokens < sizes[0]:
            said = f"censored: worse than every from-scratch run, D_E < {sizes[0]:g}"
        else:
            points.loc[k, ["effective", "value", "fraction"]] = [tokens, tokens - own, (tokens - own) / tokens]
            if tokens <= own:
                said = "ossification: D_T <= 0, no gain over training from scratch"
        if limits[size] is not None and own > settings.low_data_share * limits[size]:
            reason = f"not low-data: D_F > {settings.low_data_share:g} * D(N) = {settings.low_data_share * limits[size]:.6g}"
            points.loc[k, ["role", "reason"]] = ["excluded", reason]
        elif said and strict:
            points.loc[k, ["role", "reason"]] = ["excluded", said]
        elif said:
            points.loc[k, "reason"] = said + "; fitted as such" if points.role[k] == "fit" else said
    derived = replace(group, metric="data_transferred", scale=str(group.key.get("finetuning_unit", "")), points=points)
    derived = replace(derived, extras=("loss", "effective", "fraction"))
    return derived, curves, source, {f"{n:g}": v for n, v in limits.items()}


def loss_evidence(sources: list[pd.DataFrame], columns: tuple[str, str]) -> NoiseEvidence:
    """Run and residual noise of log losses from repeated measurements, each row counted once."""
    rows = pd.concat(sources).drop_duplicates("row")
    data, model = columns
    cells = rows.groupby(["mixture", "rung", data, model]).ngroup().to_numpy()
    runs = rows.groupby(["mixture", model, "seed"]).ngroup().to_numpy()
    log_losses = np.log(rows.value.to_numpy(float))
    means = indicators_of(cells)
    return gather(residuals=log_losses - means @ (log_losses @ means / means.sum(axis=0)), jacobian=means, runs=runs)


def fit_effective_data(groups: list[Group], *, law: Law, settings: FitSettings) -> list[Fitted | Unfitted]:
    """D_T = k D_F^alpha N^beta for every group of losses; the bootstrap reads curves of losses drawn with noise."""
    derived = [derive(group, settings) for group in groups]
    evidence = {
        task: loss_evidence([s for g, _, s, _ in derived if g.key["task"] == task], groups[0].columns)
        for task in {g.key["task"] for g, *_ in derived}
    }
    results: list[Fitted | Unfitted] = []
    with Progress(f"{law.form.name}: intervals", len(groups), unit="curve") as progress:
        for group, curves, source, limits in derived:
            own = evidence[group.key["task"]]
            way = _as_published if settings.protocol == "hernandez" else _in_losses
            result = way(group, curves, source, evidence=own, law=law, settings=settings)
            if isinstance(result, Fitted):
                result = replace(result, extra={"data_limits": limits}, notes=[*result.notes, *_notes(curves, source, limits, own)])
            results.append(result)
            progress.update(1)
    return results


def _notes(
    curves: dict[float, ScratchCurve], source: pd.DataFrame, limits: dict[str, float | None], evidence: NoiseEvidence
) -> list[str]:
    """What a reader must know of the from-scratch curves."""
    notes = []
    beyond = [f"{float(n):g}" for n, limit in limits.items() if limit is None]
    if beyond:
        notes.append(f"D(N) is beyond the largest from-scratch D for N = {', '.join(beyond)}: all their D_F are taken for low-data")
    coarse = [f"{n:g}" for n, curve in curves.items() if np.max(curve.sizes[1:] / curve.sizes[:-1]) > COARSE]
    if coarse:
        notes.append(f"from-scratch D further apart than {COARSE:g} times (N = {', '.join(coarse)}): alpha may err by 5 %")
    if evidence.residual_freedom:
        log_losses, deviation = np.log(source.value.to_numpy(float)), np.sqrt(evidence.residual_variance)
        for n, curve in curves.items():
            moved = curve.moved(log_losses, deviation)
            if moved:
                found = ", ".join(f"{d:g}" for d in moved)
                notes.append(
                    f"the from-scratch curve of N = {n:g} is not monotone: its mean at D = {found} was moved by more than noise"
                )
    return notes


def _in_losses(
    group: Group,
    curves: dict[float, ScratchCurve],
    source: pd.DataFrame,
    *,
    evidence: NoiseEvidence,
    law: Law,
    settings: FitSettings,
) -> Fitted | Unfitted:
    form, points = law.form, group.points[group.points.role == "fit"]
    sample = sample_of(group)
    reason = too_few(form, sample, group.columns) if len(points) else "no point can be fitted"
    if reason:
        return Unfitted(group, reason)
    log_losses = np.log(source.value.to_numpy(float))
    several = source[source.role != "baseline"].groupby([group.columns[1], "seed", group.columns[0]]).size()
    if (several > 1).any():
        return Unfitted(group, "several D_p of one N would be fitted as one: leave pretraining_tokens out of `across`")
    usable = np.where(points.value > 0, points.value, np.nan)
    level = np.log(np.nanmedian(usable)) if np.isfinite(usable).any() else np.log(points[group.columns[0]]).mean()
    design = form.design(x=sample.x, log_values=np.full(len(points), level))
    tuned = _tuned(points, curves, source, group.columns)
    known = evidence.residual_freedom > 0
    deviation = np.array([np.sqrt(evidence.residual_variance + evidence.run_variance) if known else 0.01])
    start = np.array([[0.0, *slopes] for slopes in STARTS])
    found = fit(tuned, design, log_losses=np.repeat(log_losses[None], len(start), axis=0), start=start, deviation=deviation)
    best = found.at(int(np.argmin(found.objective)))
    theta = best.theta[0]
    agreeing = int((found.objective <= best.objective[0] * (1 + 1e-4) + 1e-6).sum())
    log_values = np.where(np.isfinite(usable), np.log(usable), form.log_prediction(theta[None], design)[0][0] + level) - level
    misses = log_values - form.log_prediction(theta[None], design)[0][0]
    curve = PointCurve(
        group=group,
        form=form,
        sample=replace(sample, noise=np.zeros(len(points))),
        design=design,
        log_values=log_values,
        fit=PointFit(theta, float(best.objective[0]), 0.0, bool(best.converged[0]), len(start), agreeing),
        least=Solution(theta[None], 0.5 * (misses**2).sum(keepdims=True), np.zeros(1), best.converged),
        evidence=evidence,
        error=PureError(),
    )
    nothing = Bootstrap(np.empty((0, form.size)), np.empty((0, len(points))), None, np.empty(0))
    if not known:
        return Fitted(curve, evidence, PureError(), nothing, misfit=None)
    keys = ["mixture", "rung", *group.columns]
    cells, runs = (source.groupby(names).ngroup().to_numpy() for names in (keys, ["mixture", group.columns[1], "seed"]))
    draws = refit(
        tuned,
        design,
        best,
        log_losses=log_losses,
        runs=runs,
        test_noise=(source.noise / source.value).to_numpy(float),
        replicates=np.hstack([indicators_of(cells), indicators_of(runs)]),
        evidence=evidence,
        count=settings.bootstraps,
        generator=generator(settings.seed, "bootstrap", form.name, group.metric, sorted(group.key.items())),
    )
    notes = [f"{draws.lost:.0%} of the refits reached no optimum"] if draws.lost > 0.01 else []
    held = group.points[group.points.role == "held-out"]
    share = None
    if len(held):
        there = _tuned(held, curves, source, group.columns)
        share = inside(
            there, design.at(held[list(group.columns)].to_numpy(float)), draws, log_losses=log_losses, level=settings.level
        )
    error = PureError(evidence.residual_squares, evidence.residual_freedom)
    refits = Bootstrap(draws.theta, log_values, None, np.zeros(len(draws.theta)))
    return Fitted(curve, evidence, error, refits, misfit=draws.p_value, inside=share, notes=notes)


def _tuned(points: pd.DataFrame, curves: dict[float, ScratchCurve], source: pd.DataFrame, columns: tuple[str, str]) -> Tuned:
    rows = pd.Index(source.row).get_indexer(points.row)
    return Tuned(rows, points[columns[0]].to_numpy(float), points[columns[1]].to_numpy(float), curves)


def _as_published(
    group: Group,
    curves: dict[float, ScratchCurve],
    source: pd.DataFrame,
    *,
    evidence: NoiseEvidence,
    law: Law,
    settings: FitSettings,
) -> Fitted | Unfitted:
    held = group.points.role == "held-out"
    without = group.points.assign(value=group.points.value.where(~held | (group.points.value > 0), np.nan))
    unread = held & without.value.isna()
    without.loc[unread, "role"] = "excluded"
    curve = fit_curve(replace(group, points=without), law=law, settings=settings)
    if isinstance(curve, Unfitted):
        return curve
    curve = replace(curve, fit=logit_point(curve, law, settings))
    inversion = Inversion({n: (c.rows, c.index) for n, c in curves.items()}, {n: c.sizes for n, c in curves.items()})
    draws = logit_bootstrap(curve, inversion, source, evidence=evidence, law=law, settings=settings)
    error = pure_error(log_values=curve.log_values, cells=_cells(curve), runs=curve.sample.runs)
    return Fitted(curve, evidence, error, draws)


def _cells(curve: PointCurve) -> Array:
    return np.unique(curve.sample.x, axis=0, return_inverse=True)[1].ravel()
