"""Hooks of a run."""

from mmdssl.engine.hooks.bad_images import BadImagesHook
from mmdssl.engine.hooks.checkpoint import SafeCheckpointHook
from mmdssl.engine.hooks.coupling_hook import CouplingHook
from mmdssl.engine.hooks.finite_step import FiniteStepHook
from mmdssl.engine.hooks.health import RepresentationHealthHook
from mmdssl.engine.hooks.object_knn_hook import ObjectKNNHook
from mmdssl.engine.hooks.over_clustering_hook import InContextHook, OverClusteringHook
from mmdssl.engine.hooks.precise_batch_norm import PreciseBatchNormHook
from mmdssl.engine.hooks.random_state import RandomStateHook
from mmdssl.engine.hooks.rank_watchdog import RankWatchdogHook
from mmdssl.engine.hooks.runtime_info import DeferredRuntimeInfoHook
from mmdssl.engine.hooks.step_timer import StepTimerHook
from mmdssl.engine.hooks.teacher_update import TeacherUpdateHook

__all__ = [
    'BadImagesHook',
    'CouplingHook',
    'DeferredRuntimeInfoHook',
    'FiniteStepHook',
    'InContextHook',
    'ObjectKNNHook',
    'OverClusteringHook',
    'PreciseBatchNormHook',
    'RandomStateHook',
    'RankWatchdogHook',
    'RepresentationHealthHook',
    'SafeCheckpointHook',
    'StepTimerHook',
    'TeacherUpdateHook',
]
