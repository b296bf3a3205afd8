"""What a verdict says beside its tests: noise that is not alike everywhere, and rows that lie far off."""

import numpy as np

from transferlaws.laws.estimate import Fitted, PointCurve

OUTLYING = 6.0  # robust standard deviations from which a row is named


def noise_notes(result: Fitted) -> list[str]:
    """What of the noise is not a run effect and a residual that are alike everywhere."""
    notes = []
    if result.evidence.own_slopes:
        notes.append("runs differ in slope by more than noise: intervals have a random slope a run")
    if result.evidence.growth:
        how = "grows" if result.evidence.growth > 0 else "shrinks"
        notes.append(f"noise {how} along the ladder, about as its {result.evidence.growth:+.2f} power: intervals have that too")
    return notes


def outliers(curve: PointCurve) -> list[str]:
    """Rows that lie far beyond the others' scatter about the law."""
    residuals = curve.log_values - curve.form.log_prediction(curve.fit.theta[None], curve.design)[0][0]
    scale = 1.4826 * np.median(np.abs(residuals))
    far = np.abs(residuals) > OUTLYING * max(scale, 1e-6)
    if not far.any() or far.sum() > len(far) / 8:
        return []
    rows = curve.group.points[curve.group.points.role == "fit"].row.to_numpy()
    named = ", ".join(f"row {row} ({np.expm1(r):+.1%})" for row, r in zip(rows[far], residuals[far], strict=True))
    return [
        f"beyond {OUTLYING:g} robust deviations from the law: {named}; the interval without them is that of a table without them"
    ]
