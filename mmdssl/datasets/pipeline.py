"""Build a list of transform configs so that our names resolve, whatever package runs the show."""

from collections.abc import Callable, Sequence

from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from mmdssl.registry import TRANSFORMS

__all__ = ['build_pipeline']


def build_pipeline(pipeline: Sequence[dict | Callable]) -> Compose:
    """Compose transforms.

    Unprefixed types are looked up in scope ``mmdssl`` (then in mmpretrain and mmcv) even where
    the running config has another default scope, such as ``mmdet``.

    Args:
        pipeline: Configs of transforms, or transforms.

    Returns:
        A callable that runs one after the other on a results dict.
    """
    with DefaultScope.overwrite_default_scope('mmdssl'):
        return Compose(
            [TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline]
        )
