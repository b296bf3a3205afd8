"""Named protocols: a paper's own way of fitting, as far as it is published, beside this project's default."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from transferlaws.errors import UserError
from transferlaws.laws.forms.form import Design
from transferlaws.laws.law import Law
from transferlaws.laws.settings import PROTOCOL_LAWS, FitSettings
from transferlaws.statistics.arrays import Array


@dataclass(frozen=True)
class Protocol:
    """What a protocol sets where the settings say null, and the laws that its paper fits."""

    laws: tuple[str, ...] | None  # None: every law
    fitted_rungs: int | None = None
    held_out_rungs: int | None = None
    resampling: str = "noise"


PROTOCOLS = {
    "default": Protocol(None),
    # Isik et al., appendix A.2: the four smallest D_p are fitted, every later point is held out
    "isik": Protocol(PROTOCOL_LAWS["isik"], fitted_rungs=4),
    # Barnett: one joint fit over (D_p, D_f); its loss and optimiser are not published, so non-negative least squares and this
    # project's Huber polish stand in
    "barnett": Protocol(PROTOCOL_LAWS["barnett"], held_out_rungs=0),
    # Hernandez et al., appendix C: a logit fit per D_F, then a fit of the fits with equal weight to each D_F
    "hernandez": Protocol(PROTOCOL_LAWS["hernandez"]),
    # Hoffmann et al., approach 3, with the summed objective of Besiroglu et al.: 4,500 starts, no point held out
    "chinchilla": Protocol(PROTOCOL_LAWS["chinchilla"], held_out_rungs=0, resampling="runs"),
}


def resolve(law: Law, settings: FitSettings) -> FitSettings:
    """Fill what the settings leave open with the protocol's or the law's own values."""
    protocol = PROTOCOLS[settings.protocol]
    if protocol.laws is not None and law.form.name not in protocol.laws:
        raise UserError(
            f"protocol: {settings.protocol} is a way of fitting {', '.join(protocol.laws)}, not {law.form.name}. Use default."
        )
    columns = settings.columns or list(law.form.columns)
    if len(columns) != len(law.form.columns):
        raise UserError(f"columns: {law.form.name} is a function of {len(law.form.columns)} columns, not {len(columns)}.")
    if law.form.name == "effective-data" and "runs" in (settings.resampling, protocol.resampling):
        raise UserError("resampling: runs does not apply to effective-data, whose refits draw noise. Leave it out.")
    if settings.held_out_rungs is not None and (settings.fitted_rungs or protocol.fitted_rungs) is not None:
        raise UserError(
            "held_out_rungs: all rungs but the fitted ones are held out where fitted_rungs is set. Leave one of them out."
        )
    unknown = set(settings.across or ()) - set(law.group)
    if unknown:
        raise UserError(
            f"across: {law.form.name} does not fit each {', '.join(sorted(unknown))} alone; it may be {', '.join(law.group)}."
        )
    own = {
        "columns": columns,
        "delta": law.delta,
        "fitted_rungs": protocol.fitted_rungs,
        "held_out_rungs": None
        if (settings.fitted_rungs or protocol.fitted_rungs)
        else law.held_out_rungs
        if protocol.held_out_rungs is None
        else protocol.held_out_rungs,
        "resampling": protocol.resampling,
    }
    given = {name: value for name, value in settings.model_dump().items() if value is not None}
    return FitSettings.model_validate(own | given)


def chinchilla_starts(design: Design) -> Array:
    """The 4,500 starting points of Hoffmann et al. as internal parameters: a, b, e are ln A, ln B, ln E."""
    exponents = np.arange(0, 2.5, 0.5)
    coefficients = np.arange(0, 30, 5.0)
    grid = np.array(list(product(exponents, exponents, np.arange(-1, 1.5, 0.5), coefficients, coefficients)))
    alpha, beta, e, a, b = grid.T
    logs = np.stack([e, a - alpha * design.centre[0], b - beta * design.centre[1]], axis=1) - design.level
    return np.column_stack([np.exp(logs), alpha, beta])
