# Runs of a few hundred iterations on a CPU: all intervals count iterations, and O-KNN is measured
# at the start, in the middle and at the end.
_base_ = '../default_runtime.py'

custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=125, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)
