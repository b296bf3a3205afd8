"""The mixture sampler, for any corpora, weights, lengths and batch sizes."""

from itertools import islice

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlaws.tokens.batches import MixtureStream
from transferlaws.tokens.shards import TokenSplit

# documents by corpus, weights not yet summing to 1, the longest sequence, text positions a step, number of widths
CORPORA = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), min_size=1, max_size=4)
WEIGHTS = st.lists(st.floats(0.05, 1), min_size=4, max_size=4)
MIXTURES = st.builds(
    lambda documents, weights, length, batch_tokens, shapes: (documents, weights, length, batch_tokens, shapes),
    *(CORPORA, WEIGHTS, st.integers(8, 48), st.integers(8, 160), st.integers(1, 4)),
)
SEEDS = st.integers(0, 2**32)


def stream(mixture, seed) -> MixtureStream:
    """Every token of every corpus has an id of its own, so that a batch tells which text it holds."""
    documents, weights, length, batch_tokens, shapes = mixture
    weights = weights[: len(documents)]
    splits, first = {}, 10
    for number, lengths in enumerate(documents):
        offsets = np.cumsum([0, *(size + 1 for size in lengths)])
        tokens = np.arange(first, first + offsets[-1])
        tokens[offsets[1:] - 1] = 1  # eos
        splits[f"corpus{number}"] = TokenSplit(tokens, offsets, sum(lengths), sum(lengths))
        first += int(offsets[-1])
    shares = {name: weight / sum(weights) for name, weight in zip(splits, weights, strict=True)}
    return MixtureStream(splits, shares, length=length, batch_tokens=batch_tokens, seed=seed, shapes=shapes)


def pieces(sampler: MixtureStream) -> dict[tuple[int, ...], str]:
    """Which corpus each segment is of, by its tokens."""
    return {
        tuple(segments.tokens[start : start + size].tolist()): name
        for name, segments in sampler.segments.items()
        for start, size in zip(segments.starts, segments.sizes, strict=True)
    }


def rows(batch) -> list[tuple[int, ...]]:
    return [tuple(row[:length].tolist()) for row, length in zip(batch.tokens, batch.lengths, strict=True)]


def same(batches, others) -> bool:
    return all(np.array_equal(one.tokens, other.tokens) for one, other in zip(batches, others, strict=True))


@settings(max_examples=60, deadline=None)
@given(mixture=MIXTURES, seed=SEEDS, steps=st.integers(1, 60))
def test_drawn_shares_follow_the_weights_to_within_a_segment_of_each_corpus(mixture, seed, steps):
    sampler = stream(mixture, seed)
    segment = {name: int(segments.sizes.max()) for name, segments in sampler.segments.items()}
    for _ in range(steps):
        sampler.next()
        total = sum(sampler.drawn.values())
        for name, weight in sampler.weights.items():
            ahead = sampler.drawn[name] - weight * total
            assert segment[name] - sum(segment.values()) - 1e-6 <= ahead <= segment[name] + 1e-6


@settings(max_examples=60, deadline=None)
@given(mixture=MIXTURES, seed=SEEDS, steps=st.integers(1, 60))
def test_a_batch_holds_whole_segments_and_nothing_else(mixture, seed, steps):
    sampler = stream(mixture, seed)
    known = pieces(sampler)
    # a document cut into pieces is all there
    for name, segments in sampler.segments.items():
        whole = [token for piece, corpus in known.items() if corpus == name for token in piece]
        assert sorted(whole) == sorted(token for token in segments.tokens.tolist() if token > 1)
    for batch in islice(sampler, steps):
        assert batch.text_tokens == np.count_nonzero(batch.tokens)
        assert all(row in known for row in rows(batch))
        assert 1 <= len(batch.lengths) == sampler.rows(batch.tokens.shape[1] + 1)


@settings(max_examples=60, deadline=None)
@given(mixture=MIXTURES, seed=SEEDS, steps=st.integers(1, 60))
def test_every_segment_of_a_pass_is_drawn_once_before_any_is_again(mixture, seed, steps):
    sampler = stream(mixture, seed)
    known = pieces(sampler)
    seen = dict.fromkeys(known, 0)
    for batch in islice(sampler, steps):
        for row in rows(batch):
            seen[row] += 1
    for queue in sampler.queues:  # drawn, and waiting for their batch
        for name, index in zip(queue.names, queue.segments, strict=True):
            segments = sampler.segments[name]
            start = segments.starts[index]
            seen[tuple(segments.tokens[start : start + segments.sizes[index]].tolist())] += 1
    for name in sampler.weights:
        counts = [count for piece, count in seen.items() if known[piece] == name]
        assert max(counts) - min(counts) <= 1
        assert sum(len(piece) * count for piece, count in seen.items() if known[piece] == name) == sampler.drawn[name]


@settings(max_examples=60, deadline=None)
@given(mixture=MIXTURES, seed=SEEDS, before=st.integers(0, 40), after=st.integers(1, 40))
def test_a_restored_stream_goes_on_with_the_same_batches(mixture, seed, before, after):
    sampler, other = stream(mixture, seed), stream(mixture, seed)
    for _ in range(before):
        sampler.next()
    state = sampler.state()
    expected = list(islice(sampler, after))
    other.restore(state)
    assert same(expected, islice(other, after))
    sampler.restore(state)  # going back, as a decay branch does
    assert same(expected, islice(sampler, after))


@settings(max_examples=60, deadline=None)
@given(documents=st.lists(st.integers(1, 40), min_size=8, max_size=12), seeds=st.lists(SEEDS, min_size=2, max_size=2, unique=True))
def test_the_seed_decides_the_order(documents, seeds):
    mixture = ([documents], [1.0], 48, 48, 1)
    one, again, other = stream(mixture, seeds[0]), stream(mixture, seeds[0]), stream(mixture, seeds[1])
    expected = list(islice(one, 20))
    assert same(expected, islice(again, 20))
    assert not same(expected, islice(other, 20))  # 8! orders, and as many again in the next pass
