"""Is the representation alive? A few numbers beside the loss, and one sentence when it is not."""

import json
import math
import statistics
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmdssl.engine.unwrap import unwrap_model
from mmdssl.evaluation.features import dense_map
from mmdssl.evaluation.guards import evaluating, preserve_rng_state
from mmdssl.evaluation.health import effective_rank, feature_spread
from mmdssl.registry import HOOKS

__all__ = ['RepresentationHealthHook']

_CELLS = 8  # places of an image that count, per image


@HOOKS.register_module()
class RepresentationHealthHook(Hook):
    """Measures features, teacher and gradients every ``interval`` iterations on the training batch.

    - ``health/spread``: 1 for features that point everywhere, 0 if all are equal
      (:func:`feature_spread`), over places of the first view of up to ``num_images`` images.
    - ``health/rank``: effective rank of the same features (:func:`effective_rank`).
    - ``health/grad_norm``: norm of all gradients as the optimizer gets them.
    - what the host reports by ``health(images)``, e.g. ``teacher_entropy`` and ``center_norm``.

    The numbers go to the visualizer, the message hub, one line of the log and one line of
    ``work_dir/health.jsonl``. A collapse (spread or rank too low, teacher on one prototype or on
    all alike) that lasts ``patience`` measurements, and a divergence (a loss or gradient that is
    not finite, or a gradient ``max_growth`` times its median so far) give one warning each. The
    run goes on, and is left as it was: modes, random states, parameters.

    Args:
        interval: Iterations between measurements.
        num_images: Images of the batch that are looked at.
        min_spread: Spread below which features count as collapsed.
        min_rank: Effective rank below which they do.
        teacher_entropy: Least healthy entropy of the teacher's mean distribution, as a share of
            the uniform one's: below, all images get one prototype.
        max_image_entropy: Largest healthy entropy of a single image's distribution.
        max_growth: See above.
        patience: Measurements in a row before a collapse is reported.

    Raises:
        ValueError: If ``interval``, ``num_images`` or ``patience`` is below 1.
    """

    priority = 'LOW'

    def __init__(
        self,
        *,
        interval: int = 50,
        num_images: int = 32,
        min_spread: float = 0.02,
        min_rank: float = 2.0,
        teacher_entropy: float = 0.05,
        max_image_entropy: float = 0.9999,
        max_growth: float = 100.0,
        patience: int = 2,
    ) -> None:
        for name, value in dict(
            interval=interval, num_images=num_images, patience=patience
        ).items():
            if value < 1:
                raise ValueError(f'RepresentationHealthHook: {name}={value} must be at least 1')
        self.interval = interval
        self.num_images = num_images
        self.limits = dict(
            spread=min_spread,
            rank=min_rank,
            teacher_entropy=teacher_entropy,
            image_entropy=max_image_entropy,
        )
        self.max_growth = max_growth
        self.patience = patience
        self._gradient: Tensor | None = None
        self._gradients: list[float] = []
        self._in_a_row: dict[str, int] = {}
        self._warned: set[str] = set()
        self._due = False

    def before_train(self, runner: Runner) -> None:
        """Ask the optimizer to show its gradients before a step."""
        optimizer = runner.optim_wrapper.optimizer
        self._handle = optimizer.register_step_pre_hook(self._see_gradients)
        self._path = Path(runner.work_dir) / 'health.jsonl'
        if is_main_process() and runner.iter == 0:
            self._path.unlink(missing_ok=True)

    def after_train(self, runner: Runner) -> None:
        """Stop looking."""
        self._handle.remove()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Whether this iteration is measured."""
        self._due = self.every_n_train_iters(runner, self.interval)
        self._gradient = None

    def _see_gradients(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._due:
            gradients = [
                p.grad
                for group in optimizer.param_groups
                for p in group['params']
                if p.grad is not None
            ]
            if gradients:
                self._gradient = torch.stack(torch._foreach_norm(gradients)).norm()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Measure, report, warn."""
        if not self._due or not is_main_process():
            return
        numbers = self.measure(unwrap_model(runner.model), data_batch)
        if self._gradient is not None:
            numbers['grad_norm'] = float(self._gradient)
        named = {f'health/{name}': value for name, value in numbers.items()}
        for name, value in named.items():
            runner.message_hub.update_scalar(name, value)
        runner.visualizer.add_scalars(named, step=runner.iter + 1)
        runner.logger.info('  '.join(f'{name}: {value:.4g}' for name, value in named.items()))
        with self._path.open('a') as file:
            file.write(json.dumps(dict(iter=runner.iter + 1, **numbers)) + '\n')
        loss = (outputs or {}).get('loss')
        total = None if loss is None else float(torch.as_tensor(loss).detach())
        for kind, sentence in self.complaints(numbers, total):
            if kind not in self._warned:
                self._warned.add(kind)
                runner.logger.warning(f'iteration {runner.iter + 1}: {sentence}')

    def measure(self, model: Any, data_batch: dict) -> dict[str, float]:
        """The numbers of one batch, by name without ``health/``."""
        inputs = data_batch['inputs']
        images = inputs['views'][0] if isinstance(inputs, dict) else inputs
        batch = dict(inputs=images[: self.num_images])
        with preserve_rng_state(), evaluating(model):
            images = model.data_preprocessor(batch, False)['inputs']
            maps = dense_map(model.get_backbone(), images, upsample_c4=False)  # (n, C, h, w)
            cells = maps.flatten(2)
            step = max(1, cells.shape[2] // _CELLS)
            places = cells[:, :, ::step].transpose(1, 2).flatten(0, 1)  # (n * cells, C)
            numbers = dict(spread=feature_spread(places), rank=effective_rank(places))
            if hasattr(model, 'health'):
                numbers.update({name: float(value) for name, value in model.health(images).items()})
        return numbers

    def complaints(self, numbers: dict[str, float], loss: float | None) -> list[tuple[str, str]]:
        """What is wrong with these numbers: pairs of a kind and a sentence."""
        found = self._divergence(numbers, loss)
        for kind, sentence in _collapse(numbers, self.limits).items():
            count = self._in_a_row.get(kind, 0) + 1 if sentence else 0
            self._in_a_row[kind] = count
            if count >= self.patience:
                found.append((kind, sentence))
        return found

    def _divergence(self, numbers: dict[str, float], loss: float | None) -> list[tuple[str, str]]:
        gradient = numbers.get('grad_norm', 0.0)
        if (loss is not None and not math.isfinite(loss)) or not math.isfinite(gradient):
            return [
                (
                    'divergence',
                    f'the run has diverged: loss {loss}, gradient norm {gradient}; lower the '
                    'learning rate, lengthen its warm-up, or use bfloat16 instead of float16',
                )
            ]
        usual = statistics.median(self._gradients) if len(self._gradients) >= 5 else math.inf
        self._gradients.append(gradient)
        if gradient > self.max_growth * usual > 0:
            return [
                (
                    'gradient',
                    f'the gradient norm {gradient:.3g} is {gradient / usual:.0f} times its median '
                    'so far: the run is about to diverge; lower the learning rate or clip '
                    'gradients',
                )
            ]
        return []


def _collapse(numbers: dict[str, float], limits: dict[str, float]) -> dict[str, str]:
    """By kind of collapse the sentence about it, empty where there is none."""
    spread, rank = numbers['spread'], numbers['rank']
    sentences = dict(spread='', teacher='', uniform='')
    if spread < limits['spread'] or rank < limits['rank']:
        sentences['spread'] = (
            f'the features have collapsed: spread {spread:.3g} (healthy: above '
            f'{limits["spread"]:g}), effective rank {rank:.3g} (above {limits["rank"]:g}); every '
            'place looks alike to the backbone, check learning rate, teacher momentum and '
            'temperature'
        )
    entropy = numbers.get('teacher_entropy', 1.0)
    if entropy < limits['teacher_entropy']:
        sentences['teacher'] = (
            f'the teacher gives all images one prototype (entropy {entropy:.3g} of the uniform '
            "distribution's): raise its temperature or lower the momentum of the centre"
        )
    single = numbers.get('teacher_image_entropy', 0.0)
    if single > limits['image_entropy']:
        sentences['uniform'] = (
            f'the teacher prefers no prototype for any image (entropy {single:.5f} of the uniform '
            "distribution's): lower its temperature or weaken the colour jitter"
        )
    return sentences
