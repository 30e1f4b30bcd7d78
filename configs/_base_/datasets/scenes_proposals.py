# Generated scenes (mmdssl scenes data/scenes) with the proposals that were made of
# them once (mmdssl proposals).
_base_ = './proposals.py'

data_root = 'data/scenes/'
proposals_file = data_root + 'proposals/ss_train.npz'
load = [
    dict(type='LoadImage'),
    dict(type='LoadProposals', file=proposals_file, expect=_base_.proposals_made_with),
]
