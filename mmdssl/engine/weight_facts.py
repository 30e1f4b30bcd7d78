"""What weights carry beside tensors, between the backbone of a model and its checkpoints."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from mmdssl.models.utils.backbone_weights import bind_facts
from mmdssl.models.utils.teacher import EMATeacher

__all__ = ['bind_to_model', 'stated_facts']


def stated_facts(model: nn.Module) -> dict[str, str]:
    """Origin and licence that the backbone started with, and the rule of its position table.

    Args:
        model: A host, detector or segmentor, without wrapper.
    """
    backbone: Any = getattr(model, 'backbone', None)
    facts = dict(getattr(backbone, 'weight_facts', {}))
    if getattr(backbone, 'pos_embed', None) is not None and hasattr(backbone, 'pos_rule'):
        facts['pos_rule'] = backbone.pos_rule
    return facts


def bind_to_model(model: nn.Module, facts: Mapping[str, str]) -> None:
    """Give the backbone of a model, and the copy of its teacher, what a checkpoint says.

    Args:
        model: A host, detector or segmentor, without wrapper.
        facts: See :func:`mmdssl.core.weight_facts.facts_of`.
    """
    teacher = getattr(model, 'teacher', None)
    owners = (model, teacher) if isinstance(teacher, EMATeacher) else (model,)
    for owner in owners:
        backbone = getattr(owner, 'backbone', None)
        if isinstance(backbone, nn.Module):
            bind_facts(backbone, facts)
