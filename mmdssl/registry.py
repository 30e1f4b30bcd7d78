"""Registries of scope ``mmdssl``, nested under those of mmpretrain.

A child registry first looks among its own names and then asks its parent, so
inside the scope ``mmdssl`` an inherited mmpretrain config resolves without
prefixes, and any OpenMMLab config may name our components as ``mmdssl.X``
after ``custom_imports=dict(imports=['mmdssl'])``.

Each registry names the modules that register into it (``locations``); they
are imported on the first look-up, which keeps ``import mmdssl`` light. What needs mmdet or mmseg
(``optional``) is imported when it is asked for by name.
"""

from collections.abc import Mapping
from importlib import import_module

from mmengine.registry import FUNCTIONS as ROOT_FUNCTIONS
from mmengine.registry import Registry
from mmpretrain import registry as parent

from mmdssl.compat import hide_new_transformers

hide_new_transformers()  # whatever imports a model of mmpretrain by way of a registry comes later

__all__ = [
    'DATASETS',
    'DATA_SAMPLERS',
    'EVALUATORS',
    'FUNCTIONS',
    'HOOKS',
    'LOG_PROCESSORS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'MODEL_WRAPPERS',
    'OPTIMIZERS',
    'OPTIM_WRAPPERS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'PARAM_SCHEDULERS',
    'RUNNERS',
    'TRANSFORMS',
    'VISBACKENDS',
    'VISUALIZERS',
    'WEIGHT_INITIALIZERS',
]


class _Child(Registry):
    """A registry that imports the module of an optional component when its name is asked for."""

    def __init__(self, *args: object, optional: Mapping[str, str], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._optional = dict(optional)

    def get(self, key: str) -> type | None:
        """The component; imports its module first where it is an optional one.

        Raises:
            ImportError: If what the module needs does not work here.
        """
        module = self._optional.get(str(key).removeprefix('mmdssl.'))
        if module is not None:
            import_module(module)
        return super().get(key)


def _child(
    name: str,
    parent_registry: Registry,
    *locations: str,
    optional: Mapping[str, str] | None = None,
) -> Registry:
    """A registry ``name`` of scope mmdssl under ``parent_registry``.

    It is entered in the root registry as well: a registry asked for ``mmdssl.X``
    by another scope (mmdet, mmseg) passes the question to the root, which looks
    among its direct children only.
    """
    child = _Child(
        name,
        parent=parent_registry,
        scope='mmdssl',
        locations=list(locations),
        optional=optional or {},
    )
    root = parent_registry
    while root.parent is not None:
        root = root.parent
    root.children.setdefault('mmdssl', child)
    return child


MODELS = _child(
    'model',
    parent.MODELS,
    'mmdssl.models',
    'mmdssl.evaluation.extractors',
    optional={'DenseProbe': 'mmdssl.transfer.dense_probe'},
)
DATASETS = _child(
    'dataset',
    parent.DATASETS,
    'mmdssl.datasets',
    optional={'VOCDetection': 'mmdssl.transfer.voc'},
)
DATA_SAMPLERS = _child('data sampler', parent.DATA_SAMPLERS, 'mmdssl.datasets')
TRANSFORMS = _child('transform', parent.TRANSFORMS, 'mmdssl.datasets')
METRICS = _child('metric', parent.METRICS, 'mmdssl.evaluation')
HOOKS = _child('hook', parent.HOOKS, 'mmdssl.engine.hooks')
OPTIMIZERS = _child('optimizer', parent.OPTIMIZERS, 'mmdssl.engine.optimizers')
OPTIM_WRAPPERS = _child('optimizer wrapper', parent.OPTIM_WRAPPERS, 'mmdssl.engine.optimizers')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'optimizer wrapper constructor', parent.OPTIM_WRAPPER_CONSTRUCTORS, 'mmdssl.engine.optimizers'
)
LOG_PROCESSORS = _child('log processor', parent.LOG_PROCESSORS, 'mmdssl.engine.training_log')
PARAM_SCHEDULERS = _child('parameter scheduler', parent.PARAM_SCHEDULERS, 'mmdssl.core.schedules')
# mmpretrain has no function registry of its own: this one hangs under mmengine's.
FUNCTIONS = _child('function', ROOT_FUNCTIONS, 'mmdssl.datasets')

# Nothing of ours registers here. They exist so that a run in the scope mmdssl finds mmengine's
# entries without a warning about a missing scope.
EVALUATORS = _child('evaluator', parent.EVALUATORS)
LOOPS = _child('loop', parent.LOOPS)
MODEL_WRAPPERS = _child('model wrapper', parent.MODEL_WRAPPERS)
RUNNERS = _child('runner', parent.RUNNERS)
VISBACKENDS = _child('visualizer backend', parent.VISBACKENDS)
VISUALIZERS = _child('visualizer', parent.VISUALIZERS)
WEIGHT_INITIALIZERS = _child('weight initializer', parent.WEIGHT_INITIALIZERS, 'mmdssl.models')
