"""A line of the log: how the losses are, how fast it goes, when it ends."""

import datetime
import logging
from typing import Any

from mmengine.runner import LogProcessor, Runner

from mmdssl.engine.hooks.step_timer import StepTimerHook
from mmdssl.registry import LOG_PROCESSORS

__all__ = ['TrainingLog', 'keep_pages_off_the_terminal']

# How mmengine's pages on environment, config and hooks begin, and a line it repeats every epoch.
_PAGES = ('\n' + '-' * 60, 'Config:\n', 'Hooks will be executed', 'Exp name:')


@LOG_PROCESSORS.register_module()
class TrainingLog(LogProcessor):
    """mmengine's ``LogProcessor`` with the figures of a :class:`StepTimerHook`, where there is one.

    The line of a training step ends with images a second (of all processes), the share of the time
    spent waiting for data, model-FLOP utilisation where the peak of the device is known, and the
    time left. Curves and ``scalars.json`` get them under the names of `StepTimerHook.report`.
    """

    def get_log_after_iter(self, runner: Runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        """See mmengine."""
        tag, text = super().get_log_after_iter(runner, batch_idx, mode)
        timer = next((hook for hook in runner.hooks if isinstance(hook, StepTimerHook)), None)
        if mode != 'train' or timer is None:
            return tag, text
        figures = timer.report(runner)
        return {**tag, **figures}, '  '.join([text.rstrip(), *_words(figures)])


def _words(figures: dict[str, float]) -> list[str]:
    """Figures as a person reads them."""
    words = []
    if 'images_per_second' in figures:
        words.append(f'{figures["images_per_second"]:.4g} images/s')
        words.append(f'{figures["waiting_for_data"]:.0%} waiting for data')
    if 'mfu' in figures:
        words.append(f'MFU {figures["mfu"]:.1%}')
    if 'seconds_left' in figures:
        words.append(f'{datetime.timedelta(seconds=round(figures["seconds_left"]))} left')
    return words


def keep_pages_off_the_terminal(logger: logging.Logger) -> None:
    """Environment, config and order of the hooks go to the log file alone."""
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(
            handler, logging.FileHandler
        ):
            handler.addFilter(_is_no_page)


def _is_no_page(record: Any) -> bool:
    return record.levelno != logging.INFO or not record.getMessage().startswith(_PAGES)
