"""A hook for the test of two processes: the second one receives a signal."""

import os
import signal

from mmengine.hooks import Hook

from mmdssl.registry import HOOKS


@HOOKS.register_module()
class StopSecondProcess(Hook):
    def __init__(self, at: int) -> None:
        self.at = at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.rank == 1 and runner.iter == self.at:
            os.kill(os.getpid(), signal.SIGTERM)
