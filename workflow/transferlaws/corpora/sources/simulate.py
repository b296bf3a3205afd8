"""Source `simulate`: planted languages, whose alignment is known by construction.

A world is a Markov chain over concepts. A language gives each concept a word and has a word order of its own. Corpora of the
same world speak of the same things in whichever language; a bitext says the same sentence twice.
"""

from collections.abc import Iterator

import numpy as np

from transferlaws.corpora.items import Document, Pair
from transferlaws.corpora.settings import SimulateBitext, SimulateCorpus
from transferlaws.corpora.sources import Context, Provenance
from transferlaws.seeding import generator, seed_for

SUCCESSORS = 12  # concepts that may follow a concept


def documents(settings: SimulateCorpus, context: Context) -> tuple[Provenance, Iterator[Document]]:
    """Sentences in one language."""
    speak = _language(settings.language, settings.concepts)
    return _provenance(settings), (Document(str(i), speak(meaning)) for i, meaning in enumerate(_meanings(settings)))


def pairs(settings: SimulateBitext, context: Context) -> tuple[Provenance, Iterator[Pair]]:
    """Sentences in both languages."""
    source, target = (_language(language, settings.concepts) for language in settings.languages)
    return _provenance(settings), (
        Pair(str(i), source(meaning), target(meaning), "simulate") for i, meaning in enumerate(_meanings(settings))
    )


def _provenance(settings: SimulateCorpus | SimulateBitext) -> Provenance:
    return Provenance(f"world {settings.world}, seed {settings.seed}", "CC0-1.0")


def _meanings(settings: SimulateCorpus | SimulateBitext) -> Iterator[np.ndarray]:
    """Sequences of concepts, each of shape (words,)."""
    world = generator(settings.world, "world", settings.concepts)
    chance = 1 / np.arange(1, settings.concepts + 1)  # Zipf
    chance /= chance.sum()
    successors = world.choice(settings.concepts, (settings.concepts, SUCCESSORS), p=chance)
    random = generator(settings.seed, "sentences", settings.world)
    cumulative = np.cumsum(chance)
    for _ in range(settings.items):
        length = 2 + random.poisson(settings.words - 2)
        steps = random.integers(SUCCESSORS, size=length)
        meaning = [min(int(np.searchsorted(cumulative, random.random())), settings.concepts - 1)]
        for step in steps[1:]:
            meaning.append(successors[meaning[-1], step])
        yield np.array(meaning)


def _language(name: str, concepts: int) -> object:
    """A function from a sequence of concepts to a sentence."""
    random = generator(0, "language", name)
    onsets = random.permutation([*"bcdfghjklmnpqrstvwxz", "br", "ch", "st", "tr"])[:12]
    vowels = random.permutation([*"aeiou", "ai", "ou"])[:4]
    syllables = [onset + vowel for onset in onsets for vowel in vowels]
    words: dict[str, None] = {}
    while len(words) < concepts:
        words["".join(random.choice(syllables, random.integers(1, 4)))] = None
    lexicon = [*words]
    stride = 2 + seed_for(0, "order", name) % 2  # words are turned round in groups of two or three

    def speak(meaning: np.ndarray) -> str:
        turned = [concept for start in range(0, len(meaning), stride) for concept in meaning[start : start + stride][::-1]]
        return " ".join(lexicon[concept] for concept in turned)

    return speak
