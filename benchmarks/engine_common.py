"""What the engine's benchmarks share: records, the device's matrix rate, synthetic text, the models they are measured against."""

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from record import ROOT, Record, cpu

sys.path.insert(0, str(ROOT / "workflow"))

from transferlaws.model.settings import ModelSettings
from transferlaws.tokens.batches import Ragged
from transferlaws.training.examples import Examples

VOCABULARY = 8192
SHAPES = {  # the shapes of the prototype that the goals were set by
    128: ModelSettings(d_model=128, heads=4, d_kv=32, d_ff=352, encoder_layers=3, decoder_layers=3),
    256: ModelSettings(d_model=256, heads=4, d_kv=64, d_ff=704, encoder_layers=4, decoder_layers=4),
    512: ModelSettings(d_model=512, heads=8, d_kv=64, d_ff=1408, encoder_layers=6, decoder_layers=6),
}


class Results(Record):
    """A record with a deadline, in parts of which each may fail alone."""

    def __init__(self, name: str, seconds: float) -> None:
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else cpu()
        command = " ".join(["python", *map(os.path.relpath, sys.argv[:1]), *sys.argv[1:]])
        super().__init__(name, packages=("torch", "transformers"), device=device, command=command)
        self.stop = time.monotonic() + seconds

    @contextmanager
    def part(self, label: str) -> Iterator[None]:
        """A part whose failure does not stop the others."""
        start = time.monotonic()
        print(f"== {label}", flush=True)
        try:
            yield
        except Exception:
            traceback.print_exc()
            print(f"== {label} FAILED", flush=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(f"== {label}: {time.monotonic() - start:.1f} s", flush=True)

    @property
    def in_time(self) -> bool:
        return time.monotonic() < self.stop


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds_a_call(function: Callable[[], object], calls: int, warm: int = 3) -> float:
    for _ in range(warm):
        function()
    synchronise()
    start = time.perf_counter()
    for _ in range(calls):
        function()
    synchronise()
    return (time.perf_counter() - start) / calls


def matrix_rate() -> float:
    """FLOP/s of large bf16 matrix products on this device, measured."""
    size = 8192 if torch.cuda.is_available() else 1024
    a, b = (torch.randn(size, size, device=device(), dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / seconds_a_call(lambda: a @ b, 30, 5)


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def full_pairs(count: int, length: int, seed: int = 0) -> Examples:
    """Pairs of exactly `length` positions, eos included, on both sides."""
    random = np.random.default_rng(seed)
    texts = [random.integers(3, VOCABULARY - 200, (count, length - 1)) for _ in range(2)]
    return Examples(*(Ragged.of(list(side)) for side in texts))


def natural_pairs(count: int, longest: int, seed: int = 0, alphabet: int = 400) -> Examples:
    """Pairs as long as natural short sentences (median 9 tokens, a few at the limit), the target a rewriting of the source.

    Target token i is the source's last token but i, by a fixed cipher: learned in a minute, and its BLEU means something.
    """
    random = np.random.default_rng(seed)
    lengths = np.clip(np.round(random.lognormal(np.log(9), 0.45, count)), 2, longest - 1).astype(int)
    weights = 1 / np.arange(1, alphabet + 1)
    words = np.random.default_rng(1).permutation(alphabet) + 3
    ranks = random.choice(alphabet, lengths.sum(), p=weights / weights.sum())
    sources = np.split(words[ranks], np.cumsum(lengths)[:-1])
    return Examples(Ragged.of(sources), Ragged.of([(ids[::-1] - 3) * 7 % alphabet + 1000 for ids in sources]))


def hugging_face(shape: ModelSettings, vocabulary: int = VOCABULARY):
    """The same model in `transformers`, random weights, no dropout (ours has none here)."""
    import transformers

    transformers.logging.set_verbosity_error()
    config = transformers.T5Config(
        vocab_size=vocabulary,
        d_model=shape.d_model,
        d_kv=shape.d_kv,
        d_ff=shape.d_ff,
        num_layers=shape.encoder_layers,
        num_decoder_layers=shape.decoder_layers,
        num_heads=shape.heads,
        feed_forward_proj=shape.activation,
        dropout_rate=0.0,
        tie_word_embeddings=False,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    return transformers.T5ForConditionalGeneration(config)
