# Small runs by iterations: three checkpoints, of which the last stays.
_base_ = './detection_runtime.py'

default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)
