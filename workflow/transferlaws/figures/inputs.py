"""What figures read: the measurement table, the documents of the fits, and the advice."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from transferlaws.errors import UserError
from transferlaws.files import read_json, sha256
from transferlaws.laws.document import Fit, FitDocument
from transferlaws.measurements.panels import PANEL
from transferlaws.measurements.significance import Gain, Significance
from transferlaws.measurements.table import read_measurements, usable

ADVICE = ("answers", "comparisons", "worth", "remarks")
Fits = dict[str, FitDocument]
"""The document of each law."""


def read_table(path: str | Path) -> pd.DataFrame:
    """The validated measurement table; its path goes with it, for messages."""
    table = read_measurements(path)
    table.attrs["path"] = str(path)
    return table


def require(table: pd.DataFrame, columns: Iterable[str], path: str | Path | None = None) -> None:
    """Raise `UserError` naming the columns that the table lacks."""
    path = path or table.attrs.get("path", "measurement table")
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise UserError(
            f"{path}: lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has {', '.join(table.columns)}."
        )


def valued(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The usable rows with a finite value in each of `columns`; `UserError` where none remain."""
    require(table, columns)
    rows = usable(table.dropna(subset=list(columns)))
    if rows.empty:
        path = table.attrs.get("path", "measurement table")
        raise UserError(f"{path}: no row of what is drawn has a value in {' and '.join(columns)}.")
    return rows


def find(fits: Fits, law: str, metric: str | None = None, **keys: object) -> Fit | None:
    """The first fit of `law` (and `metric`) whose group agrees with `keys`."""
    return fits[law].find(metric, **keys) if law in fits else None


def read_advice(path: str | Path, measurements: str | Path) -> dict:
    """The document that `transferlaws advise` wrote; `UserError` for another file, and for the advice on another table."""
    advice = read_json(path)
    missing = [key for key in ("settings", "provenance", *ADVICE) if not isinstance(advice, dict) or key not in advice]
    if missing:
        raise UserError(f"{path}: not advice: it lacks {', '.join(missing)}. Run `transferlaws advise` again.")
    if advice["provenance"]["measurements_sha256"] != sha256(measurements):
        raise UserError(f"{path}: is the advice on another table than {measurements}. Run `transferlaws advise` again.")
    return advice


def gains_of(advice: dict, metric: str, **keys: object) -> dict[str, Gain]:
    """What each mixture of a panel gains over scratch at its last rung; mixtures without a gain are left out."""
    found = {}
    for panel in advice["worth"]:
        if all(panel[key] == keys[key] for key in PANEL):
            for mixture in panel["mixtures"]:
                gain = (mixture["values"].get(metric) or {}).get("gain")
                if gain:
                    ends = {end: gain[end] for end in ("estimate", "low", "high", "probability")}
                    found[mixture["mixture"]] = Gain(**ends, significance=Significance(gain["sureness"]))
    return found
