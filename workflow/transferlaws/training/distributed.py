"""Several GPUs of one node under torchrun: copies of the model that share each batch, or one model whose parameters are sharded.

    torchrun --nproc-per-node 8 -m transferlaws pretrain ...

Either way every process makes the same batches and takes its rows of each: the result is that of one process, up to rounding.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor

from transferlaws.errors import UserError
from transferlaws.model.transformer import Transformer

if TYPE_CHECKING:  # half a second to import, needed under torchrun only
    from torch.distributed.device_mesh import DeviceMesh


@dataclass
class World:
    """The processes that train one model together."""

    rank: int
    size: int
    device: torch.device
    mesh: "DeviceMesh | None" = None

    @classmethod
    def join(cls, device: torch.device) -> "World":
        """The processes that torchrun started; a world of one where it did not."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls(0, 1, device)
        from torch.distributed.device_mesh import init_device_mesh

        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")  # votes are counted on the host
        mesh = init_device_mesh(device.type, (size,))
        return cls(dist.get_rank(), size, device, mesh)

    @property
    def first(self) -> bool:
        """True in the one process that writes files."""
        return self.rank == 0

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()

    def any(self, flag: bool) -> bool:
        """True in every process if it is true in one."""
        if self.size == 1:
            return flag
        votes = torch.tensor(float(flag))
        dist.all_reduce(votes)
        return bool(votes > 0)

    def sum(self, tensors: list[Tensor]) -> None:
        """Sum each tensor over the processes, in place; on GPUs they must be contiguous."""
        if self.size > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def replicated(self, tensor: Tensor) -> Tensor:
        """A tensor that every process holds whole, in the form that computes with sharded ones."""
        from torch.distributed.tensor import DTensor, Replicate

        return DTensor.from_local(tensor, self.mesh, [Replicate()], run_check=False)


def shard(model: Transformer, world: World) -> None:
    """Split every parameter, and so its gradient and its optimiser's state, over the processes (FSDP2); `model.dtype` must be set.

    Axis 1 is split: the layers of a stack, the rows of the vocabulary. All parameters are gathered at once for a step, in the type
    of computation: 6 GB at 3B parameters in bf16.
    """
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    from torch.distributed.tensor import Shard

    for name, parameter in model.named_parameters():
        if parameter.shape[1] % world.size:
            raise UserError(
                f"{name} has {parameter.shape[1]} rows, which {world.size} processes cannot share evenly. Use a divisor."
            )
    policy = MixedPrecisionPolicy(param_dtype=model.dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    fully_shard(model, mesh=world.mesh, shard_placement_fn=lambda _: Shard(1), mp_policy=policy)


def is_sharded(tensor: Tensor) -> bool:
    """True for a DTensor."""
    return hasattr(tensor, "full_tensor")


def gather(tensor: Tensor) -> Tensor:
    """All of a tensor that may be sharded; every process must call it."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor


@torch.no_grad()
def scatter(target: Tensor, source: Tensor) -> None:
    """Copy a whole tensor into one that may be sharded."""
    if is_sharded(target):
        from torch.distributed.tensor import distribute_tensor

        source = distribute_tensor(source.to(target.device, target.dtype), target.device_mesh, target.placements)
    target.copy_(source)
