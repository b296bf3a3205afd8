"""Whether an evaluated curve is the one that a study asks for: its results belong to no other."""

from collections.abc import Iterator

from transferlaws.errors import UserError

WITHOUT_EFFECT = {"group", "state_seconds", "size"}  # keys of settings that change no result, or stand for others


def check_expected(evaluation: dict, expected: dict, path: object) -> None:
    """Compare what an `evaluation.json` says of itself with the study.

    Args:
        evaluation: the content of `evaluation.json`.
        expected: `{"curves": [[model, mixture, task, D_f], ...], "seeds": [...], "ladder": [...], "models": {name: shape},
            "finetuning": {...}, "evaluation": {...}}`, as `Layout.expected_curves` writes it.
        path: where `evaluation.json` lies.

    Raises:
        UserError: the file, each key of the config that differs, both values, the remedy.
    """
    problems = list(_problems(evaluation, expected))
    if problems:
        raise UserError(
            f"{path}: not of this study: {'; '.join(problems)}. Delete the folder of the curve and run again; results that were "
            "brought here by hand need the config that they were made with."
        )


def _problems(evaluation: dict, expected: dict) -> Iterator[str]:
    curve = evaluation["curve"]
    key = [curve[name] for name in ("model", "mixture", "task", "finetuning_size")]
    if key not in expected["curves"]:
        yield f"the study has no curve {'/'.join(map(str, key))}"
        return
    seeds = sorted({replica["seed"] for replica in curve["replicas"]})
    if seeds != sorted(expected["seeds"]):
        yield f"pretraining.seeds is {expected['seeds']}, found {seeds}"
    # an adopted checkpoint says nothing of its steps, and is none of the ladder's rungs
    rungs = {replica["pretraining_tokens"] for replica in curve["replicas"] if (replica["pretraining"] or {}).get("steps")}
    if foreign := sorted(rungs - set(expected["ladder"])):
        yield f"pretraining.ladder is {expected['ladder']}, found rung {', '.join(map(str, foreign))}"
    yield from _different(f"models.{curve['model']}", curve["shape"], expected["models"][curve["model"]])
    yield from _different("finetuning", curve["settings"], expected["finetuning"])
    yield from _different("evaluation", evaluation["settings"], expected["evaluation"])


def _different(section: str, found: dict, wanted: dict) -> Iterator[str]:
    for name in sorted({*found, *wanted} - WITHOUT_EFFECT):
        if found.get(name) != wanted.get(name):
            yield f"{section}.{name} is {wanted.get(name)}, found {found.get(name)}"
