"""What plain operations and kernels share: the form of the position bias, and constants."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

EPSILON = 1e-6  # of RMSNorm, as in T5


class Positions(NamedTuple):
    """The learned bias of a stack by offset, key - query."""

    table: Tensor  # (R, H, 2 × width - 1): offset + width - 1
    reach: int  # offsets at least so far share one entry, to either side


def diagonal_sums(x: Tensor) -> Tensor:
    """(..., n, n) -> (..., 2 × n - 1): entry column - row + n - 1 holds the sum of that diagonal."""
    n = x.shape[-1]
    # with n zeros behind each row, a row one place shorter than it is stored shifts each next one by a place
    padded = functional.pad(x.flip(-2), (0, n)).flatten(-2)
    return padded[..., : n * (2 * n - 1)].unflatten(-1, (n, 2 * n - 1)).sum(-2)
