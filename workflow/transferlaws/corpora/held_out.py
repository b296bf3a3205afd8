"""Collections that are test sets of the field: they may be a dev or test set, and nothing else.

OPUS WMT-News *is* the WMT test sets; a cohort of published models was trained on it (mozilla/translations #911).
"""

import re

_COLLECTIONS = re.compile(
    r"wmt[-_ ]?news|news[-_ ]?(?:test|dev|syscomb)|newsdiscuss|(?<![a-z])(?:flores|ntrex|tico[-_]?19)|iwslt.*(?:tst|dev)\d{4}",
    re.IGNORECASE,
)
_WMT_DATASET = re.compile(r"(?:^|/)wmt\d\d", re.IGNORECASE)


def is_held_out(name: str) -> bool:
    """Whether a file, dataset or origin is named as a test set of the field."""
    return bool(_COLLECTIONS.search(name))


def is_held_out_split(dataset: str, split: str) -> bool:
    """Whether a split of a hub dataset is one: of a WMT dataset everything but train, of others by name."""
    return is_held_out(dataset) or (bool(_WMT_DATASET.search(dataset)) and not split.startswith("train"))
