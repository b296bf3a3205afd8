"""Collections that are test sets of the field: they may be a dev or test set, and nothing else.

OPUS WMT-News *is* the WMT test sets; a cohort of published models was trained on it (mozilla/translations #911).
"""

import re

_COLLECTIONS = re.compile(
    r"(?<![a-z])wmt[-_ ]?news(?![a-z])"
    r"|(?<![a-z])news[-_ ]?(?:discuss)?[-_ ]?(?:test|dev|syscomb)[-_ ]?(?:19|20)\d\d"
    r"|(?<![a-z])news(?:discuss)?(?:test|dev|syscomb)(?![a-z])"
    r"|(?<![a-z])flores(?:[-_ ]?(?:101|200|v\d|plus|dev)|\+)|(?:^|/)flores(?:$|/|\.[a-z_-]+$)"
    r"|(?<![a-z])ntrex(?![a-z])|(?<![a-z])tico[-_]?19|iwslt.*(?:tst|dev)\d{4}",
    re.IGNORECASE,
)
_WMT_DATASET = re.compile(r"(?:^|/)wmt\d\d", re.IGNORECASE)


def is_held_out(name: str) -> bool:
    """Whether a dataset or an origin is named as a test set of the field."""
    return bool(_COLLECTIONS.search(name))


def is_held_out_file(path: str) -> bool:
    """Whether a file, or the folder it lies in, is named as one; what stands above says nothing of it."""
    return is_held_out("/".join(path.split("/")[-2:]))


def is_held_out_split(dataset: str, split: str) -> bool:
    """Whether a split of a hub dataset is one: of a WMT dataset everything but train, of others by name."""
    return is_held_out(dataset) or (bool(_WMT_DATASET.search(dataset)) and not split.startswith("train"))
