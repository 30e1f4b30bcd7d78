"""The frozen backbone of a config, as a model of its own that a metric can be fed from."""

from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from mmdssl.core.locating import Source
from mmdssl.evaluation.extractors.feature_extractor import FeatureExtractor
from mmdssl.models.utils.backbone_weights import load_backbone

__all__ = ['build_extractor']


def build_extractor(
    config: Config, checkpoint: Path | None, source: Source = 'auto'
) -> FeatureExtractor:
    """The config's backbone with the checkpoint's weights, or initialised without one.

    Args:
        config: Of a pre-training run, or with a FeatureExtractor as model; its entry ``extractor``,
            where it has one, are further arguments of the extractor, such as ``tokens``.
        checkpoint: Weights; None: the untrained backbone.
        source: Which network of the checkpoint.

    Raises:
        ValueError: If the checkpoint covers too little, or a setting is unknown.
    """
    settings = dict(config.model)
    if settings.pop('type') not in ('FeatureExtractor', 'mmdssl.FeatureExtractor'):
        preprocessor = settings.get('data_preprocessor') or config.get('data_preprocessor')
        settings = dict(backbone=settings['backbone'], data_preprocessor=preprocessor)
    try:
        extractor = FeatureExtractor(**{**(config.get('extractor') or {}), **settings})
    except TypeError as error:
        raise ValueError(f'extractor of the config: {error}') from error
    if checkpoint is None:
        extractor.init_weights()
        if not getattr(extractor.backbone, 'with_weights', False):  # as adapters have
            print_log('no checkpoint: evaluating the untrained backbone', logger='current')
    else:
        report = load_backbone(extractor.backbone, checkpoint, source=source)
        print_log(f'{checkpoint}: {report}', logger='current')
    return extractor
