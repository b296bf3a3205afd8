"""What an earlier run left: whether its results may stand under this study, and what this study makes again, in words."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from transferlaws import records
from transferlaws.corpora.readers.paths import named
from transferlaws.errors import UserError
from transferlaws.files import read_json
from transferlaws.layout import Layout

SINCE = "Since the last run of this study: "


def check_sources(layout: Layout) -> list[str]:
    """Find the user's own files before any job starts.

    Snakemake takes an output whose input is missing for a file of the user's: it would keep results of other text, and the study
    would sign them. Files that are gone are borne where what was made of them was made with these very settings.

    Returns:
        A line about each corpus and bitext that stands though its files are gone.

    Raises:
        UserError: a line about each file that is missing and needed.
    """
    stands, missing = [], []
    for kind, names, folder in (("bitexts", layout.bitexts, layout.bitext), ("corpora", layout.corpora, layout.corpus)):
        for name in names:
            gone = [
                f"{kind}.{name}.{field}"
                for field, patterns in layout.own_files(kind, name).items()
                if not all(named(pattern) for pattern in patterns)
            ]
            if not gone:
                continue
            wanted = [pattern for pattern in layout.local_inputs(kind, name) if not Path(pattern).exists()]
            report = folder.format(**{"bitext" if kind == "bitexts" else "corpus": name}) + "/report.json"
            made_so = Path(report).is_file() and _made_so(layout, kind, name, report)
            if made_so:
                stands.append(
                    f"{', '.join(gone)}: no file matches {_quoted(wanted)}. {report} was made with these settings, and stands."
                )
            else:
                earlier = (
                    f" What is in {report} was made with other settings, and cannot be made again."
                    if Path(report).is_file()
                    else ""
                )
                missing.append(
                    f"{', '.join(gone)}: no file matches {_quoted(wanted)}.{earlier} Correct the path, or bring the file back."
                )
    if missing:
        raise UserError("files of the study are missing:\n" + "\n".join(f"  - {line}" for line in missing))
    return stands


def _made_so(layout: Layout, kind: str, name: str, report: str) -> bool:
    """Whether Snakemake's record says that a corpus or bitext was made with what the study says of it."""
    expected = {repr(layout.settings(kind, name))}
    if kind == "corpora":
        expected.add(repr(layout.against(SimpleNamespace(corpus=name))))
    return expected <= set(records.parameters(report))


def _quoted(patterns: list[str]) -> str:
    return ", ".join(f"`{pattern}`" for pattern in patterns)


def last_study(layout: Layout) -> Layout | None:
    """The study whose results lie where this one's go; None where there are none, or where they are of another schema."""
    path = Path(layout.root, "study.json")
    try:
        return Layout(read_json(path)) if path.is_file() else None
    except UserError:
        return None


def repeated(before: Layout | None, now: Layout) -> list[str]:
    """What the study makes again that an earlier one had made, and why, a sentence each; empty where all that was trained stays.

    New mixtures, seeds, rungs and sizes are no repetition. The reasons are the parts of the config that differ; changed code and
    changed files are Snakemake's to find.
    """
    if before is None:
        return []
    lines = []
    old, new = _vocabulary(before), _vocabulary(now)
    kept_runs = [run for run in now.trajectories if run in before.trajectories]
    kept_curves = [curve for curve in now.curves if curve in before.curves]
    if old != new:
        line = f"{SINCE}the vocabulary is made again ({'; '.join(_differences(old, new))})"
        if kept_runs or kept_curves:
            line += f", and with it {_counts(len(kept_runs), len(kept_curves))}"
        keep = ""
        if old["vocabulary"] == new["vocabulary"] and not now.study.vocabulary.model:
            keep = f" To keep it, copy {now.vocabulary}/spiece.model to a place of your own and name that as vocabulary.model."
        return [f"{line}.{keep}"]
    again = {}
    for run in kept_runs:
        if reasons := _differences(_trajectory(before, run), _trajectory(now, run)):
            again[run] = reasons
    for reasons in dict.fromkeys(map(tuple, again.values())):
        runs = [run for run in again if tuple(again[run]) == reasons]
        names = sorted({f"{run.model}/{run.mixture}" for run in runs})
        lines.append(f"{SINCE}{_counts(len(runs), 0)} ({', '.join(names)}), because {'; '.join(reasons)}.")
    touched = {(run.model, run.mixture) for run in again}
    curves = {}
    for curve in kept_curves:
        reasons = _differences(_curve(before, curve), _curve(now, curve))
        if reasons or (curve.model, curve.mixture) in touched:
            curves[curve] = tuple(reasons) or ("their pretraining is",)
    for reasons in dict.fromkeys(curves.values()):
        count = sum(own == reasons for own in curves.values())
        lines.append(f"{SINCE}{_counts(0, count)}, because {'; '.join(reasons)}.")
    return lines


def _counts(runs: int, curves: int) -> str:
    words = [f"{runs} finished pretraining run{'s' * (runs > 1)}"] if runs else []
    words += [f"{curves} finished fine-tuning curve{'s' * (curves > 1)}"] if curves else []
    return " and ".join(words) + (" is" if runs + curves == 1 else " are") + " trained again"


def _text(layout: Layout) -> dict[str, object]:
    """The settings of every corpus and bitext in use, and what corpora are cleaned of."""
    both = {"corpora": layout.corpora, "bitexts": layout.bitexts}
    text: dict[str, object] = {
        f"{kind}.{name}": getattr(layout.study, kind)[name].model_dump() for kind, names in both.items() for name in names
    }
    return text | {"the bitexts whose dev and test items corpora are cleaned of": layout.bitexts}


def _vocabulary(layout: Layout) -> dict[str, object]:
    return {"vocabulary": layout.study.vocabulary.model_dump()} | _text(layout)


def _trajectory(layout: Layout, run: object) -> dict[str, object]:
    study = layout.study
    return {
        "pretraining": study.pretraining.model_dump(exclude={"ladder", "seeds", "state_seconds"}),
        f"models.{run.model}": study.models[run.model].model_dump(exclude={"size"}),
        f"mixtures.{run.mixture}": study.mixtures[run.mixture],
    }


def _curve(layout: Layout, curve: object) -> dict[str, object]:
    study = layout.study
    return {
        "finetuning": study.finetuning.model_dump(exclude={"state_seconds", "group"}),
        f"models.{curve.model}": study.models[curve.model].model_dump(exclude={"size"}),
        f"tasks.{curve.task}": study.tasks[curve.task].model_dump(exclude={"pairs", "tokens", "scratch"}),
    }


def _differences(old: dict[str, object], new: dict[str, object]) -> list[str]:
    return list(_words(old, new))


def _words(old: dict[str, object], new: dict[str, object]) -> Iterator[str]:
    for key in dict.fromkeys([*old, *new]):
        if key not in old:
            yield f"{key} joins"
        elif key not in new:
            yield f"{key} leaves"
        elif old[key] != new[key]:
            sections = isinstance(old[key], dict) and isinstance(new[key], dict)
            parts = [part for part in {**old[key], **new[key]} if old[key].get(part) != new[key].get(part)] if sections else []
            yield ", ".join(f"{key}.{part}" for part in parts) + (" change" + "s" * (len(parts) == 1) if parts else f"{key} change")
