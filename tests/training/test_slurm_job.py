"""What SLURM gave a job: its GPUs are taken, and no others."""

import pytest

from transferlaws.errors import PassingError, UserError
from transferlaws.training import job

PLUGIN = {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1"}  # what the executor plugin leaves to a step


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A job whose `scontrol` says what a test wants."""

    def answer(text: str, status: int = 0, **variables: str) -> None:
        (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho '{text}'\nexit {status}\n")
        (tmp_path / "scontrol").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        for name in (*job.VISIBLE, "SLURM_GPUS_ON_NODE", job.DEVICE):
            monkeypatch.delenv(name, raising=False)
        for name, value in {**PLUGIN, **variables}.items():
            monkeypatch.setenv(name, value)

    return answer


def test_nodes_and_tasks_are_those_of_the_job_not_of_the_step(slurm):
    slurm("JobId=7 NumNodes=2 NumCPUs=8 NumTasks=4 CPUs/Task=2 ReqB:S:C:T=0:0:*:*")
    found = job.this_job({**PLUGIN, "SLURM_NNODES": "1", "SLURM_NTASKS": "1"})
    assert found == job.Job(nodes=2, tasks=4, gpus=0)
    assert found.processes == 2
    assert job.this_job({**PLUGIN, "SLURM_GPUS_ON_NODE": "4"}).processes == 4
    assert job.this_job({**PLUGIN, "CUDA_VISIBLE_DEVICES": "0,3"}).processes == 2


def test_a_job_that_cannot_be_asked_about_fails_aloud(slurm):
    slurm("error", status=1)
    with pytest.raises(PassingError, match="does not say how many nodes job 7 has"):
        job.this_job(PLUGIN)


def test_a_gpu_that_slurm_did_not_give_is_not_taken(slurm):
    slurm("")
    assert not job.gpu_given()
    slurm("", CUDA_VISIBLE_DEVICES="NoDevFiles")
    assert not job.gpu_given()
    slurm("", CUDA_VISIBLE_DEVICES="1")
    assert job.gpu_given()
    slurm("", SLURM_GPUS_ON_NODE="1")
    assert job.gpu_given()


def test_a_study_planned_for_gpus_is_not_trained_on_a_cpu(slurm, monkeypatch):
    slurm("", **{job.DEVICE: "h100"})
    with pytest.raises(UserError, match=r"compute\.device is h100, but SLURM gave job 7 no GPU"):
        job.check_gpu()
    slurm("", **{job.DEVICE: "cpu"})
    job.check_gpu()
    slurm("", CUDA_VISIBLE_DEVICES="0", **{job.DEVICE: "h100"})
    job.check_gpu()
    monkeypatch.delenv("SLURM_JOB_ID")
    assert job.gpu_given()
