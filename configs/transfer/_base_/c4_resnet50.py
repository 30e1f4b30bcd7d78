# What the C4 detectors of the MoCo protocol change in mmdet's (which are of Caffe's style, for
# supervised weights): RGB input, stride in the 3x3 convolution, everything trained, SyncBN, and a
# norm behind layer4, which stands in the RoI head and takes its pre-trained weights there. Anchors
# across the border train too (detectron2's BOUNDARY_THRESH -1; one of mmdet's two models leaves
# them out). A config says `model = _base_.c4_model`.
pretrained = 'weights/resnet50_mmdet.pth'
sync_bn = dict(type='SyncBN', requires_grad=True)
c4_model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(
        frozen_stages=-1,
        norm_cfg=sync_bn,
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(_delete_=True, type='mmdssl.PretrainedBackbone', checkpoint=pretrained),
    ),
    roi_head=dict(
        shared_head=dict(
            _delete_=True,
            type='mmdssl.C4SharedHead',
            depth=50,
            norm_cfg=sync_bn,
            init_cfg=dict(type='mmdssl.PretrainedBackbone', checkpoint=pretrained),
        )
    ),
    train_cfg=dict(rpn=dict(allowed_border=-1)),
)
