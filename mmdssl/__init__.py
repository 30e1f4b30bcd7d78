"""mmdssl: dense self-supervised pre-training for OpenMMLab.

Importing this package is cheap; the registered components live in the
sub-packages and are imported by the registries on first use. Where mmengine is
already loaded, as when a config of mmdet or mmseg says
``custom_imports=dict(imports=['mmdssl'])``, the registries are made known to it,
and ``type='mmdssl.TapViT'`` resolves there.

Three functions do what most people come for, and import what they need when they are asked for:
:func:`pretrain`, :func:`load_backbone` and :func:`features`.

From the import on, mmengine loads no checkpoint that could run code
(:mod:`mmdssl.core.safe_loading`), in any project and by whatever scheme.
"""

import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mmdssl.import_guard import guard_loading
from mmdssl.version import __version__

if TYPE_CHECKING:
    from mmdssl.cli.pretrain import pretrain
    from mmdssl.engine.loaded_backbone import features, load_backbone

guard_loading()
# What mmcv says wherever its ops are not compiled; what needs them asks for them (`require_stack`).
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')

if 'mmengine.registry' in sys.modules:
    import mmdssl.registry  # noqa: F401

__all__ = ['__version__', 'features', 'load_backbone', 'pretrain']

_FUNCTIONS = {
    'features': 'mmdssl.engine.loaded_backbone',
    'load_backbone': 'mmdssl.engine.loaded_backbone',
    'pretrain': 'mmdssl.cli.pretrain',
}


def __getattr__(name: str) -> Any:
    """The functions, imported when they are asked for."""
    if name not in _FUNCTIONS:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(_FUNCTIONS[name]), name)
