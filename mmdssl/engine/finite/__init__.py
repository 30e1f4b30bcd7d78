"""A training step that is not finite leaves no trace."""

from mmdssl.engine.finite.guard import StepGuard
from mmdssl.engine.finite.stopping import TrainingNotFinite

__all__ = ['StepGuard', 'TrainingNotFinite']
