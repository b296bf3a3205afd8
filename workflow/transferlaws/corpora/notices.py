"""What a stage says aloud: rules that removed much of a source, checks that are off, splits that came out empty."""

import logging
from collections import Counter

from transferlaws.corpora.language import is_checked, is_natural
from transferlaws.corpora.rules import Cleaning
from transferlaws.errors import UserError

LONGEST = ("too_long", "too_large")  # few such items can be most of the text: said whatever their number
ALOUD = 0.1  # share of a source's items that a rule may remove without a word

logger = logging.getLogger("transferlaws")

# rule -> how to have it otherwise; `{part}` is the corpus or bitext in the config
_REMEDIES = {
    "duplicates": "{part}.cleaning.duplicates: false keeps them",
    "near_duplicates": "{part}.cleaning.near_duplicates: 0 keeps them",
    "repeated_sources": "{part}.cleaning.repeated_sources: false keeps them",
    "identical": "{part}.cleaning.identical: false keeps pairs whose sides are the same",
    "placeholders": "{part}.cleaning.placeholders: false keeps pairs whose placeholders differ",
    "length_ratio": "{part}.cleaning.max_ratio: 0 keeps pairs of any lengths, a larger number more of them",
    "few_letters": "{part}.cleaning.min_letters: 0 keeps texts of any characters",
    "too_short": "lower {part}.cleaning.min_words",
    "too_long": "raise {part}.cleaning.max_words ({rules.max_words}) or max_characters ({rules.max_characters}), or cut the text",
    "other_language": "{part}.cleaning.language: false keeps them; or is the language another one?",
    "markup": "{part}.cleaning.markup: false keeps them",
    "held_out_collection": "{part}.cleaning.held_out: false keeps them",
    "contamination": "they share text with a dev or test set, and must go; is the set a copy of the source?",
    "target_in_other_split": "their targets stand in another split too, and must go; are there few different ones?",
    "invalid_utf8": "convert the source to UTF-8",
    "lone_surrogate": "half a character in JSON: write the source anew",
    "not_text": "the column is empty or no text there: is it the right one?",
    "ragged_row": "rows with too few columns: is the file parted by tabs?",
    "empty": "nothing is left of them once cleaned",
    "other_languages": "units without both languages",
    "other_variant": "variants of a language beside the one taken: name one, as in pt-BR",
    "generated": "files that say they are generated",
    "too_large": "files above 1 MiB",
}


def families(removed: Counter[str] | dict[str, int]) -> Counter[str]:
    """What was removed by rule, over all splits."""
    total: Counter[str] = Counter()
    for reason, number in removed.items():
        family = next((name for name in ("contamination", "target_in_other_split") if reason.startswith(name)), reason)
        total[family] += number
    return total


def reasons(removed: dict[str, int], most: int = 3) -> str:
    """The largest reasons, in words."""
    largest = families(removed).most_common(most)
    return ", ".join(f"{reason} {number:,}" for reason, number in largest) or "nothing was removed"


def remedies(removed: dict[str, int], part: str, rules: Cleaning) -> str:
    """How to have the largest rule otherwise; empty where nothing was removed."""
    if not removed:
        return ""
    reason = families(removed).most_common(1)[0][0]
    return f" {reason}: {_remedy(reason, part, rules)}."


def _remedy(reason: str, part: str, rules: Cleaning) -> str:
    return _REMEDIES.get(reason, "see docs/data.md").format(part=part, rules=rules)


def notices(part: str, languages: list[str], rules: Cleaning, kept: int, removed: dict[str, int]) -> list[str]:
    """Sentences for the log and the report: rules that removed more than a tenth or long items, languages that are not checked."""
    total = kept + sum(removed.values())
    said = [
        f"{part}: {reason} removed {number:,} of {total:,} items ({number / total:.0%}). {_remedy(reason, part, rules)}."
        for reason, number in families(removed).most_common()
        if number > ALOUD * total or (number and reason in LONGEST)
    ]
    unchecked = [language for language in dict.fromkeys(languages) if is_natural(language) and not is_checked(language)]
    if rules.language and unchecked:
        said.append(
            f"{part}: texts in {' and '.join(unchecked)} are not checked for their language, which the identifier does not know; "
            "every other rule applies."
        )
    for sentence in said:
        logger.warning("%s", sentence)
    return said


def refuse_empty(part: str, splits: dict[str, int], asked: dict[str, str], removed: dict[str, int], rules: Cleaning) -> None:
    """`UserError` for a split without items where the config asks for some; `asked`: split -> what to write for more."""
    for split, remedy in asked.items():
        if not splits[split]:
            raise UserError(f"{part}: {split} has 0 of {sum(splits.values()):,} items. {remedy} Removed were: {reasons(removed)}.")
