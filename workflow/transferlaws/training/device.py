"""Which device a stage computes on."""

import fcntl
import os
import tempfile
from itertools import count
from pathlib import Path

import torch

from transferlaws.training.job import check_gpu, gpu_given


def choose_device() -> torch.device:
    """A GPU if there is one: of several, that which the fewest stages on this machine use; under torchrun, that of the process.

    On a CPU, denormals are flushed: moments that decay to nothing would slow every step. In a SLURM job a GPU is taken only
    if SLURM gave it; `UserError` if the study is planned for one and the job has none.
    """
    check_gpu()
    if not torch.cuda.is_available() or not gpu_given():
        torch.set_flush_denormal(True)
        return torch.device("cpu")
    number = torch.cuda.device_count()
    if number == 1:
        return torch.device("cuda")
    if "LOCAL_RANK" in os.environ:
        index = int(os.environ["LOCAL_RANK"])
    else:
        index = least_used([str(torch.cuda.get_device_properties(gpu).uuid) for gpu in range(number)])
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def least_used(gpus: list[str]) -> int:
    """Place in the list of the GPU whose name the fewest running processes hold; this one then holds it until it ends.

    The n-th process of a GPU holds the lock of its n-th file, which the kernel gives up with the process, however that ends.
    """
    folder = Path(tempfile.gettempdir())
    return next(
        index for already in count() for index, gpu in enumerate(gpus) if _held(folder / f"transferlaws-{gpu}-{already}.lock")
    )


def _held(path: Path) -> bool:
    """Take the lock of a file until this process ends; False if another process has it."""
    if not path.exists():
        path.touch()
    descriptor = os.open(path, os.O_RDONLY)  # the file may be another user's
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True
