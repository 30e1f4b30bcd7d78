"""A de-coupling branch alone de-couples a config: the loader brings the masks the branch needs.

The data files in ``configs/_base_`` hold, beside the plain pipeline of a method, the published one
with the branch's masks. A config that adds the branch and keeps the plain one would end at the
first batch; it gets the published one instead, so that the line is the whole of a ``-D`` config.
"""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

__all__ = ['with_branch_masks']

_BRANCH = ('DecouplingBranch', 'mmdssl.DecouplingBranch')


def with_branch_masks(config: Config) -> Config:
    """The config with masks for its de-coupling branch, where it knows a pipeline that has them.

    Nothing happens without a branch, if the loader brings the masks already or the branch takes
    those of the method (``mask_source='pool'``), and where no or several entries ``*_pipeline`` of
    the config would do: the branch then says at the first batch what it lacks.

    Args:
        config: Of a run; its ``train_dataloader.dataset.pipeline`` may be exchanged.

    Returns:
        The same object.
    """
    model = config.get('model') or {}
    found = [model.get('decoupling'), *(model.get('branches') or ())]
    branch = next((b for b in found if isinstance(b, Mapping) and b.get('type') in _BRANCH), None)
    if branch is None:
        return config
    pool = branch.get('mask_source', 'fresh') == 'pool'
    key = branch.get('mask_key') or ('mask' if pool else 'dc_mask')
    dataset: Any = (config.get('train_dataloader') or {}).get('dataset') or {}
    if not _packs_views(dataset.get('pipeline')) or key in _packed(dataset.pipeline):
        return config
    fitting = [n for n in config if n.endswith('_pipeline') and key in _packed(config[n])]
    if len(fitting) == 1:
        dataset.pipeline = config[fitting[0]]
        print_log(
            f'the de-coupling branch needs masks {key!r}: the training data pass {fitting[0]} of '
            'the config',
            logger='current',
        )
    return config


def _packed(pipeline: Any) -> tuple[str, ...]:
    """What the views of a pipeline bring beside images."""
    steps = pipeline if isinstance(pipeline, (list, tuple)) else ()
    return tuple(k for s in steps if _is_pack(s) for k in s.get('keys', ()))


def _packs_views(pipeline: Any) -> bool:
    return isinstance(pipeline, (list, tuple)) and any(_is_pack(step) for step in pipeline)


def _is_pack(step: Any) -> bool:
    return isinstance(step, Mapping) and step.get('type') in ('PackViews', 'mmdssl.PackViews')
