"""What happens to a batch between the loader and the model."""

from mmdssl.models.data_preprocessors.multiview import MultiViewPreprocessor

__all__ = ['MultiViewPreprocessor']
