"""Fresh scenes, and their proposals where a row needs them; written once per seed."""

from pathlib import Path

from mmdssl.datasets.proposals.making import make_proposals
from mmdssl.datasets.scenes import SceneSpec, write_scenes, write_voc
from mmdssl.studies.recipe import proposal_settings
from mmdssl.studies.run import Plan

__all__ = ['make_data']

PROPOSALS = 'proposals/ss_train.npz'  # as configs/_base_/datasets/scenes_proposals.py names it


def make_data(plan: Plan, *, workers: int = 1, progress: bool = True) -> None:
    """Write what is missing of the generated scenes of all seeds.

    Args:
        plan: Of a study.
        workers: Processes.
        progress: Show progress bars.

    Raises:
        ValueError: If a folder holds scenes of other settings.
    """
    scale = plan.size
    runs = [run for run in plan.runs if not run.row.statistic]
    if not scale.scenes or not runs:
        return
    for seed in plan.seeds:
        root = plan.data_root(seed)
        assert root is not None
        write_scenes(
            root,
            SceneSpec(**{**scale.scenes, 'seed': plan.scene_seed(seed)}),
            images=scale.train_images,
            val_images=scale.val_images,
            workers=workers,
            progress=progress,
        )
        if any('LoadProposals' in str(run.published.train_dataloader) for run in runs):
            make_proposals(
                root / 'train',
                root / PROPOSALS,
                proposal_settings(scale),
                workers=workers,
                progress=progress,
            )
        if any(run.setting.config.startswith('photos/') for run in runs):
            _lay_out_as_photos(root)
        wanted = runs if 'transfer' in plan.measures else []
        judges = {judge for run in wanted for judge in run.setting.judges}
        written = (root / 'voc/ImageSets/Main/test.txt').exists()
        if any('voc' in judge for judge in judges) and not written:
            write_voc(root, root / 'voc', progress=progress)


def _lay_out_as_photos(root: Path) -> None:
    """Links by which configs of photos find scenes: without labels, and as VOC in COCO's format."""
    links = {'unlabelled': 'train'}
    for split in ('train', 'val'):
        links[f'voc/{split}2012'] = f'../{split}'
        name = f'annotations/instances_{split}'
        links[f'voc/{name}2012.json'] = f'../../{name}.json'
    for name, target in links.items():
        link = root / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(target)
