"""Language identification with py3langid (langid.py's naive Bayes over byte n-grams; Lui and Baldwin 2012), offline."""

from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from transferlaws.corpora.languages import OTHER, primary
from transferlaws.corpora.normalise import count_words

# With these limits none of 16,000 sentences of English, German, French and Romanian (Tatoeba, novels, laws) was rejected wrongly;
# two were, rightly: French in a German and a Romanian novel. A whole sentence in another language is caught in 51 (short English)
# to 97 of 100 cases. More than 100 characters cost time and change nothing.
FEWEST_WORDS = 5
CONFIDENCE = 0.9
LOOKED_AT = 100  # characters, from the middle
# the same to the identifier, or as good as
_CLOSE = [{"bs", "hr", "sr"}, {"no", "nb", "nn"}, {"id", "ms"}, {"zh", "yue", "wuu"}, {"ar", "ary", "arz"}]
# the scripts that the identifier knows a language in, where Latin is not the one
_SCRIPTS = {
    "Arab": "ar ary arz fa ku ps sdh ug ur",
    "Cyrl": "ba be bg kk ky mk mn ru sr tg tt uk",
    "Latn": "ku sr",
    "Beng": "as bn",
    "Deva": "gom hi mr ne sa",
    "Hans": "wuu yue zh",
    "Hant": "yue zh",
    **{"Armn": "hy", "Ethi": "am", "Geor": "ka", "Grek": "el", "Gujr": "gu", "Guru": "pa", "Hang": "ko", "Hebr": "he"},
    **{"Jpan": "ja", "Khmr": "km", "Knda": "kn", "Kore": "ko", "Laoo": "lo", "Mlym": "ml", "Mymr": "my", "Orya": "or"},
    **{"Sinh": "si", "Taml": "ta", "Telu": "te", "Thai": "th", "Tibt": "dz"},
}


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@cache
def _expected(language: str) -> frozenset[str]:
    """The identifier's labels that fit a language; empty where it does not know the language, or not in that script."""
    first, *rest = language.split("-")
    script = next((part for part in rest if len(part) == 4 and part.isalpha()), None)
    known = [name for name, languages in _SCRIPTS.items() if first in languages.split()] or ["Latn"]
    if script and script not in known:
        return frozenset()
    return frozenset({first}.union(*(group for group in _CLOSE if first in group)) & {*_identifier().labels})


def is_checked(language: str) -> bool:
    """Whether `in_other_language` can say anything of a language; not of code, dna and formal."""
    return bool(_expected(language))


def is_natural(language: str) -> bool:
    """Whether it is a language at all."""
    return primary(language) not in OTHER


def in_other_language(text: str, language: str) -> bool:
    """Whether a text of five words or more is, with 90 % confidence, in another language than it should be.

    False for languages that the identifier does not know (`is_checked`).
    """
    expected = _expected(language)
    if not expected or count_words(text) < FEWEST_WORDS:
        return False
    start = max(0, (len(text) - LOOKED_AT) // 2)
    label, confidence = _identifier().classify(text[start : start + LOOKED_AT])
    return label not in expected and confidence >= CONFIDENCE
