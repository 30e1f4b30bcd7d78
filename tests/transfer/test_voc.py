"""VOC: folders with holes are refused, difficult objects count in training, AP by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from PIL import Image

pytest.importorskip('mmcv._ext', reason='mmdet needs compiled ops')

from mmdet.evaluation import VOCMetric
from mmdet.structures import DetDataSample

from mmdssl.transfer.voc import VOCDetection

OBJECT = (
    '<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin>'
    '<ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>'
)


def write_voc(root: Path, names: tuple[str, ...] = ('000001', '000002')) -> Path:
    """Two images with a cat and a difficult dog each."""
    year = root / 'VOC2007'
    for folder in ('ImageSets/Main', 'Annotations', 'JPEGImages'):
        (year / folder).mkdir(parents=True)
    (year / 'ImageSets/Main/trainval.txt').write_text('\n'.join(names) + '\n')
    objects = OBJECT.format(name='cat', difficult=0, x1=11, y1=21, x2=50, y2=60)
    objects += OBJECT.format(name='dog', difficult=1, x1=1, y1=1, x2=100, y2=80)
    size = '<size><width>100</width><height>80</height><depth>3</depth></size>'
    for name in names:
        text = f'<annotation>{size}{objects}</annotation>'
        (year / f'Annotations/{name}.xml').write_text(text)
        Image.new('RGB', (100, 80)).save(year / f'JPEGImages/{name}.jpg')
    return root


def load(root: Path, **kwargs) -> VOCDetection:
    return VOCDetection(
        data_root=str(root),
        ann_file='VOC2007/ImageSets/Main/trainval.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        pipeline=[],
        **kwargs,
    )


def test_difficult_objects_are_trained_on_and_not_tested_on(tmp_path):
    root = write_voc(tmp_path)
    flags = {
        case: [i['ignore_flag'] for i in load(root, **kwargs).get_data_info(0)['instances']]
        for case, kwargs in {
            'train': {},
            'mmdet': dict(keep_difficult=False),
            'test': dict(test_mode=True),
        }.items()
    }
    assert flags == {'train': [0, 0], 'mmdet': [0, 1], 'test': [0, 1]}
    assert load(root).get_data_info(1)['instances'][0]['bbox'] == [10, 20, 49, 59]


def test_a_folder_with_missing_annotations_is_refused_with_their_number(tmp_path):
    root = write_voc(tmp_path, names=('000001', '000002', '000003'))
    for name in ('000002', '000003'):
        (root / f'VOC2007/Annotations/{name}.xml').unlink()
    with pytest.raises(FileNotFoundError, match=r'2 of 3 images .*000002\.xml; unpack'):
        load(root)


def test_a_folder_without_lists_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no list of images .*set data_root'):
        load(tmp_path)


def score(predictions, truths, **kwargs):
    """VOCMetric of one class; a prediction is (image, box, score), a truth (image, box)."""
    metric = VOCMetric(**kwargs)
    metric.dataset_meta = dict(classes=('cat',), dataset_type='VOC2007')
    count = 1 + max(image for image, _ in truths)
    for image in range(count):
        found = [(box, s) for where, box, s in predictions if where == image]
        boxes = torch.tensor([box for where, box in truths if where == image]).reshape(-1, 4)
        sample = DetDataSample(
            gt_instances=InstanceData(bboxes=boxes, labels=torch.zeros(len(boxes), dtype=int)),
            ignored_instances=InstanceData(
                bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=int)
            ),
            pred_instances=InstanceData(
                bboxes=torch.tensor([box for box, _ in found]).reshape(-1, 4),
                scores=torch.tensor([s for _, s in found]),
                labels=torch.zeros(len(found), dtype=int),
            ),
        )
        metric.process({}, [sample.to_dict()])
    return metric.evaluate(count)


def eleven_points(precision_at):
    """The rule of 2007: mean over recalls 0, 0.1 ... 1 of the best precision from there on."""
    points = np.arange(11) / 10
    best = [max([p for r, p in precision_at if r >= at], default=0.0) for at in points]
    return float(np.mean(best))


def test_ap_is_the_mean_of_ten_thresholds_by_the_eleven_point_rule():
    thresholds = [0.5 + 0.05 * i for i in range(10)]
    truths = [(image, [0.0, 0.0, 99.0, 99.0]) for image in range(4)]
    predictions = [
        (0, [0.0, 0.0, 99.0, 99.0], 0.9),  # IoU 1
        (1, [0.0, 0.0, 99.0, 71.0], 0.8),  # IoU 0.72
        (2, [0.0, 0.0, 99.0, 39.0], 0.7),  # IoU 0.40: never right
        (3, [0.0, 0.0, 99.0, 86.0], 0.6),  # IoU 0.87
    ]
    # (recall, precision) after each prediction, in the order of their scores
    low = eleven_points([(0.25, 1.0), (0.5, 1.0), (0.5, 2 / 3), (0.75, 0.75)])  # up to 0.70
    middle = eleven_points([(0.25, 1.0), (0.25, 0.5), (0.25, 1 / 3), (0.5, 0.5)])  # 0.75 to 0.85
    high = eleven_points([(0.25, 1.0)])  # 0.90, 0.95
    found = score(predictions, truths, iou_thrs=thresholds, eval_mode='11points')
    assert found['pascal_voc/AP50'] == pytest.approx(low, abs=5e-4)
    assert found['pascal_voc/AP75'] == pytest.approx(middle, abs=5e-4)
    assert found['pascal_voc/AP95'] == pytest.approx(high, abs=5e-4)
    assert found['pascal_voc/mAP'] == pytest.approx((5 * low + 3 * middle + 2 * high) / 10)
    assert len([name for name in found if '/AP' in name]) == 10
