"""Fresh scenes, and their proposals where an arm needs them; written once per seed."""

from mmdssl.datasets.proposals.filters import ProposalFilter
from mmdssl.datasets.proposals.making import make_proposals
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.datasets.scenes import SceneSpec, write_scenes
from mmdssl.miniature.arms import ARMS
from mmdssl.miniature.plan import Plan
from mmdssl.miniature.regimes import Regime

__all__ = ['make_data', 'proposal_settings']

PROPOSALS = 'proposals/ss_train.npz'  # as configs/_base_/datasets/scenes_soco.py names it


def make_data(plan: Plan, *, workers: int = 1, progress: bool = True) -> None:
    """Write what is missing of the data of all seeds.

    Args:
        plan: The study.
        workers: Processes.
        progress: Show progress bars.

    Raises:
        FileNotFoundError: If the folder of photos has no annotations.
        ValueError: If a folder holds scenes of other settings.
    """
    if plan.on_photos:
        _check_photos(plan)
        return
    regime = plan.regime
    for seed in plan.seeds:
        root = plan.data_root(seed)
        write_scenes(
            root,
            SceneSpec(**regime.scenes, seed=plan.scene_seed(seed)),
            images=regime.train_images,
            val_images=regime.val_images,
            workers=workers,
            progress=progress,
        )
        if any(ARMS[name].family == 'soco' for name in plan.arms):
            make_proposals(
                root / 'train',
                root / PROPOSALS,
                proposal_settings(regime),
                workers=workers,
                progress=progress,
            )


def proposal_settings(regime: Regime) -> ProposalSettings:
    """Settings of the search for a regime's scenes."""
    own = {k: v for k, v in regime.proposals.items() if not k.startswith('filter_')}
    rule = {k.removeprefix('filter_'): v for k, v in regime.proposals.items() if k not in own}
    return ProposalSettings(**own, filter=ProposalFilter(**rule))


def _check_photos(plan: Plan) -> None:
    for name in ('instances_train2017.json', 'instances_val2017.json'):
        file = plan.data / 'annotations' / name
        if not file.is_file():
            raise FileNotFoundError(
                f'no {file}: give a folder in the layout of COCO (train2017/, val2017/, '
                'annotations/instances_train2017.json, annotations/instances_val2017.json)'
            )
