# Photos of COCO train2017 with the proposals that were made of them once (mmdssl proposals).
_base_ = './proposals.py'

data_root = 'data/coco/'
proposals_file = data_root + 'proposals/ss_train2017.npz'
load = [
    dict(type='LoadImage'),
    dict(type='LoadProposals', file=proposals_file, expect=_base_.proposals_made_with),
]
