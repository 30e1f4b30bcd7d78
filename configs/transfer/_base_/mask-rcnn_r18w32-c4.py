# Mask R-CNN C4 on the ResNet of the small runs.
_base_ = ['mmdet::_base_/models/mask-rcnn_r50-caffe-c4.py', './c4_resnet18w32.py']

model = _base_.c4_model
model.roi_head.mask_head = dict(in_channels=256, conv_out_channels=64, num_classes=16)
model.train_cfg.rcnn.mask_size = 8
