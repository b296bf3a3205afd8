"""What one pretraining run is asked to do, and the text that it reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from transferlaws.errors import UserError
from transferlaws.files import sha256
from transferlaws.model.settings import ModelSettings
from transferlaws.tokens.batches import MixtureStream, TextBatch, validation_batches
from transferlaws.tokens.shards import TokenCorpus
from transferlaws.tokens.vocabulary import Vocabulary
from transferlaws.training.ladder import within_text
from transferlaws.training.settings import PretrainingSettings
from transferlaws.training.state import key


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """One trajectory: everything that it depends on, and where it goes."""

    tokens: list[Path]
    """Token shards of the mixture's corpora, a folder each."""
    weights: dict[str, int | float]
    """Corpus -> weight."""
    vocabulary: Path
    model: ModelSettings
    settings: PretrainingSettings
    ladder: list[int]
    """Text tokens at which a rung is saved, increasing."""
    seed: int
    model_name: str
    mixture: str
    state: Path
    """Folder of resumable state, which may be that of other trajectories too."""
    output: Path
    code: str = ""
    """Fingerprint of the code: state made by other code is not used."""

    def __post_init__(self) -> None:
        if not self.ladder or self.ladder[0] <= 0 or self.ladder != sorted(set(self.ladder)):
            raise UserError(f"--ladder {self.ladder}: expected increasing positive numbers of tokens.")
        if (self.settings.objective == "next-token") != (self.model.encoder_layers == 0):
            raise UserError(
                f"objective {self.settings.objective} with {self.model.encoder_layers} encoder layers: next-token is for models "
                "without an encoder (encoder_layers: 0), the others for models with one."
            )


@dataclass
class MixtureText:
    """The text of one trajectory: the stream that it trains on, the rungs there is text for, and what it is validated on."""

    vocabulary: Vocabulary
    stream: MixtureStream
    ladder: list[int]
    left_out: list[dict]
    """Rungs that take more passes over a corpus than are allowed; see `within_text`."""
    validation: list[TextBatch]
    key: str
    """A hash of all that the trajectory depends on."""

    @classmethod
    def open(cls, asked: Pretraining) -> Self:
        """Open the shards.

        Raises:
            UserError: shards of another vocabulary, or a ladder that the text does not reach.
        """
        vocabulary, settings = Vocabulary.load(asked.vocabulary), asked.settings
        corpora = {corpus.name: corpus for corpus in map(TokenCorpus.open, asked.tokens)}
        for corpus in corpora.values():
            if corpus.vocabulary_sha256 != vocabulary.sha256:
                raise UserError(
                    f"{corpus.folder}: made with another vocabulary than {asked.vocabulary}. Run its tokens stage again."
                )
        stream = MixtureStream(
            {name: corpus.split("train") for name, corpus in corpora.items()},
            asked.weights,
            length=settings.length,
            batch_tokens=settings.batch_tokens,
            seed=asked.seed,
            shapes=settings.shapes,
        )
        ladder, left_out = within_text(asked.ladder, stream, settings, asked.mixture)
        validation = validation_batches(
            {name: corpus.split("valid") for name, corpus in corpora.items()},
            length=settings.length,
            batch_tokens=4 * settings.batch_tokens,
            limit=settings.validation_tokens,
        )
        name = key(
            tokens={name: sha256(Path(folder) / "index.json") for name, folder in zip(corpora, asked.tokens, strict=True)},
            weights=asked.weights,
            model=asked.model.model_dump(),
            settings=settings.model_dump(exclude={"state_seconds", "sharded", "max_epochs", "exhausted"}),
            seed=asked.seed,
            code=asked.code,
        )
        return cls(vocabulary, stream, ladder, left_out, validation, name)
