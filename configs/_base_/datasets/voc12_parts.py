# VOC12 with the annotations of SBD: trainaug is labelled, val is asked.
data_root = 'data/VOCdevkit/VOC2012/'
voc_classes = (
    'background', 'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair',
    'cow', 'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa',
    'train', 'tvmonitor',
)  # fmt: skip
bank_part = dict(
    type='SemanticFolder',
    classes=voc_classes,
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
    ann_file='ImageSets/Segmentation/trainaug.txt',
)
query_part = dict(
    type='SemanticFolder',
    classes=voc_classes,
    data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
    ann_file='ImageSets/Segmentation/val.txt',
)
ignored = ()
