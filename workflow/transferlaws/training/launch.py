"""Several GPUs or nodes of a SLURM job: the stage starts itself again, once a GPU, through torchrun."""

import os
import socket
import sys

PORTS = range(20_000, 30_000)


def relaunch() -> None:
    """Replace this process by torchrun if its SLURM job has more than one GPU or node; return where there is nothing to spread.

    The rendezvous is this node, which is the job's first, at a port that the job's number decides.
    """
    nodes, gpus = int(os.environ.get("SLURM_JOB_NUM_NODES", "1")), int(os.environ.get("SLURM_GPUS_ON_NODE", "1"))
    if "SLURM_STEP_ID" not in os.environ or "WORLD_SIZE" in os.environ or nodes * gpus == 1:
        return
    job = os.environ["SLURM_JOB_ID"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(gpus)]
    if nodes == 1:
        command = [*torchrun, "--standalone"]
    else:
        port = PORTS[int(job) % len(PORTS)]
        command = ["srun", "--overlap", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", *torchrun]
        command += ["--nnodes", str(nodes), "--rdzv-backend", "c10d", "--rdzv-id", job]
        command += ["--rdzv-endpoint", f"{socket.gethostname()}:{port}"]
    command += ["-m", "transferlaws", *sys.argv[1:]]
    os.execvp(command[0], command)
