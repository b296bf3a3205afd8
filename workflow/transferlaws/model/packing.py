"""Batches without padding: the sequences of a side lie behind one another, and attention alone is told where each begins.

Every other operation works position by position. The host packs a batch into one table of integers, which reaches the device in one
copy; a few positions at the end may be left over (id 0, weight 0 in the loss), so that forms, which CUDA graphs are captured for,
are few.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

GROUPS = 8  # most that plain attention pads on a CPU, of sequences of like length


class Side(NamedTuple):
    """The sizes of one side of a batch, the same in all of its data streams."""

    positions: int  # N
    width: int  # no sequence is longer
    full: bool  # whether sequences are known to cover all positions
    whole: int  # positions of the whole batch, of which this may be a part
    groups: tuple[tuple[int, int], ...]  # (sequences, width) of each group that plain attention pads; fused attention has none


class Form(NamedTuple):
    """All that the computation of a batch depends on beside its numbers."""

    sequences: int  # B
    source: Side | None
    target: Side


class Layout(NamedTuple):
    """Where the sequences of one side lie among its N positions, in R replicas."""

    side: Side
    starts: Tensor  # (R, B)
    lengths: Tensor  # (R, B), with the strides of `starts`
    index: Tensor  # (R, N): the place of a position in the whole batch
    slots: Tensor | None = None  # (R, slots): the position that a slot of the padded groups shows
    places: Tensor | None = None  # (R, N): the slot that shows a position

    def groups(self, x: Tensor) -> list[Tensor]:
        """(R, N, C) -> the padded groups, each (R, sequences, width, C)."""
        slots = x if self.slots is None else _take(x, self.slots)
        parts = slots.split([count * width for count, width in self.side.groups], 1)
        return [part.unflatten(1, sizes) for part, sizes in zip(parts, self.side.groups, strict=True)]

    def gather(self, x: Tensor) -> Tensor:
        """Groups behind one another (R, slots, C) -> (R, N, C)."""
        return x if self.places is None else _take(x, self.places)


class Packed(NamedTuple):
    """Ids (R, N), and where their sequences lie."""

    ids: Tensor
    layout: Layout


class Batch(NamedTuple):
    """What a model reads and what it is to predict."""

    source: Packed | None
    inputs: Packed  # of the decoder: the labels, one place later
    labels: Tensor  # (R, N); 0 where there is nothing to predict
    rows: Tensor  # (R, N): the row of the padded batch that a label comes from


def dense(ids: Tensor) -> Packed:
    """Padded ids (R, B, T) as they are, a sequence at every T-th position."""
    replicas, batch, width = ids.shape
    starts = (torch.arange(batch, device=ids.device) * width).repeat(replicas, 1)
    index = torch.arange(batch * width, device=ids.device)
    side = Side(batch * width, width, False, batch * width, ((batch, width),))
    layout = Layout(side, starts, (ids != 0).sum(-1), index.expand(replicas, -1))
    return Packed(ids.flatten(1), layout)


def pack(
    source: np.ndarray | None, target: np.ndarray, *, rows: slice = slice(None), groups: int = 0, few_forms: bool = False
) -> tuple[Form, np.ndarray]:
    """Pack these `rows` of padded ids (streams, B, S) and (streams, B, T): the form, and a table (streams, columns) of int64.

    groups: how many plain attention pads, none for fused attention. few_forms: sizes are rounded up, positions by a sixteenth
    or to a multiple of 8, widths by more, which costs little.
    """
    sides = [target] if source is None else [source, target]
    lengths = [(ids != 0).sum(-1) for ids in sides]
    chosen = np.arange(target.shape[1])[rows][None].repeat(len(target), 0)
    if groups:  # of like length
        order = np.argsort(sum(count[:, rows] for count in lengths), axis=1, kind="stable")
        chosen = np.take_along_axis(chosen, order, 1)
    packers = [_Packer(ids, count, chosen, groups, few_forms) for ids, count in zip(sides, lengths, strict=True)]
    *first, last = packers
    columns = [column for packer in first for column in (packer.ids, *packer.layout())]
    columns += [last.shifted(), *last.layout(), last.ids, last.spread(chosen)]
    return Form(chosen.shape[1], first[0].side if first else None, last.side), np.concatenate(columns, axis=1)


class _Packer:
    """One side of a batch: ids (streams, B, T) of the `chosen` rows (streams, b), and what follows from their lengths."""

    def __init__(self, ids: np.ndarray, lengths: np.ndarray, chosen: np.ndarray, groups: int, few_forms: bool) -> None:
        streams = np.arange(len(ids))[:, None]
        self.lengths = lengths[streams, chosen]
        self.before = (np.cumsum(lengths, 1) - lengths)[streams, chosen]  # positions of earlier rows of the whole batch
        self.starts = np.cumsum(self.lengths, 1) - self.lengths
        self.totals = self.lengths.sum(1)
        positions, width, whole = (max(int(x.max()), 1) for x in (self.totals, self.lengths, lengths.sum(1)))
        if few_forms:
            positions, width, whole = _rounded(positions), _rounded_width(width), _rounded(whole)
        self.members = np.array_split(np.arange(chosen.shape[1]), groups) if groups else []
        widths = [width if few_forms else max(int(self.lengths[:, members].max(initial=1)), 1) for members in self.members]
        sizes = tuple((len(members), width) for members, width in zip(self.members, widths, strict=True))
        full = bool((self.lengths == width).all()) and width * chosen.shape[1] == positions  # by more than chance: forms are few
        self.side = Side(positions, width, full, whole, sizes)
        self.ids = self._empty()
        texts = ids[streams, chosen]
        for stream, total in enumerate(self.totals):
            self.ids[stream, :total] = texts[stream][texts[stream] != 0]
        self.places = np.arange(positions) - self.spread(self.starts)  # in its sequence; what is left over goes on from 0

    def _empty(self) -> np.ndarray:
        return np.zeros((len(self.lengths), self.side.positions), np.int64)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """A number of each sequence (streams, b) -> (streams, N): at each of its positions."""
        result = self._empty()
        for stream, total in enumerate(self.totals):
            result[stream, :total] = np.repeat(values[stream], self.lengths[stream])
        return result

    def shifted(self) -> np.ndarray:
        """Ids one place later, 0 at the start of each sequence (streams, N)."""
        result = self._empty()
        result[:, 1:] = self.ids[:, :-1]
        return np.where((self.places > 0) & (self.ids != 0), result, 0)

    def layout(self) -> list[np.ndarray]:
        """The columns of a `Layout`."""
        real = self.ids != 0
        index = np.where(real, self.spread(self.before) + self.places, 0)
        if not self.members:
            return [self.starts, self.lengths, index]
        slots, first, base = [], np.zeros_like(self.starts), 0
        for members, (count, width) in zip(self.members, self.side.groups, strict=True):
            place = np.minimum(np.arange(width), np.maximum(self.lengths[:, members, None] - 1, 0))
            slots.append(np.minimum(self.starts[:, members, None] + place, self.side.positions - 1).reshape(len(first), -1))
            first[:, members] = base + np.arange(count) * width
            base += count * width
        return [self.starts, self.lengths, index, *slots, np.where(real, self.spread(first) + self.places, 0)]


def _rounded(count: int) -> int:
    """Up to a multiple of a sixteenth of the power of 2 below, at least 8."""
    step = max(2 ** (count.bit_length() - 5), 8)
    return -(-count // step) * step


def _rounded_width(width: int) -> int:
    """Up to a power of 2, or a multiple of 64."""
    return -(-width // 64) * 64 if width > 64 else max(1 << (width - 1).bit_length(), 16)


def unpack(form: Form, table: Tensor) -> Batch:
    """The batch in a table (R, columns) that `pack` made; a view of it."""
    place = 0

    def take(count: int) -> Tensor:
        nonlocal place
        place += count
        return table[:, place - count : place]

    def side(what: Side) -> Packed:
        ids, starts, lengths, index = (take(n) for n in (what.positions, form.sequences, form.sequences, what.positions))
        if not what.groups:
            return Packed(ids, Layout(what, starts, lengths, index))
        slots, places = take(sum(count * width for count, width in what.groups)), take(what.positions)
        return Packed(ids, Layout(what, starts, lengths, index, slots, places))

    source = side(form.source) if form.source is not None else None
    return Batch(source, side(form.target), take(form.target.positions), take(form.target.positions))


def _take(x: Tensor, index: Tensor) -> Tensor:
    """Positions `index` (R, n) of x (R, N, C): (R, n, C)."""
    replicas, count = x.shape[:2]
    rows = index + torch.arange(replicas, device=x.device).unsqueeze(1) * count
    return x.flatten(0, 1).index_select(0, rows.flatten()).view(replicas, -1, x.shape[2])
