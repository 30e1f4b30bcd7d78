"""The written data set: exact, independent of processes and interruptions, readable as COCO."""

import json
import signal

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmdssl.datasets import CocoObjects
from mmdssl.datasets.scenes import SceneSpec, draw_layout, render, write_scenes, writer

SPEC = SceneSpec(size=64, objects=(2, 5), scale=(0.2, 0.4))


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp('scenes')
    record = write_scenes(out, SPEC, images=24, val_images=5, progress=False)
    return out, record


def content(out):
    """Every file of a folder with its bytes."""
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob('*') if p.is_file()}


def test_files_do_not_depend_on_the_number_of_processes(written, tmp_path):
    write_scenes(tmp_path / 's', SPEC, images=24, val_images=5, workers=3, progress=False)
    assert content(tmp_path / 's') == content(written[0])


def test_layout_of_the_folder(written):
    names = set(content(written[0]))
    assert names == {
        'scenes.json',
        'annotations/instances_train.json',
        'annotations/instances_val.json',
        *(f'train/{i:06d}.jpg' for i in range(24)),
        *(f'val/{i:06d}.jpg' for i in range(5)),
        *(f'semantic/train/{i:06d}.png' for i in range(24)),
        *(f'semantic/val/{i:06d}.png' for i in range(5)),
    }


def test_images_are_the_rendered_scenes(written):
    for index in range(3):
        image = cv2.imread(str(written[0] / f'val/{index:06d}.jpg'))[..., ::-1]
        expected = render(SPEC, draw_layout(SPEC, 'val', index), 'val', index)
        assert np.abs(image.astype(int) - expected).mean() < 6  # JPEG


@pytest.mark.parametrize('split', ['train', 'val'])
def test_annotations_equal_the_label_maps(written, split):
    """Boxes are the extents of the masks, areas their sizes, and together they are the map."""
    out, _ = written
    coco = COCO(str(out / f'annotations/instances_{split}.json'))
    for image in coco.loadImgs(coco.getImgIds()):
        labels = cv2.imread(
            str(out / 'semantic' / split / image['file_name'].replace('.jpg', '.png')),
            cv2.IMREAD_UNCHANGED,
        )
        painted = np.zeros_like(labels)
        covered = np.zeros(labels.shape, int)
        for annotation in coco.loadAnns(coco.getAnnIds(image['id'])):
            mask = coco.annToMask(annotation).astype(bool)
            rows, columns = np.nonzero(mask)
            x, y, width, height = annotation['bbox']
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
            assert annotation['area'] == mask.sum()
            assert annotation['iscrowd'] == 0
            painted[mask] = annotation['category_id']
            covered += mask
        np.testing.assert_array_equal(painted, labels)
        assert covered.max() <= 1


def test_our_data_set_reads_it(written):
    out, record = written
    dataset = CocoObjects(
        ann_file='annotations/instances_train.json',
        data_root=out,
        data_prefix='train',
        pipeline=[dict(type='LoadImage')],
    )
    assert dataset.metainfo['classes'] == tuple(entry.name for entry in SPEC.classes)
    assert len(dataset) == 24
    sample = dataset[2]
    layout = draw_layout(SPEC, 'train', 2)
    assert sample['gt_labels'].tolist() == [item.label for item in layout.objects]
    for number, mask in enumerate(sample['gt_masks'].decode()):
        np.testing.assert_array_equal(mask, layout.mask(number))
    boxes = sum(len(dataset.get_data_info(i)['gt_bboxes']) for i in range(24))
    assert boxes == record['splits']['train']['objects']


def test_record_says_what_was_made(written):
    out, record = written
    assert json.loads((out / 'scenes.json').read_text()) == record
    assert record['complete'] is True
    assert record['spec'] == SPEC.as_dict()
    assert record['images'] == {'train': 24, 'val': 5}
    tied = record['tied_classes']
    assert list(tied) == list(SPEC.backgrounds)
    assert sorted(n for names in tied.values() for n in names) == sorted(
        entry.name for entry in SPEC.classes
    )
    images = json.loads((out / 'annotations/instances_train.json').read_text())['images']
    for image in images:
        layout = draw_layout(SPEC, 'train', image['id'] - 1)
        assert image['background'] == SPEC.backgrounds[layout.background]


def test_interrupted_run_is_completed_without_drawing_again(written, tmp_path, monkeypatch):
    out, drawn = tmp_path / 's', []

    def interrupt(spec, layout, split, index):
        if len(drawn) == 10:
            raise KeyboardInterrupt
        drawn.append((split, index))
        return render(spec, layout, split, index)

    monkeypatch.setattr(writer, 'render', interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_scenes(out, SPEC, images=24, val_images=5, progress=False)
    assert json.loads((out / 'scenes.json').read_text())['complete'] is False
    # A process that was killed while it wrote leaves a temporary file.
    (out / 'train' / '000010.jpg.123.tmp').write_bytes(b'half')

    def draw_new(spec, layout, split, index):
        assert (split, index) not in drawn
        drawn.append((split, index))
        return render(spec, layout, split, index)

    monkeypatch.setattr(writer, 'render', draw_new)
    write_scenes(out, SPEC, images=24, val_images=5, progress=False)
    assert len(drawn) == 29
    assert content(out) == content(written[0])


def test_finished_set_can_grow_but_not_shrink_or_change(tmp_path, written):
    out = tmp_path / 's'
    write_scenes(out, SPEC, images=6, val_images=1, progress=False)
    with pytest.raises(ValueError, match='6 train images, more than 5'):
        write_scenes(out, SPEC, images=5, val_images=1, progress=False)
    with pytest.raises(ValueError, match='seed 0, not 1'):
        write_scenes(
            out,
            SceneSpec(size=64, objects=(2, 5), scale=(0.2, 0.4), seed=1),
            images=6,
            val_images=1,
            progress=False,
        )
    write_scenes(out, SPEC, images=24, val_images=5, progress=False)
    assert content(out) == content(written[0])


def test_folder_with_other_images_is_left_alone(tmp_path):
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train' / 'mine.jpg').touch()
    with pytest.raises(ValueError, match='no scenes'):
        write_scenes(tmp_path, SPEC, images=2, val_images=0, progress=False)
    with pytest.raises(ValueError, match='cannot write 0'):
        write_scenes(tmp_path / 's', SPEC, images=0, val_images=0, progress=False)


def test_a_callers_handler_of_sigterm_stays_out_of_the_pool(tmp_path, capfd):
    """The pool ends its workers by that signal: they inherit the handler with the fork."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        write_scenes(tmp_path, SceneSpec(), images=6, val_images=1, workers=2, progress=False)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert 'KeyboardInterrupt' not in capfd.readouterr().err
