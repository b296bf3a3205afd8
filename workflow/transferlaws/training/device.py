"""Which device a stage computes on."""

import fcntl
import logging
import os
import tempfile
from itertools import count
from pathlib import Path

import torch

from transferlaws.environment import DEVICE
from transferlaws.errors import UserError
from transferlaws.training.job import VISIBLE, given_gpus, in_job

logger = logging.getLogger("transferlaws")


def choose_device() -> torch.device:
    """A GPU if there is one: of several, that which the fewest stages on this machine use; under torchrun, that of the process.

    On a CPU, denormals are flushed: moments that decay to nothing would slow every step. In a SLURM job a GPU is taken only
    if SLURM gave it; `UserError` if the study is planned for one and the job has none.
    """
    if not gpu_allowed() or not torch.cuda.is_available():
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


def gpu_allowed() -> bool:
    """False in a SLURM job without a GPU: what torch may see there belongs to other jobs. The log says so."""
    if not in_job() or given_gpus(os.environ):
        return True
    planned = os.environ.get(DEVICE, "cpu")
    how = "ask for one in the profile (`set-resources`: `gpu: 1`)"
    if planned != "cpu":
        raise UserError(
            f"the study's compute.device is {planned}, but SLURM gave job {os.environ['SLURM_JOB_ID']} no GPU: {how}, "
            f"or set compute.device to cpu. Where SLURM does not count GPUs, set {VISIBLE[0]} in the job."
        )
    logger.warning("this SLURM job has no GPU, so it computes on the CPU; %s if it should have one.", how)
    return False


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
