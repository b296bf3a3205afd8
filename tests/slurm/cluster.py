"""A real SLURM on loopback: munged, slurmctld and two slurmd, each with two fake GPUs, in a folder of its own."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "scontrol", "squeue", "sinfo")

CONFIG = """\
ClusterName=transferlaws
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
KillWait={kill_wait}
MinJobAge=300
# SLURM counts time limits in whole minutes and holds a requeued job for two: the tests cut both short with scontrol
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1_port} CPUs=4 RealMemory=16000 Gres=gpu:2 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2_port} CPUs=4 RealMemory=16000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=600 DefMemPerCPU=200 PriorityTier=1 GraceTime=0 State=UP
PartitionName=urgent Nodes=n1,n2 MaxTime=600 DefMemPerCPU=200 PriorityTier=10 PreemptMode=OFF State=UP
"""


def why_not() -> str | None:
    """Why SLURM cannot be started on this machine; None if it can."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=_path())]
    if missing:
        return f"no {', '.join(missing)} on this machine: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "starting SLURM's daemons and making its fake GPUs (mknod) needs root"
    return None


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60) -> object:
    """Poll until `condition` is true, and return its value; raise TimeoutError naming `what` otherwise."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.1)
    raise TimeoutError(f"waited {seconds:g} s for {what}")


class Cluster:
    """The daemons, as children of this process; `stop` ends them and their jobs and nothing else."""

    def __init__(self, folder: Path, kill_wait: int = 10) -> None:
        self.folder = folder
        self.daemons: list[subprocess.Popen] = []
        for name in ("state", "spool/n1", "spool/n2", "logs", "bin"):
            (folder / name).mkdir(parents=True)
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        gpus = []
        for number in range(4):
            gpus.append(folder / f"gpu{number}")
            os.mknod(gpus[-1], 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        self.config = folder / "slurm.conf"
        ports = dict(zip(("controller_port", "n1_port", "n2_port"), _free_ports(3), strict=True))
        host = socket.gethostname().split(".")[0]
        self.config.write_text(CONFIG.format(folder=folder, host=host, user=getpass.getuser(), kill_wait=kill_wait, **ports))
        (folder / "gres.conf").write_text(
            "".join(f"NodeName=n{1 + number // 2} Name=gpu File={gpu}\n" for number, gpu in enumerate(gpus))
        )
        (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        # The executor plugin removes SLURM_CONF inside jobs. A cluster has its config in /etc; this one has it in its programs.
        for name in ("srun", "scontrol"):
            wrapper = folder / "bin" / name
            wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self.config} exec {shutil.which(name)} "$@"\n')
            wrapper.chmod(0o755)
        self.environment: Mapping[str, str] = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_", "SNAKEMAKE_"))},
            "PATH": f"{folder / 'bin'}{os.pathsep}{_path()}",
            "SLURM_CONF": str(self.config),
            "TEST_CLUSTER": str(folder),  # tells the processes of its jobs from others
        }

    def start(self) -> None:
        """Start the daemons and wait until both nodes are idle."""
        folder = self.folder
        socket_file = folder / "munge.socket"
        self._daemon(
            *("munged", "--foreground", "--force", f"--key-file={folder}/munge.key", f"--socket={socket_file}"),
            *(f"--pid-file={folder}/munged.pid", f"--log-file={folder}/logs/munged.log", f"--seed-file={folder}/munge.seed"),
        )
        wait_for(socket_file.exists, "munged")
        self._daemon("slurmctld", "-D", "-c", "-f", str(self.config))
        for node in ("n1", "n2"):
            self._daemon("slurmd", "-D", "-N", node, "-f", str(self.config))
        try:
            wait_for(lambda: self.nodes() == {"n1": "idle", "n2": "idle"}, "two idle nodes")
        except TimeoutError as error:
            logs = "".join(f"--- {log.name}\n{log.read_text()[-2000:]}" for log in sorted((folder / "logs").iterdir()))
            raise RuntimeError(f"SLURM did not start ({error}):\n{logs}") from None

    def _daemon(self, *command: str) -> None:
        name = "-".join([command[0], *(part for part in command if part in ("n1", "n2"))])
        # the kernel stops the daemon should this process die without calling `stop`
        command = ("setpriv", "--pdeathsig", "TERM", *command)
        with open(self.folder / "logs" / f"{name}.output", "w") as log:
            daemon = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)
        self.daemons.append(daemon)

    def stop(self) -> None:
        """Cancel what runs, stop the daemons, last started first, and end processes of requeued jobs that SLURM forgot."""
        if len(self.daemons) > 1:
            self.cancel_all()
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def run(self, *command: str, seconds: float = 60) -> str:
        """A SLURM command's output."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=seconds)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def nodes(self) -> dict[str, str]:
        """The state of each node; empty while the controller does not answer."""
        try:
            lines = self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%N %T").splitlines()
        except (RuntimeError, subprocess.TimeoutExpired):
            return {}
        return dict(line.split() for line in lines)

    def jobs(self, state: str | None = None) -> dict[str, str]:
        """Comment (rule and wildcards, as the plugin writes it) of each unfinished job by its id."""
        lines = self.run("squeue", "-h", "-o", "%A|%T|%k").splitlines()
        rows = [line.split("|", 2) for line in lines]
        return {number: comment for number, found, comment in rows if state in (None, found)}

    def finished(self, comment: str) -> list[str]:
        """Ids of the finished jobs with a comment."""
        lines = self.run("squeue", "-h", "-t", "CD,CA,F,TO,NF,PR,OOM", "-o", "%A|%k").splitlines()
        return [number for number, _, found in (line.partition("|") for line in lines) if found == comment]

    def job(self, number: str, field: str) -> str:
        """One field of `scontrol show job`."""
        text = self.run("scontrol", "show", "job", number)
        return next(part.partition("=")[2] for part in text.split() if part.startswith(f"{field}="))

    def update(self, number: str, **fields: str) -> None:
        """Change a job: `update(number, StartTime="now")`."""
        self.run("scontrol", "update", f"JobId={number}", *(f"{name}={value}" for name, value in fields.items()))

    def _processes(self, *variables: str, command: str = "") -> list[int]:
        """Processes of this cluster's jobs, by what is in their environment and command line."""
        marks = {variable.encode() for variable in (f"TEST_CLUSTER={self.folder}", *variables)}
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = set((folder / "environ").read_bytes().split(b"\0"))
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it ended meanwhile
            # the test's own processes share the environment, but no job's number
            if marks <= environment and command in line and any(name.startswith(b"SLURM_JOB_ID=") for name in environment):
                found.append(int(folder.name))
        return found

    def signal(self, number: str, command: str, what: signal.Signals) -> bool:
        """Signal the processes of a job whose command line contains `command`; False if there are none."""
        processes = self._processes(f"SLURM_JOB_ID={number}", command=command)
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, what)
        return bool(processes)

    def end_time_limit(self, number: str) -> None:
        """Let a job reach its time limit."""
        self.update(number, EndTime="now")

    def fail_node(self, number: str) -> None:
        """Let the node of a job fail; SLURM kills and requeues what ran there. The daemon registers the node again by itself."""
        node = self.job(number, "NodeList")
        lost = [other for other in self.jobs("RUNNING") if self.job(other, "NodeList") == node]
        self.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
        for other in lost:  # a node that fails takes its processes with it
            self.signal(other, "", signal.SIGKILL)
        wait_for(lambda: number not in self.jobs("RUNNING"), f"job {number} to be requeued")
        wait_for(lambda: self.nodes()[node] in ("idle", "mixed", "allocated"), f"node {node} to come back")

    def preempt(self, number: str) -> None:
        """Submit a more important job that needs the whole node of a job; SLURM requeues what ran there."""
        node = self.job(number, "NodeList")
        self.run("sbatch", "-p", "urgent", "-w", node, "--exclusive", "-o", "/dev/null", "--comment=urgent", "--wrap=sleep 1")
        wait_for(lambda: "urgent" not in self.jobs().values(), "the urgent job to run")

    def release(self) -> None:
        """Start requeued jobs now: SLURM would hold them for two minutes, or for ever where their node was not ready for them."""
        soon = (datetime.now() + timedelta(seconds=5)).isoformat()
        for number in self.jobs("PENDING"):
            reason = self.job(number, "Reason")
            if reason == "BeginTime" and soon < self.job(number, "StartTime") < "9999":
                self.update(number, StartTime="now+3")  # time for the node to forget the earlier attempt
            elif "held" in reason:
                self.run("scontrol", "release", number)
        self._resume()

    def _resume(self) -> dict[str, str]:
        """Bring back nodes that SLURM drained because a requeued job met its earlier attempt there; the state of each node."""
        nodes = self.nodes()
        for node in (node for node, state in nodes.items() if state == "drained"):
            self.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
        return nodes

    def rest(self) -> None:
        """Cancel every job and wait until both nodes are idle."""
        self.cancel_all()
        wait_for(lambda: set(self._resume().values()) == {"idle"}, "two idle nodes")

    def cancel_all(self) -> None:
        """Cancel every job and wait until none is left."""
        self.run("scancel", "--user", getpass.getuser())
        wait_for(lambda: not self.jobs(), "the jobs to end")


def _path() -> str:
    """PATH with the system folders that daemons lie in."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
