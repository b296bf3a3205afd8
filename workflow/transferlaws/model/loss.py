"""Cross-entropy over the vocabulary without keeping the logits: for small models they are the largest activation by far."""

from collections.abc import Callable

import torch
from torch import Tensor

RowGradient = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Rows of logits (R, n, V), targets (R, n), weights (R, n) -> nll (R, n), and the gradient of the weighted sum in the logits."""
CHUNK_BYTES = {"cpu": 1 << 20, "cuda": 1 << 30}  # of logits at once: what stays in a core's cache; what is small on a GPU


def row_gradient(logits: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and gradient of rows of logits (R, n, V): nll (R, n) in fp32 and d(sum of weight × nll)/d logits, in logits' type."""
    column = target.unsqueeze(-1)
    chosen = logits.gather(-1, column).float()
    top = logits.amax(-1, keepdim=True).float()
    raised = (logits.float() - top).exp()
    total = raised.sum(-1, keepdim=True)
    nll = top + total.log() - chosen
    hit = torch.arange(logits.shape[-1], device=logits.device) == column
    gradient = (raised / total - hit.float()) * weight.unsqueeze(-1)
    return nll.squeeze(-1), gradient.to(logits.dtype)


def row_gradient_in_place(logits: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """`row_gradient` for fp32 logits on a CPU, which it overwrites: fewest passes over memory."""
    column = target.unsqueeze(-1)
    chosen = logits.gather(-1, column)
    top = logits.amax(-1, keepdim=True)
    total = logits.sub_(top).exp_().sum(-1, keepdim=True)
    nll = top + total.log() - chosen
    weight = weight.unsqueeze(-1)
    logits.mul_(weight / total).scatter_add_(-1, column, -weight)
    return nll.squeeze(-1), logits


def _chunks(hidden: Tensor, head: Tensor) -> int:
    budget = CHUNK_BYTES["cuda" if hidden.is_cuda else "cpu"]
    return max(budget // (head.shape[1] * hidden.element_size() * (hidden.shape[0] if hidden.is_cuda else 1)), 16)


def _gradients(hidden: Tensor, head: Tensor, target: Tensor, weight: Tensor, rows: RowGradient) -> tuple[Tensor, list[Tensor]]:
    """Losses (R, N), and the gradients of their weighted sum in `hidden` and `head`, a chunk of positions at a time."""
    size = _chunks(hidden, head)
    losses, hidden_gradients, head_gradient = [], [], None
    for piece, ids, weights in zip(hidden.split(size, 1), target.split(size, 1), weight.split(size, 1), strict=True):
        nll, gradient = rows(torch.bmm(piece, head.transpose(1, 2)), ids, weights)
        losses.append(nll)
        hidden_gradients.append(torch.bmm(gradient, head))
        if head_gradient is None:
            head_gradient = torch.bmm(gradient.transpose(1, 2), piece)
        elif head_gradient.dtype == gradient.dtype == torch.float32:
            head_gradient.baddbmm_(gradient.transpose(1, 2), piece)
        else:  # a sum of many bf16 parts would lose the small ones
            head_gradient = head_gradient.float() + torch.bmm(gradient.transpose(1, 2), piece)
    if len(losses) == 1:
        return losses[0], [hidden_gradients[0], head_gradient]
    return torch.cat(losses, 1), [torch.cat(hidden_gradients, 1), head_gradient.to(head.dtype)]


class _LinearCrossEntropy(torch.autograd.Function):
    """Forward computes the gradients too, chunk by chunk; backward only scales them."""

    @staticmethod
    def forward(context, hidden: Tensor, head: Tensor, target: Tensor, weight: Tensor, rows: RowGradient) -> tuple[Tensor, Tensor]:
        if hidden.is_cuda:
            nll, gradients = _gradients(hidden, head, target, weight, rows)
        else:  # one replica after another, so that a chunk of logits stays in cache
            parts = [_gradients(*(x[r : r + 1] for x in (hidden, head, target, weight)), rows) for r in range(len(hidden))]
            nll = torch.cat([part[0] for part in parts])
            gradients = [torch.cat(pieces) for pieces in zip(*(part[1] for part in parts), strict=True)]
        hidden_gradient, head_gradient = gradients
        context.save_for_backward(hidden_gradient, head_gradient)
        loss = (nll * weight).sum(1)
        context.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    def backward(context, scale: Tensor, _: Tensor) -> tuple:
        hidden_gradient, head_gradient = context.saved_tensors
        scale = scale.view(-1, 1, 1).to(hidden_gradient.dtype)
        return hidden_gradient * scale, head_gradient * scale, None, None, None


def linear_cross_entropy(hidden: Tensor, head: Tensor, target: Tensor, weight: Tensor, rows: Callable | None = None) -> Tensor:
    """Weighted sum of token losses of each replica, (R,), in nats; differentiable in `hidden` and `head`.

    hidden (R, N, D), head (R, V, D), target (R, N) ids, weight (R, N): 0 leaves a position out. `rows` replaces `row_gradient`
    by a fused form of it.
    """
    if rows is None:
        rows = row_gradient if hidden.is_cuda or hidden.dtype != torch.float32 else row_gradient_in_place
    return _LinearCrossEntropy.apply(hidden, head.to(hidden.dtype), target, weight, rows)[0]


@torch.no_grad()
def token_losses(hidden: Tensor, head: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of each position in nats, (R, N) in fp32, without gradients."""
    head = head.to(hidden.dtype)
    size = max(_chunks(hidden, head) // 4, 16)  # the fp32 copies are kept small
    losses = []
    for start in range(0, hidden.shape[1], size):
        logits = torch.bmm(hidden[:, start : start + size], head.transpose(1, 2)).float()
        chosen = logits.gather(-1, target[:, start : start + size].unsqueeze(-1)).squeeze(-1)
        losses.append(torch.logsumexp(logits, dim=-1) - chosen)
    return torch.cat(losses, dim=1)
