"""Objectives and batches: what a step is trained on."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlaws.errors import UserError
from transferlaws.tokens.batches import MixtureStream, epoch_batches, nested_subset
from transferlaws.tokens.objectives import corrupt, noise_spans
from transferlaws.tokens.shards import TokenSplit
from transferlaws.training.prefetch import Prefetcher

SENTINELS = np.arange(999, 989, -1)


def text(lengths):
    tokens = np.zeros((len(lengths), max(lengths)), np.int64)
    for row, length in enumerate(lengths):
        tokens[row, :length] = np.arange(10, 10 + length) + 100 * row
    return tokens, np.array(lengths)


def split(lengths, first=10):
    """Documents of these lengths, numbered tokens, each ended by eos."""
    documents, start = [], first
    for length in lengths:
        documents.append(np.append(np.arange(start, start + length), 1))
        start += length
    offsets = np.cumsum([0, *map(len, documents)])
    return TokenSplit(np.concatenate(documents), offsets, sum(lengths) * 4, sum(lengths) * 4)


def strip(row):
    assert row[np.flatnonzero(row)[-1]] == 1
    return [int(i) for i in row if i > 1]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    objective=st.sampled_from(["infilling", "span-corruption"]),
    density=st.floats(0.1, 0.9),
    mean_span=st.floats(1, 6),
    seed=st.integers(0, 2**32),
)
def test_source_and_target_together_hold_the_text(lengths, objective, density, mean_span, seed):
    tokens, sizes = text(lengths)
    sentinels = np.arange(9999, 9899, -1)
    random = np.random.default_rng(seed)
    example = corrupt(objective, tokens, sizes, density=density, mean_span=mean_span, sentinels=sentinels, random=random)
    for row, length in enumerate(lengths):
        whole = tokens[row, :length].tolist()
        source, target = strip(example.source[row]), strip(example.target[row])
        if objective == "infilling":
            assert target == whole
            assert [i for i in source if i < 9000] == [i for i in whole if i in source]
        else:  # fill each sentinel of the source with what follows it in the target
            spans, current = {}, None
            for token in target:
                if token > 9000:
                    current = spans.setdefault(token, [])
                else:
                    current.append(token)
            assert [i for token in source for i in (spans[token] if token > 9000 else [token])] == whole


def test_masked_share_and_span_length():
    lengths = np.random.default_rng(0).integers(20, 65, 3000)
    mask, first = noise_spans(lengths, 64, 0.35, 3.5, np.random.default_rng(1))
    assert mask.sum() / lengths.sum() == pytest.approx(0.35, abs=0.01)
    assert mask.sum() / first.sum() == pytest.approx(3.5, rel=0.15)  # turning parts some spans in two


def test_every_place_is_masked_alike():
    mask, _ = noise_spans(np.full(4000, 9), 9, 0.35, 3.5, np.random.default_rng(1))
    np.testing.assert_allclose(mask.mean(0), 3 / 9, atol=0.04)


def stream(seed=1, **changes):
    splits = {"a": split([5, 9, 30, 4, 17]), "b": split([40, 3, 12], 1000)}
    arguments = {"length": 16, "batch_tokens": 64, "seed": seed, "shapes": 2} | changes
    return MixtureStream(splits, {"a": 0.75, "b": 0.25}, **arguments)


def test_mixture_shares_follow_the_weights_and_every_text_is_passed_once_an_epoch():
    mixture = stream()
    seen = np.concatenate([batch.tokens.ravel() for batch in (mixture.next() for _ in range(200))])
    seen = seen[seen > 0]
    assert (seen < 1000).mean() == pytest.approx(0.75, abs=0.02)
    _, counts = np.unique(seen[seen < 1000], return_counts=True)
    assert len(counts) == 65
    assert counts.max() - counts.min() <= 3  # queued segments are the only difference


def test_stream_restores_its_place():
    mixture = stream()
    for _ in range(7):
        mixture.next()
    state = mixture.state()
    expected = [mixture.next().tokens for _ in range(5)]
    other = stream()
    other.restore(state)
    for tokens in expected:
        np.testing.assert_array_equal(other.next().tokens, tokens)


def test_the_same_seed_gives_the_batches_of_earlier_versions():
    # else a run resumed after an update would go on with other text
    digest, sizes = hashlib.sha256(), np.random.default_rng(0)
    splits = {name: split(sizes.integers(1, 90, 40).tolist(), 10 + 4000 * i) for i, name in enumerate("ab")}
    mixture = MixtureStream(splits, {"a": 0.7, "b": 0.3}, length=48, batch_tokens=400, seed=1, shapes=3)
    for step in range(60):
        batch = mixture.next()
        arguments = {"density": 0.35, "mean_span": 3.5, "sentinels": np.arange(9999, 9989, -1)}
        arrays = [batch.tokens, batch.lengths]
        for objective in ("infilling", "span-corruption"):
            arrays += corrupt(objective, batch.tokens, batch.lengths, random=np.random.default_rng(step), **arguments)
        for array in arrays:
            digest.update(str(array.shape).encode() + array.astype("<i8").tobytes())
    assert mixture.epochs(mixture.drawn)["a"] > 2
    assert digest.hexdigest()[:16] == "04ecc0776963fbcb"


def test_batches_have_few_shapes_and_bounded_rows():
    mixture = stream()
    shapes = {mixture.next().tokens.shape for _ in range(100)}
    assert shapes <= {(8, 7), (4, 15)}


def test_a_stream_read_ahead_gives_the_same_batches_and_goes_back_to_any_place():
    plain, ahead = stream(), Prefetcher(stream(), lambda batch, step: (step, batch.lengths.sum()))
    expected = [plain.next() for _ in range(12)]
    places = [ahead.place]
    for step in range(8):
        batch, masked = ahead.take(step)
        np.testing.assert_array_equal(batch.tokens, expected[step].tokens)
        assert masked == (step, batch.lengths.sum())
        places.append(ahead.place)
    for step in (3, 8, 0):
        ahead.rewind(places[step])
        for after in range(step, 12):
            np.testing.assert_array_equal(ahead.take(after)[0].tokens, expected[after].tokens)


def test_another_seed_is_another_order():
    assert not np.array_equal(stream(1).next().tokens, stream(2).next().tokens)


def test_wrong_weights_are_refused():
    with pytest.raises(UserError, match="summing to 1"):
        MixtureStream({"a": split([5])}, {"a": 0.7}, length=16, batch_tokens=64, seed=1, shapes=2)


def test_nested_subsets():
    large, small = nested_subset(100, 60, 3), nested_subset(100, 20, 3)
    assert set(small) < set(large)
    with pytest.raises(UserError, match="101 is larger than the 100"):
        nested_subset(100, 101, 3)


@pytest.mark.parametrize(("items", "count"), [(500, 16), (512, 16), (7, 3), (64, 1), (1001, 32)])
def test_an_epoch_passes_every_item_once_in_batches_that_are_alike(items, count):
    lengths = np.random.default_rng(0).lognormal(2.2, 0.6, items).astype(int) + 2
    batches = epoch_batches(lengths, count, 1, 0)
    assert sorted(np.concatenate(batches)) == list(range(items))
    assert {len(batch) for batch in batches} <= {items // count, -(-items // count)}
    assert all((np.diff(lengths[batch]) >= 0).all() for batch in batches)  # shortest first
    if items >= 500:
        totals = np.array([lengths[batch].sum() for batch in batches])
        alone = [lengths[batch].sum() for batch in np.array_split(np.random.default_rng(1).permutation(items), count)]
        assert totals.std() < 0.5 * np.std(alone)
        assert not all(np.array_equal(a, b) for a, b in zip(batches, epoch_batches(lengths, count, 1, 1), strict=True))
