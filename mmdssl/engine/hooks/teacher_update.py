"""The teacher follows the student after each optimizer step."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdssl.engine.unwrap import unwrap_model
from mmdssl.registry import HOOKS

__all__ = ['TeacherUpdateHook']


@HOOKS.register_module()
class TeacherUpdateHook(Hook):
    """Calls ``model.update_teacher()`` once per optimizer step.

    Under gradient accumulation that is once per accumulated step, not per batch.
    A step that a float16 loss scaler skipped counts, as in the official iBOT code.
    Runs before the hooks that evaluate the teacher or save it.
    """

    priority = 'ABOVE_NORMAL'

    def before_train(self, runner: Runner) -> None:
        """See whether there is a teacher."""
        model = unwrap_model(runner.model)
        self._has_teacher = hasattr(model, 'update_teacher')
        if not self._has_teacher:
            runner.logger.info(
                f'{type(model).__name__} has no update_teacher(): TeacherUpdateHook does nothing'
            )

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Update the teacher if this iteration ended with a step."""
        if self._has_teacher and runner.optim_wrapper.should_update():
            unwrap_model(runner.model).update_teacher()
