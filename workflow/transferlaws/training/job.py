"""What SLURM gave the job that this process runs in."""

import logging
import os
import re
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from transferlaws.environment import DEVICE, SHARED
from transferlaws.errors import PassingError, UserError

VISIBLE = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")

logger = logging.getLogger("transferlaws")


class Job(NamedTuple):
    """What SLURM gave this job: nodes, tasks on all of them, GPUs on this node."""

    nodes: int = 1
    tasks: int = 1
    gpus: int = 0

    @property
    def processes(self) -> int:
        """Processes on this node: one a GPU, without GPUs one a task."""
        return self.gpus or max(self.tasks // self.nodes, 1)


def in_job() -> bool:
    """True on a node that SLURM gave this process; false on the login node, also inside `salloc`."""
    return "SLURM_JOB_ID" in os.environ and "SLURMD_NODENAME" in os.environ


def this_job(variables: Mapping[str, str]) -> Job:
    """The job that the variables tell of. SLURM is asked for nodes and tasks: a job step's own variables speak of the step alone.

    `PassingError` if SLURM does not answer: a job of several nodes would train on one of them and keep the others.
    """
    command = ["scontrol", "show", "job", "--oneliner", variables["SLURM_JOB_ID"]]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        found = dict(re.findall(r"\b(NumNodes|NumTasks)=(\d+)", done.stdout))
        return Job(int(found["NumNodes"]), int(found["NumTasks"]), given_gpus(variables))
    except (OSError, subprocess.SubprocessError, KeyError) as error:
        said = getattr(error, "stderr", None) or error
        raise PassingError(
            f"SLURM does not say how many nodes job {variables['SLURM_JOB_ID']} has (`{' '.join(command)}`: {said}). Make "
            f"`scontrol` work inside jobs, or set {SHARED}=1 to train in this process alone."
        ) from None


def given_gpus(variables: Mapping[str, str]) -> int:
    """GPUs of this node that SLURM gave the job."""
    if count := variables.get("SLURM_GPUS_ON_NODE"):
        return int(count)
    visible = next((variables[name] for name in VISIBLE if variables.get(name)), "")
    return len([gpu for gpu in visible.split(",") if gpu and gpu not in ("-1", "NoDevFiles")])


def gpu_given() -> bool:
    """False in a SLURM job without a GPU: what torch sees there belongs to other jobs."""
    if not in_job() or given_gpus(os.environ):
        return True
    logger.warning("this machine's GPUs are other jobs': SLURM gave this one none, so it computes on the CPU.")
    return False


def check_gpu() -> None:
    """`UserError` in a SLURM job without a GPU where the study is planned for one: its time limit is reckoned for that."""
    planned = os.environ.get(DEVICE, "cpu")
    if planned == "cpu" or not in_job() or given_gpus(os.environ):
        return
    how = "ask for one in the profile (`set-resources`: `gpu: 1`)"
    raise UserError(
        f"the study's compute.device is {planned}, but SLURM gave job {os.environ['SLURM_JOB_ID']} no GPU: {how}, "
        f"or set compute.device to cpu. Where SLURM does not count GPUs, set {VISIBLE[0]} in the job."
    )
