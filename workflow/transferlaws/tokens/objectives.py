"""Pretraining objectives: text segments in, (source, target) of one training step out. Vectorised numpy, no torch.

Every function takes `tokens` (B, L) of int64 with pad 0 behind each segment, `lengths` (B,) of at least 1, and a generator.
"""

from typing import NamedTuple

import numpy as np

PAD, EOS = 0, 1


class Example(NamedTuple):
    """Padded ids of a step: `source` (B, S), None for a decoder-only objective, and `target` (B, T); both end in eos."""

    source: np.ndarray | None
    target: np.ndarray


def noise_spans(
    lengths: np.ndarray, width: int, density: float, mean_span: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Random spans to mask, as T5's `random_spans_noise_mask` (Raffel et al. 2020), for a batch at once.

    A segment of n tokens gets round(n × density) masked tokens in round(masked / mean_span) spans; a single token stays
    whole. T5's masks always end a segment; ours are turned by a random number of places, without which the only span of a short
    segment would always be its end. Returns the mask and the first token of each span, both (B, width) of bool.
    """
    noise, spans = _noise_counts(lengths, density, mean_span)
    noise_lengths = _random_parts(noise, spans, random)  # (B, most spans)
    text_lengths = _random_parts(lengths - noise, np.maximum(spans, 1), random)
    most = max(noise_lengths.shape[1], text_lengths.shape[1])
    interleaved = np.zeros((len(lengths), 2 * most), np.int64)
    interleaved[:, 0 : 2 * text_lengths.shape[1] : 2] = text_lengths
    interleaved[:, 1 : 2 * noise_lengths.shape[1] : 2] = noise_lengths
    # the masks of all segments one behind another; odd parts are masked
    masked = np.repeat(np.tile([False, True], len(lengths) * most), interleaved.ravel())
    inside = np.arange(width) < lengths[:, None]
    turned = np.arange(width) + random.integers(0, lengths)[:, None]
    turned -= np.where(turned < lengths[:, None], 0, lengths[:, None])
    mask = np.zeros((len(lengths), width), dtype=bool)
    mask[inside] = masked[(turned + (np.cumsum(lengths) - lengths)[:, None])[inside]]
    first = mask.copy()
    first[:, 1:] &= ~mask[:, :-1]
    return mask, first


def _noise_counts(lengths: np.ndarray, density: float, mean_span: float) -> tuple[np.ndarray, np.ndarray]:
    noise = np.minimum(np.maximum(np.rint(lengths * density), 1), lengths - 1).astype(np.int64)
    spans = np.minimum(np.maximum(np.rint(noise / mean_span), 1), np.minimum(noise, lengths - noise)).astype(np.int64)
    return noise, spans


def _random_parts(totals: np.ndarray, parts: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Split each total (B,) into `parts` positive parts, uniformly over compositions: (B, most parts), zeros behind."""
    width, most = max(int(totals.max()), 1), max(int(parts.max()), 1)
    keys = random.random((len(totals), width))
    # cut after position j (of total - 1 places) where its key is among the smallest parts - 1
    keys[np.arange(width) >= (totals - 1)[:, None]] = np.inf
    smallest = keys.argsort(axis=1)[:, : most - 1]  # not stable, but keys of 53 bits are not equal
    ends = np.where(np.arange(most - 1) < (parts - 1)[:, None], smallest + 1, totals[:, None])
    return np.diff(np.sort(ends, axis=1), axis=1, prepend=0, append=totals[:, None])


def _compact(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Keep marked entries of each row in order, then eos, then padding: (B, longest + 1)."""
    counts = keep.sum(axis=1)
    result = np.full((len(values), int(counts.max()) + 1), PAD, np.int64)
    result[np.arange(result.shape[1]) < counts[:, None]] = values[keep]
    result[np.arange(len(values)), counts] = EOS
    return result


def infilling(
    tokens: np.ndarray, lengths: np.ndarray, density: float, mean_span: float, sentinels: np.ndarray, random: np.random.Generator
) -> Example:
    """Mask spans, each by the first sentinel, and reproduce the whole segment (text infilling, Lewis et al. 2020)."""
    mask, first = noise_spans(lengths, tokens.shape[1], density, mean_span, random)
    inside = np.arange(tokens.shape[1]) < lengths[:, None]
    source = _compact(np.where(first, sentinels[0], tokens), inside & (~mask | first))
    return Example(source, _compact(tokens, inside))


def span_corruption(
    tokens: np.ndarray, lengths: np.ndarray, density: float, mean_span: float, sentinels: np.ndarray, random: np.random.Generator
) -> Example:
    """Mask spans, each by a sentinel of its own, and reproduce the masked spans behind their sentinels (T5)."""
    mask, first = noise_spans(lengths, tokens.shape[1], density, mean_span, random)
    inside = np.arange(tokens.shape[1]) < lengths[:, None]
    # the last sentinel serves all spans beyond the number of sentinels
    sentinel = sentinels[np.minimum(np.maximum(np.cumsum(first, axis=1) - 1, 0), len(sentinels) - 1)]
    source = _compact(np.where(first, sentinel, tokens), inside & (~mask | first))
    # target: before each span its sentinel, so every masked token takes one place and every first one two
    doubled = np.stack([sentinel, tokens], axis=2).reshape(len(tokens), -1)
    keep = np.stack([first, mask], axis=2).reshape(len(tokens), -1)
    return Example(source, _compact(doubled, keep))


def next_token(tokens: np.ndarray, lengths: np.ndarray) -> Example:
    """Predict every token from those before it, eos included."""
    return Example(None, _compact(tokens, np.arange(tokens.shape[1]) < lengths[:, None]))


def corrupt(
    objective: str,
    tokens: np.ndarray,
    lengths: np.ndarray,
    *,
    density: float,
    mean_span: float,
    sentinels: np.ndarray,
    random: np.random.Generator,
) -> Example:
    """Apply the named objective: `infilling`, `span-corruption` or `next-token`."""
    if objective == "next-token":
        return next_token(tokens, lengths)
    function = {"infilling": infilling, "span-corruption": span_corruption}[objective]
    return function(tokens, lengths, density, mean_span, sentinels, random)
