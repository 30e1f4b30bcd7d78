"""Sentences about settings that cannot be: which one, its value, what can be."""

from dataclasses import dataclass

__all__ = ['SettingChecks']


@dataclass(frozen=True)
class SettingChecks:
    """Checks of the settings of one class.

    Attributes:
        owner: Name of the class, the first word of every sentence.
    """

    owner: str

    def choice(self, name: str, value: object, choices: tuple) -> None:
        """``value`` is one of ``choices``, else a ValueError."""
        if value not in choices:
            raise ValueError(
                f'{self.owner}: {name} is {value!r}, choose one of {", ".join(map(repr, choices))}'
            )

    def above(self, name: str, value: float, low: float, high: float) -> None:
        """``value`` lies above ``low`` and at most at ``high``, else a ValueError."""
        if not low < value <= high:
            raise ValueError(
                f'{self.owner}: {name} is {value}, give a number above {low} and at most {high}'
            )

    def at_least(self, name: str, value: float, low: float) -> None:
        """``value`` is ``low`` or more, else a ValueError."""
        if not value >= low:
            raise ValueError(f'{self.owner}: {name} is {value}, give at least {low}')
