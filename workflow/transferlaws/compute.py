"""What a study is planned for: the device that trains. Changes nothing that is computed."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ComputeSettings(BaseModel):
    """What `transferlaws plan` and the jobs' time limits assume of the machines."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: Literal["cpu", "a100", "h100", "h200"] = Field("cpu", description="What a training job runs on: one core, or GPUs.")
    devices: int = Field(1, ge=1, description="How many of them a training job gets.")
    mfu: float | None = Field(
        None, gt=0, le=1, description="Share of the device's peak that training reaches; left out: what was measured for the width."
    )
    margin: float = Field(3.0, ge=1, description="A job may take this many times its estimate before its time limit.")
