# What every fine-tuning run of mmseg shares. mmseg's own base files cannot be inherited as
# 'mmseg::...' from its maintained distribution, so they stand here.
default_scope = 'mmseg'
custom_imports = dict(imports=['mmdssl'], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='mmdssl.SafeCheckpointHook', by_epoch=False, interval=16000, max_keep_ckpts=2
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    rank_watch=dict(type='mmdssl.RankWatchdogHook'),
)
custom_hooks = [dict(type='mmdssl.RandomStateHook')]
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0, diff_rank_seed=True)
visualizer = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
