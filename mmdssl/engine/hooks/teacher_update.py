"""The teacher follows the student after each optimizer step."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdssl.engine.finite.guard import StepGuard
from mmdssl.engine.unwrap import unwrap_model
from mmdssl.registry import HOOKS

__all__ = ['TeacherUpdateHook']


@HOOKS.register_module()
class TeacherUpdateHook(Hook):
    """Calls ``model.update_teacher()`` once per optimizer step.

    Under gradient accumulation that is once per accumulated step, not per batch.
    A step that was taken back because it is not finite (``FiniteStepHook``), those of
    a float16 loss scaler included, does not move the teacher: the student has not
    moved either. (The official iBOT code moves it then.)
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
        if not self._has_teacher or not runner.optim_wrapper.should_update():
            return
        guard: StepGuard | None = getattr(runner.optim_wrapper, 'step_guard', None)
        if guard is None:
            unwrap_model(runner.model).update_teacher()
        else:
            guard.update_teacher()
