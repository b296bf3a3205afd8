"""Several GPUs, tasks or nodes of a SLURM job: the stage starts itself again, a process on each, through torchrun."""

import logging
import os
import socket
import sys

from transferlaws.environment import SHARED
from transferlaws.training.job import in_job, this_job

PORTS = range(20_000, 30_000)
OF_THE_JOB = ("SLURM_JOB_ID", "SLURM_CLUSTER_NAME", "SLURM_CONF")

logger = logging.getLogger("transferlaws")


def relaunch() -> None:
    """Replace this process by torchrun if its SLURM job has more than one GPU, task or node; return where it has not.

    The rendezvous is this node, at a port that the job's number decides. Several jobs of one Snakemake on one node share what SLURM
    gave Snakemake, so none of them spreads.
    """
    if "WORLD_SIZE" in os.environ or not in_job() or SHARED in os.environ:
        return
    job = this_job(os.environ)
    if job.nodes * job.processes == 1:
        return
    # torchrun takes any unambiguous beginning of its own options for them, `--log` among them, unless `--` ends its own
    stage = ["-m", "--", "transferlaws", *sys.argv[1:]]
    torchrun = [sys.executable, "-m", "torch.distributed.run"]
    number = os.environ["SLURM_JOB_ID"]
    variables = dict(os.environ)
    if job.nodes == 1 and job.gpus:
        command = [*torchrun, "--nproc-per-node", str(job.gpus), "--standalone", *stage]
    else:
        # srun takes the variables of the step that it is started in for wishes, and that step has one node
        variables = {name: value for name, value in variables.items() if not name.startswith("SLURM_") or name in OF_THE_JOB}
        # this step has one task's cores on one node: another, over the whole job, lies beside it
        cores = int(os.environ.get("SLURM_CPUS_PER_TASK", "1")) * (1 if job.gpus else job.processes)
        command = ["srun", "--overlap", f"--nodes={job.nodes}", f"--ntasks={job.nodes}", "--ntasks-per-node=1"]
        # each node counts its own GPUs: SLURM may share them out unevenly
        counted = f'PET_NPROC_PER_NODE=${{SLURM_GPUS_ON_NODE:-{job.processes}}} exec "$@"'
        command += [f"--cpus-per-task={cores}", "sh", "-c", counted, "sh", *torchrun]
        command += ["--nnodes", str(job.nodes), "--rdzv-backend", "c10d", "--rdzv-id", number]
        command += ["--rdzv-endpoint", f"{socket.gethostname()}:{PORTS[int(number) % len(PORTS)]}", *stage]
    logger.info("[launch] %d nodes, %d processes on this one", job.nodes, job.processes)
    os.execvpe(command[0], command, variables)
