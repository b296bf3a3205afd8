"""The Triton kernels compute what plain PyTorch computes: on a GPU, or in Triton's interpreter where there is none."""

import os

import numpy as np
import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when triton is imported
pytest.importorskip("triton")

from transferlaws.model.kernels import attention, fused, rows
from transferlaws.model.loss import linear_cross_entropy, row_gradient
from transferlaws.model.operations import PLAIN, bias_matrix, gated_gelu, no_dropout, rms_norm
from transferlaws.model.packing import pack, unpack
from transferlaws.model.positions import Positions
from transferlaws.model.settings import ModelSettings
from transferlaws.model.transformer import Transformer
from transferlaws.training.graphs import batch_loss
from transferlaws.training.optimisers import Optimiser
from transferlaws.training.settings import OptimiserSettings

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
HALF = torch.bfloat16 if DEVICE == "cuda" else torch.float16  # the interpreter's products know no bf16
# products of fp32 tiles are rounded to tf32 on a GPU
CLOSE = {"atol": 3e-2, "rtol": 3e-2} if DEVICE == "cuda" else {"atol": 2e-5, "rtol": 1e-4}

SHAPE = ModelSettings(d_model=16, heads=2, d_kv=8, d_ff=24, encoder_layers=1, decoder_layers=1)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def draw(*shape):
    return torch.randn(*shape, device=DEVICE, requires_grad=True)


def agree(ours, theirs, leaves):
    """Equal values, and equal gradients for a random gradient of the output."""
    torch.testing.assert_close(ours, theirs, **CLOSE)
    gradient = torch.randn_like(ours)
    for found, expected in zip(
        torch.autograd.grad(ours, leaves, gradient), torch.autograd.grad(theirs, leaves, gradient), strict=True
    ):
        torch.testing.assert_close(found, expected, **CLOSE)


def layouts(replicas, batch, queries, keys):
    """Layouts of sequences of random lengths (some empty), for fused and for plain attention, and how many positions they have."""
    random = np.random.default_rng(0)
    source, target = (
        (np.arange(width) < random.integers(0, width + 1, (replicas, batch, 1))).astype(np.int64) for width in (keys, queries)
    )
    source[:, 0], target[:, 0] = 1, 1
    source[:, -1, 1:], target[:, -1, 1:] = 0, 0
    source[:, :, 0] = 1  # a key for every query
    order = np.argsort((source.sum(2) + target.sum(2)), axis=1, kind="stable")[..., None]  # groups are sorted: both layouts are
    source, target = np.take_along_axis(source, order, 1), np.take_along_axis(target, order, 1)
    found = []
    for groups in (0, 2):
        form, table = pack(source, target, groups=groups, few_forms=True)
        batch = unpack(form, torch.from_numpy(table).to(DEVICE))
        found.append((batch.inputs.layout, batch.source.layout))
    return found


def shared_beyond(table, reach):
    """The table with one value for all offsets at least `reach` from 0, to either side."""
    width = (table.shape[-1] + 1) // 2
    offsets = torch.arange(1 - width, width, device=DEVICE).clamp(-reach, reach)
    return table[..., offsets.clamp(1 - width, width - 1) + width - 1]


@pytest.mark.parametrize(
    ("replicas", "batch", "queries", "keys", "heads", "width", "cross", "causal"),
    [
        (2, 3, 20, 20, 2, 16, False, False),
        (1, 2, 70, 70, 2, 32, False, True),  # more than one tile
        (2, 9, 7, 7, 1, 8, False, True),  # heads narrower than a tile, more sequences than one program adds up
        (2, 3, 9, 33, 2, 16, True, False),
        (1, 2, 130, 90, 1, 16, True, False),
        (1, 3, 250, 250, 1, 16, False, False),  # tiles beyond the bias's reach, to either side
        (1, 3, 250, 250, 1, 16, False, True),
    ],
)
def test_attention(replicas, batch, queries, keys, heads, width, cross, causal):
    (ours, our_keys), (plain, plain_keys) = layouts(replicas, batch, queries, keys)
    q = draw(replicas, ours.side.positions, (1 if cross else 3) * heads * width)
    kv = draw(replicas, our_keys.side.positions, 2 * heads * width) if cross else None
    reach = 40
    table = None if cross else draw(replicas, heads, 2 * ours.side.width - 1)
    ours_at, plain_at = (None if cross else Positions(shared_beyond(table, reach), reach) for _ in range(2))
    # an empty sequence's neighbours, and what is left over, are no results
    real = torch.zeros(q.shape[:2], dtype=torch.bool, device=DEVICE)
    for replica in range(replicas):
        for start, length in zip(ours.starts[replica].tolist(), ours.lengths[replica].tolist(), strict=True):
            real[replica, start : start + length] = True
    assert not real.all()
    leaves = [x for x in (q, kv, table) if x is not None]
    found = attention.attention(q, ours, kv, our_keys if cross else None, ours_at, heads, causal)
    matrix = None if cross else bias_matrix(plain_at, causal)
    expected = PLAIN.attention(q, plain, kv, plain_keys if cross else None, matrix, heads, causal)
    agree(found[real], expected[real], leaves)


@pytest.mark.parametrize("lengths", [[300], [100, 384], [40, 40, 40, 200]])
@pytest.mark.parametrize("causal", [False, True])
def test_offsets_beyond_the_reach_have_their_whole_gradient(lengths, causal):
    """The measured tiles differ from kernel to kernel: what is far to one must be far to the other."""
    ids = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)[None]
    found = []
    for groups in (0, 1):
        form, table = pack(None, ids, groups=groups, few_forms=True)
        found.append(unpack(form, torch.from_numpy(table).to(DEVICE)).inputs.layout)
    ours, plain = found
    q, table = draw(1, ours.side.positions, 3 * 16), draw(1, 1, 2 * ours.side.width - 1)
    matrix = bias_matrix(Positions(shared_beyond(table, 128), 128), causal)
    expected = PLAIN.attention(q, plain, None, None, matrix, 1, causal)
    result = attention.attention(q, ours, None, None, Positions(shared_beyond(table, 128), 128), 1, causal)
    real = slice(0, sum(lengths))
    agree(result[:, real], expected[:, real], [q, table])


def test_norm_and_its_residual():
    x, weight = draw(2, 3, 5, 24), draw(2, 24)
    skip, normed = rows.norm(x, weight)
    agree(torch.cat([skip, normed], -1), torch.cat([x, rms_norm(x, weight)], -1), [x, weight])


def test_gated_gelu():
    hidden = draw(2, 7, 2 * 40)
    agree(rows.gated_gelu(hidden), gated_gelu(hidden), [hidden])


@pytest.mark.parametrize("vocabulary", [100, 5000])
def test_loss(vocabulary):
    hidden, head = draw(2, 9, 16), draw(2, vocabulary, 16)
    target, weight = torch.randint(0, vocabulary, (2, 9), device=DEVICE), torch.rand(2, 9, device=DEVICE)
    losses = [linear_cross_entropy(hidden, head, target, weight, form) for form in (rows.row_gradient, row_gradient)]
    agree(*losses, [hidden, head])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adamw", "adamw-scaled"])
@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_a_fused_step_is_a_plain_step(name, dtype):
    """Whole training steps of two replicas, learning rates of their own: the same losses and weights."""
    random = np.random.default_rng(0)
    source, target = random.integers(3, 90, (2, 4, 9)), random.integers(3, 90, (2, 4, 7))
    source[:, 1, 5:], source[:, 2], target[:, 1, 3:], target[:, 2] = 0, 0, 0, 0
    counts = torch.from_numpy((target != 0).sum((1, 2))).to(DEVICE)
    rates = torch.tensor([1e-2, 3e-2], device=DEVICE)
    found = []
    for operations in (PLAIN, fused()):
        model = Transformer(SHAPE, 128, 2)
        for replica in range(2):
            model.initialise(replica, replica)
        model.to(DEVICE)
        model.dtype, model.operations = dtype, operations
        optimiser = Optimiser(model, OptimiserSettings(name=name, weight_decay=0.1))
        losses = []
        form, table = pack(source, target, groups=2 if operations.pads else 0, few_forms=True)
        batch = unpack(form, torch.from_numpy(table).to(DEVICE))
        for _ in range(3):
            loss = batch_loss(model, batch, counts, no_dropout)
            optimiser.step(list(torch.autograd.grad(loss.sum(), list(model.parameters()))), rates)
            losses.append(loss.detach())
        assert model.embedding.dtype == dtype
        assert optimiser.master["embedding"].dtype == torch.float32
        found.append((torch.stack(losses), optimiser.master))
    loose = CLOSE if dtype == torch.float32 else {"atol": 5e-2, "rtol": 5e-2}
    torch.testing.assert_close(found[0][0], found[1][0], **loose)
    if dtype == torch.float32:
        for key, weight in found[0][1].items():
            if DEVICE == "cpu":
                torch.testing.assert_close(weight, found[1][1][key], atol=1e-3, rtol=1e-3)
            else:  # a step is the rate times a ratio of two small numbers, here rounded to tf32: a few of them may differ more
                assert ((weight - found[1][1][key]).abs() > 1e-2).float().mean() < 0.005
