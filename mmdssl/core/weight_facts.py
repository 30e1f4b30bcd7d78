"""What belongs to weights and is no tensor: the rule of the position table, origin, licence.

They stand in ``meta`` of a converted file, stay with the module that loads it, go into the
checkpoints of its run and from there into exports.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ['DINOV2_LICENCE', 'DINOV3_LICENCE', 'FACTS', 'facts_of']

#: Entries of ``meta`` that are kept from file to file.
FACTS = ('pos_rule', 'weights_origin', 'licence')

DINOV2_LICENCE = (
    'Apache-2.0 where these are the weights that the authors of DINOv2 published; Franca and '
    'others use the same names under terms of their own'
)
DINOV3_LICENCE = (
    'DINOv3 License (https://ai.meta.com/resources/models-and-libraries/dinov3-license) where '
    'these are, or were trained from, the weights that Meta published: pass them and derivatives '
    'on only under that agreement and with a copy of it, and acknowledge DINOv3 in publications; '
    'EUPE and Sapiens2 use the same names under terms of their own'
)


def facts_of(content: Any) -> dict[str, str]:
    """Those facts that a checkpoint, or a bare ``meta``, states.

    Args:
        content: What was saved.
    """
    meta = content.get('meta', content) if isinstance(content, Mapping) else None
    if not isinstance(meta, Mapping):
        return {}
    return {name: meta[name] for name in FACTS if isinstance(meta.get(name), str)}
