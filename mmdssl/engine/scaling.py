"""Hours that a run would take on more processes, from the time of a step on this one.

The images stay the same and are divided among more processes, each of which does what the measured
one did: its own batch, its own workers. What is added is the exchange of gradients by a ring, of
which a part is hidden behind the backward pass.
"""

from dataclasses import dataclass

__all__ = ['Links', 'hours_on']


@dataclass(frozen=True)
class Links:
    """What a cluster is assumed to be.

    Attributes:
        per_machine: Processes of a machine.
        inside: Bytes per second and process within a machine.
        between: Bytes per second and process between machines.
        hidden: Share of the exchange that the backward pass hides, 0 to 1.
    """

    per_machine: int = 8
    inside: float = 100e9
    between: float = 12.5e9
    hidden: float = 0.5

    def __str__(self) -> str:
        return (
            f'{self.per_machine} a machine, gradients at {self.inside / 1e9:g} GB/s within and '
            f'{self.between / 1e9:g} GB/s between machines, {self.hidden:.0%} of that hidden'
        )

    def exchange(self, processes: int, gradient_bytes: int) -> float:
        """Seconds that a step of so many processes waits for its gradients: a ring all-reduce."""
        rate = self.inside if processes <= self.per_machine else self.between
        return (1 - self.hidden) * 2 * (processes - 1) / processes * gradient_bytes / rate


def hours_on(
    processes: int,
    *,
    images: int,
    batch: int,
    seconds: float,
    gradient_bytes: int,
    links: Links | None = None,
) -> float:
    """Hours for as many images.

    Args:
        processes: How many.
        images: That the run takes from the data, over all epochs.
        batch: Images of one process and step.
        seconds: Of a step of one process, waiting for data included.
        gradient_bytes: Of all that is trained.
        links: Between the processes; default: those of :class:`Links`.

    Returns:
        Evaluations and the start not counted.
    """
    steps = -(-images // (batch * processes))
    waits = (links or Links()).exchange(processes, gradient_bytes)
    return steps * (seconds + waits) / 3600
