"""Optimisers with a leading replica axis: each replica has its own learning rate, clipping and scale, and touches no other.

Moments are in fp32. Nothing here reads a value back from a device, so that a step can be captured in a CUDA graph.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from transferlaws.model.operations import PLAIN
from transferlaws.model.transformer import Transformer
from transferlaws.training.distributed import is_sharded
from transferlaws.training.settings import OptimiserSettings

LEAST_RMS = 1e-3  # of a matrix that scales its own step, as in Adafactor
MATRICES = {  # name of a parameter -> axes of one matrix of it, (in, out); other axes are replicas, layers and parts
    "self_qkv": (2, 4),
    "cross_q": (2, 4),
    "cross_kv": (2, 4),
    "ff_in": (2, 4),
    "self_out": (2, 3),
    "cross_out": (2, 3),
    "ff_out": (2, 3),
    "embedding": (1, 2),
    "head": (1, 2),
    "relative_bias": (1, 2),
}
HIDDEN = ("self_qkv", "cross_q", "cross_kv", "ff_in", "self_out", "cross_out", "ff_out")


def matrix_axes(name: str, parameter: Tensor) -> tuple[int, ...]:
    """Axes of one matrix (or one norm's vector) of a stacked parameter."""
    return MATRICES.get(name.rpartition(".")[2], (parameter.dim() - 1,))


def rms(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Root mean square over `axes` in fp32, kept as axes of size 1."""
    return torch.linalg.vector_norm(x, dim=axes, keepdim=True, dtype=torch.float32) / _size(x, axes) ** 0.5


def _size(x: Tensor, axes: tuple[int, ...]) -> int:
    size = 1
    for axis in axes:
        size *= x.shape[axis]
    return size


def _like(x: Tensor, other: Tensor) -> Tensor:
    """(R,) -> broadcastable over a parameter (R, ...)."""
    return x.view(-1, *[1] * (other.dim() - 1))


def joint_norm(gradients: list[Tensor]) -> Tensor:
    """(R,): the norm of all of a replica's gradients together."""
    norms = torch.stack([torch.linalg.vector_norm(g, dim=tuple(range(1, g.dim())), dtype=torch.float32) for g in gradients])
    return torch.linalg.vector_norm(norms, dim=0)


def adamw(p: Tensor, g: Tensor, state: dict[str, Tensor], rate: Tensor, count: Tensor, axes: tuple, s: OptimiserSettings) -> None:
    """AdamW (Loshchilov and Hutter 2019); rate (R, 1, ...)."""
    m, v = state["m"], state["v"]
    m.lerp_(g, 1 - s.beta1)
    v.mul_(s.beta2).addcmul_(g, g, value=1 - s.beta2)
    if s.weight_decay:
        p.mul_(1 - rate * s.weight_decay)
    correction = (1 - s.beta2**count).sqrt()
    step = m / v.sqrt().div_(correction).add_(s.epsilon)
    p.sub_(step.mul_(rate / (1 - s.beta1**count)))


def adamw_scaled(
    p: Tensor, g: Tensor, state: dict[str, Tensor], rate: Tensor, count: Tensor, axes: tuple, s: OptimiserSettings
) -> None:
    """AdamW with Adafactor's scaling of each matrix's step by its root mean square (nanoT5's AdamWScale)."""
    adamw(p, g, state, rate * rms(p, axes).clamp(min=LEAST_RMS), count, axes, s)


def adafactor(
    p: Tensor, g: Tensor, state: dict[str, Tensor], rate: Tensor, count: Tensor, axes: tuple, s: OptimiserSettings
) -> None:
    """Adafactor (Shazeer and Stern 2018) as T5 uses it: factored second moment, no first moment, clipped and scaled steps."""
    decay = 1 - count**-0.8
    square = g.square() + 1e-30
    if len(axes) == 2:
        row, column = state["row"], state["column"]
        row.lerp_(square.mean(axes[1], keepdim=True), 1 - decay)
        column.lerp_(square.mean(axes[0], keepdim=True), 1 - decay)
        step = g * (row / row.mean(axes[0], keepdim=True)).rsqrt() * column.rsqrt()
    else:
        state["v"].lerp_(square, 1 - decay)
        step = g * state["v"].rsqrt()
    step = step / rms(step, axes).clamp(min=1.0)
    if s.weight_decay:
        p.mul_(1 - rate * s.weight_decay)
    p.sub_(step * (rate * rms(p, axes).clamp(min=LEAST_RMS)))


def muon(p: Tensor, g: Tensor, state: dict[str, Tensor], rate: Tensor, count: Tensor, axes: tuple, s: OptimiserSettings) -> None:
    """Muon (Jordan et al. 2024): orthogonalised Nesterov momentum; the step has RMS 0.2 × the matrix's, comparable with Adam's."""
    m = state["m"]
    m.lerp_(g, 1 - s.beta1)
    step = orthogonalised(torch.lerp(g, m, s.beta1).movedim(axes, (-2, -1))).movedim((-2, -1), axes)
    if s.weight_decay:
        p.mul_(1 - rate * s.weight_decay)
    larger = max(p.shape[axes[0]], p.shape[axes[1]])
    p.sub_(step * (0.2 * larger**0.5 * rate * rms(p, axes).clamp(min=LEAST_RMS)))


def orthogonalised(x: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrices of (..., a, b), roughly: five quintic Newton-Schulz steps (Muon's coefficients)."""
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.mT if tall else x


def rule_of(name: str, settings: OptimiserSettings) -> Callable:
    """The update rule of a parameter: Muon is for hidden matrices only."""
    if settings.name == "muon":
        return muon if name.rpartition(".")[2] in HIDDEN else adamw_scaled
    return {"adamw": adamw, "adamw-scaled": adamw_scaled, "adafactor": adafactor}[settings.name]


class Optimiser:
    """Steps a model's parameters in place; `rate` is one learning rate a replica."""

    def __init__(self, model: Transformer, settings: OptimiserSettings) -> None:
        self.model, self.settings = model, settings
        # fp32 weights that steps are added to; where the model computes in another type, its own are rounded copies of these
        self.master = {name: p.detach() for name, p in model.named_parameters()}
        if model.dtype != torch.float32 and not is_sharded(model.embedding):
            for parameter in model.parameters():
                parameter.data = parameter.detach().to(model.dtype)
        self.count = torch.zeros((), device=model.embedding.device)
        self.state = {name: self._fresh(name, p) for name, p in self.master.items()}
        self.fused = None  # one kernel in place of the rule; it reads plain memory, which a sharded tensor has none of
        if model.operations is not PLAIN and settings.name in ("adamw", "adamw-scaled") and not is_sharded(model.embedding):
            from transferlaws.training import kernels

            self.fused = kernels.adamw

    def _fresh(self, name: str, p: Tensor) -> dict[str, Tensor]:
        rule, axes = rule_of(name, self.settings), matrix_axes(name, p)
        if rule is adafactor and len(axes) == 2:
            return {
                "row": torch.zeros_like(p.mean(axes[1], keepdim=True)),
                "column": torch.zeros_like(p.mean(axes[0], keepdim=True)),
            }
        if rule is adafactor:
            return {"v": torch.zeros_like(p)}
        if rule is muon:
            return {"m": torch.zeros_like(p)}
        return {"m": torch.zeros_like(p), "v": torch.zeros_like(p)}

    def _masters(self) -> dict[str, Tensor]:
        """The fp32 weights by name; shards are new objects after each gathering, and their own masters."""
        return dict(self.model.named_parameters()) if is_sharded(self.model.embedding) else self.master

    @torch.no_grad()
    def step(self, gradients: list[Tensor], rates: Tensor) -> Tensor:
        """One step in place; gradients in the order of the model's parameters, rates (R,). Returns the gradient norms (R,)."""
        weights = dict(self.model.named_parameters())
        norm = joint_norm(gradients)
        factor = (self.settings.clip / norm).clamp(max=1.0)
        self.count += 1
        correction = torch.stack([1 - self.settings.beta1**self.count, (1 - self.settings.beta2**self.count).sqrt()])
        for (name, p), gradient in zip(self._masters().items(), gradients, strict=True):
            axes, weight, p = matrix_axes(name, p), weights[name].detach(), p.detach()
            if self.fused is not None:
                rate = _like(rates, p)
                if self.settings.name == "adamw-scaled":  # of the rounded copy, which is half as many bytes to read
                    rate = rate * rms(weight, axes).clamp(min=LEAST_RMS)
                rate = rate.expand([1 if axis in axes else size for axis, size in enumerate(p.shape)])  # one a matrix
                shadow = p if weight.dtype == p.dtype else weight
                self.fused(p, gradient, self.state[name], shadow, rate, factor, correction, axes, self.settings)
                continue
            rule = rule_of(name, self.settings)
            rule(p, gradient.float() * _like(factor, p), self.state[name], _like(rates, p), self.count, axes, self.settings)
            if weight.dtype != p.dtype:
                weight.copy_(p)
        return norm

    @torch.no_grad()
    def refresh(self) -> None:
        """Round the model's weights from the master ones, after these have been loaded."""
        for name, weight in self.model.named_parameters():
            if weight.dtype != self.master[name].dtype:
                weight.copy_(self.master[name])

    def tensors(self) -> dict[str, Tensor]:
        """Master weights by their names, and all other state, under unique names."""
        named = {f"{name}:{key}": tensor for name, state in self.state.items() for key, tensor in state.items()}
        return self._masters() | named | {"count": self.count}

    def select(self, kept: Tensor) -> None:
        """Keep the replicas with these indices; call after the model's own `select`."""
        for state in self.state.values():
            for key, tensor in state.items():
                state[key] = tensor[kept].contiguous()
        own = {name: p.detach() for name, p in self.model.named_parameters()}
        self.master = {name: own[name] if own[name].dtype == p.dtype else p[kept].contiguous() for name, p in self.master.items()}
