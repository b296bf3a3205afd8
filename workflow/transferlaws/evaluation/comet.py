"""COMET scores, where the study asks for them and the `comet` extra is installed."""

import numpy as np

from transferlaws.errors import UserError
from transferlaws.training.job import gpu_given


class Comet:
    """A COMET model: a name on the Hugging Face hub, or the path of a checkpoint.

    The package unpickles its checkpoints: name only models that you trust.
    """

    def __init__(self, name: str) -> None:
        try:
            import comet
            import torch
        except ImportError:
            raise UserError("scoring.comet is set, but COMET is not installed: pip install 'transferlaws[comet]'.") from None
        path = name if name.endswith(".ckpt") else comet.download_model(name)
        self.model, self.name, self.version = comet.load_from_checkpoint(path), name, getattr(comet, "__version__", "unknown")
        self.gpus = int(torch.cuda.is_available() and gpu_given())

    @property
    def signature(self) -> str:
        """What it takes to repeat a score."""
        return f"model:{self.name}|version:{self.version}"

    def score(self, sources: list[str], hypotheses: list[str], references: list[str]) -> np.ndarray:
        """The score of each sentence, (sentences,); a system's score is their mean."""
        items = [{"src": s, "mt": h, "ref": r} for s, h, r in zip(sources, hypotheses, references, strict=True)]
        return np.asarray(self.model.predict(items, batch_size=32, gpus=self.gpus, progress_bar=False).scores, dtype=np.float64)
