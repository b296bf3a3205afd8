"""Stage `propose`: tables of weights and losses -> the mixtures to train next, as YAML for a study's config."""

import argparse

import numpy as np
import yaml

from transferlaws.errors import UserError
from transferlaws.files import atomic
from transferlaws.mixtures.designs import rounded
from transferlaws.mixtures.propose import Proposal, propose
from transferlaws.mixtures.stage import add_table_arguments, answers_of
from transferlaws.mixtures.study_answer import Answered


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `transferlaws propose`."""
    add_table_arguments(parser)
    parser.add_argument("--count", type=int, default=4, help="mixtures to propose (default: %(default)s)")
    parser.add_argument("--output", required=True, help="proposed.yaml: a `mixtures:` section")


def run(arguments: argparse.Namespace) -> None:
    """Write the proposals of the one group and target that the tables and options leave."""
    if arguments.count < 1:
        raise UserError(f"--count: {arguments.count}. Ask for one mixture or more.")
    settings = arguments.settings
    answers = answers_of(arguments, settings)
    if len(answers) != 1:
        raise UserError(
            f"{arguments.tables[0]}: {len(answers)} groups and targets. Proposals are for one: name one target with --targets, "
            "and cut the table to one group."
        )
    found = answers[0]
    if unknown := set(settings.corpus_cost) - set(found.study.corpora):
        raise UserError(
            f"corpus_cost: {', '.join(sorted(unknown))}: no such corpus. The corpora: {', '.join(found.study.corpora)}."
        )
    costs = np.array([settings.corpus_cost.get(name, 0.0) for name in found.study.corpora])
    now, proposals = propose(found, arguments.count, run_cost=settings.run_cost, corpus_cost=costs, seed=settings.seed)
    with atomic(arguments.output) as temporary:
        temporary.write_text(text(found, now, proposals, settings.worthwhile), encoding="utf-8")


def text(found: Answered, now: float, proposals: list[Proposal], worthwhile: float) -> str:
    """YAML whose comments say why each mixture is there, and when to stop."""
    target = found.study.targets[found.target]
    lines = [
        f"# Next mixtures for {target}, the most informative for their cost first.",
        f"# Expected regret of the best mixture so far: {now:.3g}; a difference of {worthwhile:g} is worth a run.",
    ]
    if now < worthwhile:
        lines.append(
            "# Stop: what a better mixture could still gain is less than that. The best mixture so far is the first below."
        )
    else:
        enough = next((i for i, p in enumerate(proposals, 1) if p.regret_after < worthwhile), None)
        after = f"after {enough} of these runs" if enough else f"not after these {len(proposals)} runs"
        lines.append(f"# Stop when it falls below: expected {after}. Fit again after each batch.")
    section = {"proposed_best": _shares(found, found.best.weights)}
    lines.append(yaml.safe_dump({"mixtures": section}, sort_keys=False, allow_unicode=True).rstrip())
    for number, proposal in enumerate(proposals, 1):
        lines.append(
            f"  # cost {proposal.cost:.3g}; resolves {proposal.resolved:.0%} of what is unknown; "
            f"expected regret then {proposal.regret_after:.3g}"
        )
        entry = yaml.safe_dump({f"next_{number}": _shares(found, proposal.weights)}, sort_keys=False, allow_unicode=True)
        lines += [f"  {line}" for line in entry.rstrip().split("\n")]
    return "\n".join(lines) + "\n"


def _shares(found: Answered, weights: np.ndarray) -> dict[str, float]:
    return {
        name: round(float(share), 3)
        for name, share in zip(found.study.corpora, rounded(weights[None], found.allowed)[0], strict=True)
        if share >= 0.0005
    }
