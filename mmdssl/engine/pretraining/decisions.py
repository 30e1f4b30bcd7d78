"""What was decided for a run, in lines that a person reads and a config keeps."""

from dataclasses import dataclass, field

__all__ = ['Decision', 'Decisions']


@dataclass(frozen=True)
class Decision:
    """One setting of a run.

    Attributes:
        name: What was decided, e.g. ``'batch'``.
        value: As a person writes it.
        reason: Why, in one line.
    """

    name: str
    value: str
    reason: str


@dataclass
class Decisions:
    """Decisions in the order in which they were made."""

    made: list[Decision] = field(default_factory=list)

    def add(self, name: str, value: object, reason: str) -> None:
        """Note a decision."""
        self.made.append(Decision(name, str(value), reason))

    def __str__(self) -> str:
        width = max((len(one.name) for one in self.made), default=0)
        return '\n'.join(f'  {one.name:<{width}}  {one.value}: {one.reason}' for one in self.made)

    def as_config(self) -> dict[str, str]:
        """The entry ``decisions`` of a resolved config."""
        return {one.name: f'{one.value}: {one.reason}' for one in self.made}
