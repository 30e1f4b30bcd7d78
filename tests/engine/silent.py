"""A hook for the test of the watch over ranks: the second process does not come back."""

import os
import signal
import time

from mmengine.hooks import Hook

from mmdssl.registry import HOOKS


@HOOKS.register_module()
class FallsSilent(Hook):
    def __init__(self, at: int, how: str) -> None:
        self.at, self.how = at, how

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.rank == 1 and runner.iter == self.at:
            time.sleep(3)  # the watch has seen it alive
            if self.how == 'stop':
                os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(10**6)
