# What every fine-tuning run of mmdet shares: its own runtime with the checkpoints of this package,
# which are whole or not there, plain data, and resume exactly.
_base_ = 'mmdet::_base_/default_runtime.py'

custom_imports = dict(imports=['mmdssl'], allow_failed_imports=False)
default_hooks = dict(
    checkpoint=dict(_delete_=True, type='mmdssl.SafeCheckpointHook', interval=1, max_keep_ckpts=2),
    rank_watch=dict(type='mmdssl.RankWatchdogHook'),
)
custom_hooks = [dict(type='mmdssl.RandomStateHook')]
randomness = dict(seed=0, diff_rank_seed=True)
