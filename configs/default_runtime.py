# What every run shares. A config that needs more hooks appends to the list, because a list in a
# child config replaces that of its base:
#     custom_hooks = [*_base_.custom_hooks, dict(type='ObjectKNNHook', interval=10)]
# TensorBoard files are written by mmdssl train where tensorboard is installed.
default_scope = 'mmdssl'

default_hooks = dict(
    runtime_info=dict(type='DeferredRuntimeInfoHook'),
    timer=dict(type='StepTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='SafeCheckpointHook', interval=10, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # A step that is not finite leaves no trace; three in a row end the run.
    finite=dict(type='FiniteStepHook', patience=3),
    # By name: entries of custom_hooks keep the numbers by which --cfg-options knows them.
    rank_watch=dict(type='RankWatchdogHook'),
)
custom_hooks = [
    dict(type='RandomStateHook'),
    dict(type='TeacherUpdateHook'),
    dict(type='BadImagesHook'),
]

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
# Every process draws its own colours and masks; the order of the images is common to all.
randomness = dict(seed=0, diff_rank_seed=True)

log_level = 'INFO'
log_processor = dict(type='TrainingLog', window_size=10, by_epoch=True)
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])

load_from = None
resume = False
