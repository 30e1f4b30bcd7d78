# OpenImage-MINI (D3SSL, Sec. 5.1), chosen by mmdssl openimages: configs/openimages_mini/README.md.
# The second base of a config of COCO, whose photos and proposals become these:
#   train_dataloader = changed(_base_.train_dataloader, _base_.openimages_mini.photos)
# What is measured on stays COCO, and data_root is the folder of both.
openimages_mini = dict(
    data_root='data/',
    photos=[
        [dict(type='ImageFolder'), dict(data_root='data/openimages_mini/train/')],
        [dict(type='LoadProposals'), dict(file='data/openimages_mini/proposals/ss_train.npz')],
    ],
)
# For studies: where the labels lie, and what the command says of its choice.
labelled_root = 'data/coco/'
data_report = 'data/openimages_mini/train.txt.json'
