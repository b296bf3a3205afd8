"""Batches are packed without losing, mixing up or padding anything."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transferlaws.model.packing import dense, pack, unpack
from transferlaws.tokens.batches import epoch_batches


@st.composite
def padded(draw):
    """Padded ids of a source (or none) and a target, all different, in a few streams; rows may be empty."""
    streams, rows = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    sides, first = [], 1
    for _ in range(draw(st.integers(1, 2))):
        lengths = np.array(draw(st.lists(st.integers(0, 70), min_size=streams * rows, max_size=streams * rows))).reshape(
            streams, rows
        )
        width = max(int(lengths.max()), 1)
        ids = np.where(
            np.arange(width) < lengths[..., None], np.arange(first, first + streams * rows * width).reshape(-1, rows, width), 0
        )
        first += ids.size
        sides.append(ids)
    return (None, sides[0]) if len(sides) == 1 else tuple(sides)


def sequences(packed, stream):
    """The texts of one stream in the order in which they lie."""
    starts, lengths = packed.layout.starts[stream].tolist(), packed.layout.lengths[stream].tolist()
    return [packed.ids[stream, start : start + length].tolist() for start, length in zip(starts, lengths, strict=True)]


@settings(max_examples=60, deadline=None)
@given(padded(), st.integers(0, 3), st.booleans(), st.integers(1, 3))
def test_every_sequence_lies_somewhere_once(ids, groups, few_forms, parts):
    source, target = ids
    whole = [np.concatenate([row[row > 0] for row in stream]) for stream in target]
    seen = [[] for _ in target]
    for part in range(min(parts, target.shape[1])):
        form, table = pack(source, target, rows=slice(part, None, parts), groups=groups, few_forms=few_forms)
        batch = unpack(form, torch.from_numpy(table))
        for stream in range(len(target)):
            texts = sequences(batch.inputs, stream)
            rows = [
                batch.rows[stream, start].item()
                for start, text in zip(batch.inputs.layout.starts[stream], texts, strict=True)
                if text
            ]
            labels = batch.labels[stream]
            expected = [target[stream, row][target[stream, row] > 0].tolist() for row in rows]
            assert [[0, *text[:-1]] for text in expected] == [text for text in texts if text]
            assert labels[labels > 0].tolist() == [token for text in expected for token in text]
            seen[stream] += rows
            real = labels > 0
            np.testing.assert_array_equal(whole[stream][batch.inputs.layout.index[stream][real]], labels[real])
            if source is not None:
                order = [text for text in sequences(batch.source, stream)]
                assert sorted(map(tuple, order)) == sorted(tuple(row[row > 0].tolist()) for row in source[stream, part::parts])
        if few_forms:
            most = max(int((target[:, part::parts] > 0).sum((1, 2)).max()), 1)
            assert most <= form.target.positions <= max(most + most / 16, most + 8)
    for stream, rows in enumerate(seen):
        assert sorted(rows) == [row for row, text in enumerate(target[stream]) if text[0] > 0]


@settings(max_examples=40, deadline=None)
@given(padded(), st.integers(1, 4))
def test_groups_show_every_position_once(ids, groups):
    form, table = pack(*ids, groups=groups)
    layout = unpack(form, torch.from_numpy(table)).inputs.layout
    x = torch.arange(1.0, len(table) * form.target.positions + 1).view(len(table), -1, 1)
    padded = layout.groups(x)
    assert sum(len(group[0]) for group in padded) == ids[1].shape[1]
    back = layout.gather(torch.cat([group.flatten(1, 2) for group in padded], 1))
    for stream, total in enumerate(layout.lengths.sum(1).tolist()):
        assert torch.equal(back[stream, :total], x[stream, :total])


def test_dense_is_the_padded_batch_itself():
    ids = torch.tensor([[[5, 6, 0], [7, 8, 9]]])
    packed = dense(ids)
    assert sequences(packed, 0) == [[5, 6], [7, 8, 9]]
    assert packed.layout.side.groups == ((2, 3),)


def test_batches_of_sentences_leave_little_over():
    """Lengths as those of short sentences, three seeds with sets of their own: under a tenth, rounding for a GPU included."""
    random = np.random.default_rng(0)
    sets = [np.clip(random.lognormal(2.2, 0.7, 2000).astype(int) + 2, 2, 64) for _ in range(3)]
    real = computed = 0
    forms = set()
    for batches in zip(*(epoch_batches(lengths, 32, seed, 0) for seed, lengths in enumerate(sets)), strict=True):
        rows = max(map(len, batches))
        target = np.zeros((3, rows, 64), np.int64)
        for stream, (lengths, batch) in enumerate(zip(sets, batches, strict=True)):
            target[stream, : len(batch)] = np.arange(64) < lengths[batch][:, None]
        form, _ = pack(None, target, few_forms=True)
        forms.add(form)
        real, computed = real + target.sum(), computed + 3 * form.target.positions
    assert 1 - real / computed < 0.1
    assert len(forms) <= 6
