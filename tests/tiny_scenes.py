"""A handful of scenes on disk and a config that trains on them, for tests of tools and pictures."""

from pathlib import Path

from mmengine.config import Config

from mmdssl.datasets.scenes import PRESETS, SceneSpec, write_scenes
from mmdssl.engine.config import load_config

CONFIG = Path(__file__).parents[1] / 'configs/scenes/ibot-d_vit-micro-p16_1xb24-250i_scenes.py'


def write_tiny_scenes(folder: Path, *, images: int = 30, val_images: int = 8) -> Path:
    """Scenes of the kind that a small ViT learns."""
    spec = SceneSpec(**PRESETS['miniature'])
    write_scenes(folder, spec, images=images, val_images=val_images, progress=False)
    return folder


def tiny_config(folder: Path) -> Config:
    """The config of a small iBOT-D on those scenes."""
    return load_config(CONFIG, {'data_root': str(folder)})
