"""Greedy and beam search over R replicas at once."""

import torch
from torch import Tensor

from transferlaws.model.decoding import Cache, next_logits
from transferlaws.model.transformer import Transformer

PAD, EOS = 0, 1
WORST = -1e9  # score of a hypothesis that does not exist


@torch.no_grad()
def greedy(model: Transformer, source: Tensor, max_length: int) -> Tensor:
    """Best token after best token: source (N, S) -> hypotheses (R, N, at most max_length), eos and then pad behind each.

    A source leaves the batch when every replica has finished it.
    """
    replicas, count = model.replicas, len(source)
    cache = Cache(model, source.expand(replicas, -1, -1), 1, max_length)
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
    """Beam search as `transformers` defines it: source (N, S) -> best hypotheses (R, N, max_length), eos and pad behind.

    Each step takes the 2 × beam best continuations of a source's running hypotheses. Those of the first `beam` that end compete,
    at log-probability / length ** penalty (eos counted), with the ones that ended before; the `beam` best that do not end run on.
    A source is finished when its best running hypothesis scores below the worst of `beam` ended ones. Finished sources leave.
    """
    replicas, device = model.replicas, source.device
    cache = Cache(model, source.expand(replicas, -1, -1), beam, max_length)
    beams = Beams(replicas, len(source), beam, max_length, device)
    result = torch.full((replicas, len(source), max_length), PAD, dtype=torch.long, device=device)
    alive = torch.arange(len(source), device=device)
    for position in range(max_length):
        logits = next_logits(model, beams.tokens(position), position, cache)
        cache.reorder(beams.extend(logits, position, length_penalty), position + 1)
        going = ~beams.finished.all(0)
        left = int(going.sum()) if position < max_length - 1 else 0
        if left > 0.75 * len(alive):
            continue
        kept, gone = going.nonzero().squeeze(1), (~going).nonzero().squeeze(1)
        if left == 0:
            result[:, alive] = beams.best()
            break
        result[:, alive[gone]] = beams.best()[:, gone]
        alive = alive[kept]
        beams.keep(kept)
        cache.keep(kept)
    return result


class Beams:
    """The running and the ended hypotheses of N sources in R replicas."""

    def __init__(self, replicas: int, count: int, beam: int, length: int, device: torch.device) -> None:
        self.beam, self.length = beam, length
        self.running = torch.full((replicas, count, beam, length), PAD, dtype=torch.long, device=device)
        self.scores = torch.full((replicas, count, beam), WORST, device=device)  # log-probabilities
        self.scores[..., 0] = 0.0
        self.ended = self.running.clone()
        self.ended_scores = torch.full_like(self.scores, WORST)
        self.finished = torch.zeros((replicas, count), dtype=torch.bool, device=device)

    def tokens(self, position: int) -> Tensor:
        """Decoder inputs (R, N × beam) of a position."""
        if position == 0:
            return torch.full_like(self.running[..., 0].flatten(1), PAD)
        return self.running[..., position - 1].flatten(1)

    def extend(self, logits: Tensor, position: int, penalty: float) -> Tensor:
        """Add a token, given logits (R, N × beam, V); returns for each running hypothesis the row it grew from, (R, N × beam)."""
        replicas, count, beam = self.scores.shape
        # the best 2 × beam of a source are among the best 2 × beam of each of its hypotheses
        values, words = logits.topk(min(2 * beam, logits.shape[-1]), dim=-1)
        values = (values.float() - torch.logsumexp(logits.float(), -1, keepdim=True)).view(replicas, count, beam, -1)
        top, places = (values + self.scores.unsqueeze(-1)).flatten(2).topk(2 * beam, dim=-1)  # (R, N, 2 × beam)
        parents, words = places // values.shape[-1], words.view(replicas, count, -1).gather(-1, places)
        grown = torch.take_along_dim(self.running, parents.unsqueeze(-1), dim=2)
        grown[..., position] = words
        ends = (words == EOS) | (position == self.length - 1)
        rank = torch.arange(2 * beam, device=logits.device)
        offered = (top / (position + 1) ** penalty).masked_fill(~ends | (rank >= beam) | self.finished.unsqueeze(-1), WORST)
        self.ended_scores, order = torch.cat([self.ended_scores, offered], -1).topk(beam, dim=-1)
        self.ended = torch.take_along_dim(torch.cat([self.ended, grown], 2), order.unsqueeze(-1), dim=2)
        self.scores, order = top.masked_fill(ends, WORST).topk(beam, dim=-1)
        self.running = torch.take_along_dim(grown, order.unsqueeze(-1), dim=2)
        self.finished = self.finished | (self.scores[..., 0] / (position + 1) ** penalty <= self.ended_scores[..., -1])
        first = torch.arange(count, device=logits.device).view(1, count, 1) * beam
        return (torch.take_along_dim(parents, order, dim=2) + first).flatten(1)

    def best(self) -> Tensor:
        """The best ended hypothesis of each source, (R, N, length)."""
        return self.ended[:, :, 0]

    def keep(self, sources: Tensor) -> None:
        """Drop all sources but these."""
        for name in ("running", "scores", "ended", "ended_scores", "finished"):
            setattr(self, name, getattr(self, name)[:, sources])
