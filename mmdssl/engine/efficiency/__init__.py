"""What makes a run faster and must not change what it learns."""

from mmdssl.engine.efficiency.settings import (
    Efficiency,
    prepare_efficiency,
    set_up,
    with_efficiency,
)

__all__ = ['Efficiency', 'prepare_efficiency', 'set_up', 'with_efficiency']
