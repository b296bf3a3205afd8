"""The answers about mixtures as a page."""

from transferlaws import format as words

SHOWN = 12


def page(document: dict) -> str:
    """Markdown of what `transferlaws mixture` wrote."""
    level = document["settings"]["level"]
    lines = ["# Mixtures", ""]
    lines.append(
        f"Intervals are at {level:.0%}. The set holds every mixture that cannot be told from the best one: the best is in it with "
        f"a probability of {level:.0%}, all corpora at once. A new run's interval adds what seeds and the law's own error add."
    )
    for answer in document["answers"]:
        keys = [value for name, value in answer.items() if name in document["by"]]
        lines += ["", f"## {', '.join([*map(_safe, keys), _safe(answer['target'])])} ({answer['better']} is better)", ""]
        lines += _proposed(answer, level)
        lines += ["", *_measured(answer), "", *_worth(answer), "", *_laws(answer)]
    return "\n".join(lines) + "\n"


def _proposed(answer: dict, level: float) -> list[str]:
    found = answer["proposed"]
    tried = "" if found["tried"] else " It was not measured."
    shares = ", ".join(
        f"{_safe(name)} {share:.1%}" for name, share in sorted(found["weights"].items(), key=lambda x: -x[1]) if share >= 0.0005
    )
    ranges = ", ".join(
        f"{_safe(name)} {low:.0%}-{high:.0%}"
        for name, (low, high) in sorted(found["set"].items(), key=lambda x: -x[1][1])
        if high >= 0.005
    )
    return [
        f"**Train: {shares}.**{tried}",
        "",
        f"- Predicted {answer['target']}: {words.interval(found['predicted'])}; a new run: {words.interval(found['new_run'])}.",
        f"- Any of these may be the best mixture ({level:.0%}): {ranges}. "
        f"They are {_share(found['set_share'])} of the mixtures tried.",
        f"- Expected distance to the best mixture: {found['expected_regret']:.3g}.",
        f"- {answer['mixtures']} mixtures, {answer['runs']} runs; {answer['law']} law.",
        *(f"- {note}" for note in answer["identified"]),
    ]


def _measured(answer: dict) -> list[str]:
    rows = answer["measured"]
    lines = [
        "| measured mixture | runs | measured | by the law | P(best of these) | expected regret | behind the proposed one |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows[:SHOWN]:
        shares = " ".join(f"{_safe(name)} {share:.2f}" for name, share in row["weights"].items() if share >= 0.005)
        behind = row["worse_than_proposed"]
        mark = " (may be best)" if row["may_be_best"] else ""
        lines.append(
            f"| {shares} | {row['runs']} | {row['measured']:.4g} | {words.interval(row['predicted'])} | "
            f"{words.probability(row['probability_best'])} | {row['expected_regret']:.3g} | {words.signed(behind)}{mark} |"
        )
    if len(rows) > SHOWN:
        lines += ["", f"{len(rows) - SHOWN} further mixtures stand in the JSON."]
    return lines


def _worth(answer: dict) -> list[str]:
    sign = "falls" if answer["better"] == "less" else "rises"
    return [
        f"Worth of a corpus: by how much {_safe(answer['target'])} changes when 1 % of the tokens of equal shares moves to it "
        f"(where it {sign}, the corpus is worth more than the average token); intervals hold for all corpora at once.",
        "",
        "| corpus | change |",
        "|---|---|",
        *(f"| {_safe(row['corpus'])} | {words.signed(row['change'])} |" for row in answer["worth"]),
    ]


def _laws(answer: dict) -> list[str]:
    return [
        "| law | held-out error | held-out R2 | rank correlation | AICc | parameters (effective) |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row['law']}{' (answers)' if row['law'] == answer['law'] else ''} | {row['held_out_error']:.4g} | "
            f"{row['held_out_r2']:.3f} | {_or_dash(row['held_out_spearman'], '.3f')} | {_or_dash(row['aicc'], '.1f')} | "
            f"{row['parameters']} ({row['effective_parameters']:.1f}) |"
            for row in answer["laws"]
        ),
    ]


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _share(value: float) -> str:
    return "less than 0.1 %" if value < 0.001 else f"{100 * value:.1f} %"


def _safe(text: str) -> str:
    """A name of a table that cannot become markup."""
    return "".join(c for c in text if c.isprintable()).translate(str.maketrans({c: f"\\{c}" for c in "|<>[]*`"}))
