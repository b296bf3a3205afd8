"""The Triton kernels compute what plain PyTorch computes: on a GPU, or in Triton's interpreter where there is none."""

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when triton is imported
pytest.importorskip("triton")

from transferlaws.model.kernels import attention, rows
from transferlaws.model.loss import linear_cross_entropy, row_gradient
from transferlaws.model.operations import PLAIN, fused, gated_gelu, rms_norm
from transferlaws.model.settings import ModelSettings
from transferlaws.model.transformer import Transformer
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


def plain_attention(queries, others, table, lengths, heads, causal):
    count, keys = queries.shape[2], (queries if others is None else others).shape[2]
    offsets = torch.arange(keys, device=DEVICE)[None, :] - torch.arange(count, device=DEVICE)[:, None]
    positions = None if table is None else table[..., offsets + count - 1].unsqueeze(1)
    hidden = torch.arange(keys, device=DEVICE) >= lengths[:, :, None, None, None]
    padding = torch.zeros(hidden.shape, device=DEVICE).masked_fill(hidden, float("-inf"))
    if causal:
        padding = padding + torch.zeros(count, keys, device=DEVICE).masked_fill(offsets > 0, float("-inf"))
    return PLAIN.attention(queries, others, positions, padding, heads, causal)


@pytest.mark.parametrize(
    ("replicas", "batch", "queries", "keys", "heads", "width", "cross", "causal"),
    [
        (2, 3, 20, 20, 2, 16, False, False),
        (1, 2, 70, 70, 2, 32, False, True),  # more than one tile
        (2, 9, 7, 7, 1, 8, False, True),  # heads narrower than a tile, more sequences than one program adds up
        (2, 3, 9, 33, 2, 16, True, False),
        (1, 2, 130, 90, 1, 16, True, False),
    ],
)
def test_attention(replicas, batch, queries, keys, heads, width, cross, causal):
    q = draw(replicas, batch, queries, (1 if cross else 3) * heads * width)
    kv = draw(replicas, batch, keys, 2 * heads * width) if cross else None
    table = None if cross else draw(replicas, heads, queries + keys - 1)
    lengths = torch.randint(1, keys + 1, (replicas, batch), dtype=torch.int32, device=DEVICE)
    arguments = (q, kv, table, lengths, heads, causal)
    agree(attention.attention(*arguments), plain_attention(*arguments), [x for x in (q, kv, table) if x is not None])


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
    source, target = torch.randint(3, 90, (2, 4, 9), device=DEVICE), torch.randint(3, 90, (2, 4, 7), device=DEVICE)
    source[:, 1, 5:], source[:, 2], target[:, 1, 3:] = 0, 0, 0
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
        for _ in range(3):
            weight = (target != 0).flatten(1) / (target != 0).sum((1, 2)).unsqueeze(1)
            loss = linear_cross_entropy(
                model(source, target).flatten(1, 2), model.head, target.flatten(1), weight, operations.row_gradient
            )
            optimiser.step(list(torch.autograd.grad(loss.sum(), list(model.parameters()))), rates)
            losses.append(loss.detach())
        assert model.embedding.dtype == dtype
        assert optimiser.master["embedding"].dtype == torch.float32
        found.append((torch.stack(losses), optimiser.master))
    loose = CLOSE if dtype == torch.float32 else {"atol": 5e-2, "rtol": 5e-2}
    torch.testing.assert_close(found[0][0], found[1][0], **loose)
    if dtype == torch.float32:
        for key, weight in found[0][1].items():
            # a step is the rate times a ratio of two small numbers: a hundredth of three steps is rounding (tf32), not a fault
            torch.testing.assert_close(weight, found[1][1][key], atol=1e-3 if DEVICE == "cpu" else 1e-2, rtol=1e-3)
