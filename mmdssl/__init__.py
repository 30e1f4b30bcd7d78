"""mmdssl: dense self-supervised pre-training for OpenMMLab.

Importing this package is cheap; the registered components live in the
sub-packages and are imported by the registries on first use. Where mmengine is
already loaded, as when a config of mmdet or mmseg says
``custom_imports=dict(imports=['mmdssl'])``, the registries are made known to it,
and ``type='mmdssl.TapViT'`` resolves there.

From the import on, mmengine loads no checkpoint that could run code
(:mod:`mmdssl.core.safe_loading`), in any project and by whatever scheme.
"""

import sys

from mmdssl.import_guard import guard_loading
from mmdssl.version import __version__

guard_loading()

if 'mmengine.registry' in sys.modules:
    import mmdssl.registry  # noqa: F401

__all__ = ['__version__']
