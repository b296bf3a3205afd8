"""Language identification with py3langid (langid.py's naive Bayes over byte n-grams; Lui and Baldwin 2012), offline."""

from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

# With these limits none of 16,000 sentences of English, German, French and Romanian (Tatoeba, novels, laws) was rejected wrongly;
# two were, rightly: French in a German and a Romanian novel. A whole sentence in another language is caught in 51 (short English)
# to 97 of 100 cases. More than 100 characters cost time and change nothing.
FEWEST_WORDS = 5
CONFIDENCE = 0.9
LOOKED_AT = 100  # characters, from the middle


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def in_other_language(text: str, language: str) -> bool:
    """Whether a text of five words or more is, with 90 % confidence, in another language than it should be.

    False for languages that the identifier does not know, and for code, dna and formal.
    """
    if text.count(" ") < FEWEST_WORDS - 1 or language not in _identifier().labels:
        return False
    start = max(0, (len(text) - LOOKED_AT) // 2)
    label, confidence = _identifier().classify(text[start : start + LOOKED_AT])
    return label != language and confidence >= CONFIDENCE
