# The C4 detectors on the ResNet of the small runs: depth 18, half as wide, 128 px.
_base_ = './c4_resnet50.py'

pretrained = 'weights/r18w32_mmdet.pth'
bn = dict(type='BN')
c4_model = dict(
    backbone=dict(
        depth=18,
        stem_channels=32,
        base_channels=32,
        norm_cfg=bn,
        init_cfg=dict(checkpoint=pretrained),
    ),
    rpn_head=dict(
        in_channels=128, feat_channels=128, anchor_generator=dict(scales=[1, 1.5, 2.25, 3.4])
    ),
    roi_head=dict(
        shared_head=dict(
            depth=18, base_channels=32, norm_cfg=bn, init_cfg=dict(checkpoint=pretrained)
        ),
        # regions of 8x8 cells, 4x4 after layer4: a third of the work of 14x14
        bbox_roi_extractor=dict(out_channels=128, roi_layer=dict(output_size=8)),
        bbox_head=dict(in_channels=256, roi_feat_size=4, num_classes=16),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=400, max_per_img=100), rcnn=dict(sampler=dict(num=32))
    ),
    test_cfg=dict(rpn=dict(nms_pre=400, max_per_img=60), rcnn=dict(max_per_img=50)),
)
