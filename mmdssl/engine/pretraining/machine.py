"""What a run has to work with."""

import os
from dataclasses import dataclass

import torch

__all__ = ['Machine', 'launcher_here']


@dataclass(frozen=True)
class Machine:
    """The machine as one process of a run sees it.

    Attributes:
        gpu: Name of its GPU; None without one.
        gpu_memory: Free bytes of it.
        bf16: Whether it computes in bfloat16 (a GPU that only imitates it does not).
        cores: CPU cores that this process may use, of those shared by all on the machine.
        processes: Processes of the run, over all machines.
    """

    gpu: str | None = None
    gpu_memory: int = 0
    bf16: bool = False
    cores: int = 1
    processes: int = 1

    @property
    def title(self) -> str:
        """For people."""
        return self.gpu or 'CPU'

    @staticmethod
    def look(launcher: str = 'none') -> 'Machine':
        """This one."""
        here = 1
        total = 1
        if launcher == 'pytorch':
            total = int(os.environ.get('WORLD_SIZE', 1))
            here = int(os.environ.get('LOCAL_WORLD_SIZE', total))
        elif launcher == 'slurm':
            total = int(os.environ.get('SLURM_NTASKS', 1))
            here = -(-total // int(os.environ.get('SLURM_NNODES', 1)))
        cores = max(_cores() // max(here, 1), 1)
        if not torch.cuda.is_available():
            return Machine(cores=cores, processes=total)
        index = int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()
        return Machine(
            gpu=torch.cuda.get_device_name(index),
            gpu_memory=torch.cuda.mem_get_info(index)[0],
            bf16=torch.cuda.is_bf16_supported(including_emulation=False),
            cores=cores,
            processes=total,
        )


def launcher_here() -> str:
    """``'pytorch'`` in a process that torchrun started, else ``'none'``."""
    started = all(name in os.environ for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'))
    return 'pytorch' if started else 'none'


def _cores() -> int:
    if hasattr(os, 'sched_getaffinity'):  # Linux: a container or scheduler may grant fewer
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
