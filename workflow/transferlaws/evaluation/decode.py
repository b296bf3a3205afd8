"""Greedy and beam search over R replicas at once."""

import torch
from torch import Tensor

from transferlaws.model.decoding import Cache, next_logits
from transferlaws.model.transformer import Transformer

PAD, EOS = 0, 1


@torch.no_grad()
def greedy(model: Transformer, source: Tensor, max_length: int) -> Tensor:
    """Best token after best token: source (N, S) -> hypotheses (R, N, at most max_length), eos and then pad behind each.

    A source leaves the batch when every replica has finished it.
    """
    replicas, count = model.replicas, len(source)
    encoded, bias = model.encode(source.expand(replicas, -1, -1))
    cache = Cache(model, encoded, bias, 1, max_length)
    result = torch.full((replicas, count, max_length), PAD, dtype=torch.long, device=source.device)
    alive = torch.arange(count, device=source.device)
    tokens = torch.full((replicas, count), PAD, dtype=torch.long, device=source.device)
    done = torch.zeros_like(tokens, dtype=torch.bool)
    for position in range(max_length):
        tokens = next_logits(model, tokens, position, cache).argmax(-1).masked_fill(done, PAD)
        result[:, alive, position] = tokens
        done = done | (tokens == EOS)
        going = ~done.all(0)
        left = int(going.sum())
        if left == 0:
            return result[:, :, : position + 1]
        if left < 0.75 * len(alive):
            kept = going.nonzero().squeeze(1)
            alive, tokens, done = alive[kept], tokens[:, kept], done[:, kept]
            cache.keep(kept)
    return result


@torch.no_grad()
def beam_search(model: Transformer, source: Tensor, max_length: int, beam: int, length_penalty: float) -> Tensor:
    """Beam search as `transformers` defines it (no early stopping): source (N, S) -> best hypotheses (R, N, L).

    Each step takes the 2 × beam best continuations; those that end are scored log-probability / length ** penalty (eos counted) and
    the `beam` best scored are kept; a source is finished when no running hypothesis can beat the worst of them.
    """
    replicas, count, device = model.replicas, len(source), source.device
    encoded, bias = model.encode(source.expand(replicas, -1, -1))
    cache = Cache(model, encoded, bias, beam, max_length)
    alive = torch.arange(count, device=device)
    final = torch.full((replicas, count, max_length), PAD, dtype=torch.long, device=device)
    tokens = torch.full((replicas, count * beam), PAD, dtype=torch.long, device=device)
    history = torch.full((replicas, count, beam, max_length), PAD, dtype=torch.long, device=device)
    scores = torch.full((replicas, count, beam), -1e9, device=device)
    scores[..., 0] = 0.0
    finished = history.clone()
    finished_scores = torch.full((replicas, count, beam), -1e9, device=device)
    for position in range(max_length):
        n = len(alive)
        logits = next_logits(model, tokens, position, cache).float()
        candidates = scores.view(replicas, n * beam, 1) + torch.log_softmax(logits, -1)
        top, places = candidates.view(replicas, n, -1).topk(2 * beam, dim=-1)  # (R, n, 2 beam)
        parents, words = places // logits.shape[-1], places % logits.shape[-1]
        grown = torch.take_along_dim(history, parents.unsqueeze(-1), dim=2)
        grown[..., position] = words
        ended = words == EOS
        # hypotheses that end here compete with those that ended before; only the first `beam` candidates may end
        may_end = ended & (torch.arange(2 * beam, device=device) < beam)
        ratio = float(position + 1) ** length_penalty
        last = position == max_length - 1
        offered = (top / ratio).masked_fill(~(torch.ones_like(may_end) if last else may_end), -1e9)
        merged = torch.cat([finished_scores, offered], dim=-1)
        finished_scores, order = merged.topk(beam, dim=-1)
        finished = torch.take_along_dim(torch.cat([finished, grown], dim=2), order.unsqueeze(-1), dim=2)
        scores, order = top.masked_fill(ended, -1e9).topk(beam, dim=-1)
        history = torch.take_along_dim(grown, order.unsqueeze(-1), dim=2)
        tokens = history[..., position].reshape(replicas, -1)
        source_rows = torch.arange(n, device=device).view(1, n, 1) * beam
        cache.reorder((torch.take_along_dim(parents, order, dim=2) + source_rows).view(replicas, -1))
        hopeful = (scores[..., 0] / ratio) > finished_scores[..., -1]
        going = hopeful.any(0) & (not last)
        left = int(going.sum())
        if left == 0 or left < 0.75 * n:
            stopped = (~going).nonzero().squeeze(1)
            final[:, alive[stopped]] = finished[:, stopped, 0]
            kept = going.nonzero().squeeze(1)
            alive, scores, history = alive[kept], scores[:, kept], history[:, kept]
            finished, finished_scores = finished[:, kept], finished_scores[:, kept]
            tokens = tokens.view(replicas, n, beam)[:, kept].flatten(1)
            cache.keep(kept)
        if left == 0:
            break
    return final
