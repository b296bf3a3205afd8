"""One decoder position at a time, with keys and values kept: what translation needs of the model."""

import torch
from torch import Tensor

from transferlaws.model.operations import PLAIN, attend, bias_matrix, linear, no_dropout, padding_bias, rms_norm, split_heads
from transferlaws.model.packing import dense
from transferlaws.model.transformer import Transformer, feed_forward


class Cache:
    """Keys and values of R replicas × B rows: self-attention filled position by position, cross-attention once.

    With several hypotheses a source (`beam`), row b belongs to source b // beam; cross-attention keeps one copy a source.
    """

    def __init__(self, model: Transformer, source: Tensor, beam: int, length: int) -> None:
        """Encodes source ids (R, N, S); room for `length` positions."""
        settings, packed = model.settings, dense(source)
        encoded = model.encode(packed).unflatten(1, source.shape[1:])
        replicas, sources = encoded.shape[:2]
        shape = (settings.decoder_layers, replicas, sources * beam, settings.heads, length, settings.d_kv)
        self.keys = torch.zeros(shape, dtype=encoded.dtype, device=encoded.device)
        self.values = torch.zeros_like(self.keys)
        self.beam = beam
        self.layers = list(model.decoder.unstacked(model.dtype))
        self.cross = [split_heads(linear(encoded, layer.cross_kv), 2, settings.heads) for layer in self.layers]
        self.source_bias = padding_bias(packed.layout.lengths, source.shape[2], model.dtype)
        # (R, 1, H, length, length): row t is the bias of a query at position t
        self.bias = bias_matrix(model.decoder.positions(length, model.dtype), causal=True).unsqueeze(1)

    def reorder(self, rows: Tensor, length: int) -> None:
        """Row b continues what row `rows[r, b]` (R, B) of the same replica held in the first `length` positions."""
        replicas, count = rows.shape
        flat = (rows + torch.arange(replicas, device=rows.device).unsqueeze(1) * count).flatten()
        for stored in (self.keys, self.values):
            held = stored[..., :length, :].flatten(1, 2)  # a copy, (layers, R × B, H, length, K)
            stored[..., :length, :] = held.index_select(1, flat).unflatten(1, rows.shape)

    def keep(self, sources: Tensor) -> None:
        """Drop all sources but these (indices, the same in every replica)."""
        rows = (sources[:, None] * self.beam + torch.arange(self.beam, device=sources.device)).flatten()
        self.keys, self.values = self.keys[:, :, rows], self.values[:, :, rows]
        self.cross = [(k[:, sources], v[:, sources]) for k, v in self.cross]
        self.source_bias = self.source_bias[:, sources]


@torch.no_grad()
def next_logits(model: Transformer, tokens: Tensor, position: int, cache: Cache) -> Tensor:
    """Logits (R, B, V) after the decoder reads `tokens` (R, B) at `position`; the cache gains that position."""
    heads, beam = model.settings.heads, cache.beam
    x = model.embed(tokens).unsqueeze(2)  # (R, B, 1, D)
    stop = position + 1
    bias = cache.bias[:, :, :, position : position + 1, :stop]
    for number, layer in enumerate(cache.layers):
        q, k, v = split_heads(linear(rms_norm(x, layer.self_norm), layer.self_qkv), 3, heads)
        cache.keys[number, :, :, :, position] = k[..., 0, :]
        cache.values[number, :, :, :, position] = v[..., 0, :]
        seen = attend(q, cache.keys[number, ..., :stop, :], cache.values[number, ..., :stop, :], bias)
        x = x + linear(seen, layer.self_out)
        (q,) = split_heads(linear(rms_norm(x, layer.cross_norm), layer.cross_q), 1, heads)
        # the hypotheses of a source are the queries of one attention
        q = q.unflatten(1, (-1, beam)).squeeze(-2).transpose(2, 3)  # (R, N, H, beam, K)
        k, v = cache.cross[number]
        x = x + linear(attend(q, k, v, cache.source_bias).flatten(1, 2).unsqueeze(2), layer.cross_out)
        x = feed_forward(x, layer, PLAIN, no_dropout)
    return model.logits(rms_norm(x, model.decoder.final_norm.to(model.dtype))).squeeze(2)
