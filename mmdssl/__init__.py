"""mmdssl: dense self-supervised pre-training for OpenMMLab.

Importing this package is cheap; the registered components live in the
sub-packages and are imported by the registries on first use.
"""

from mmdssl.version import __version__

__all__ = ['__version__']
