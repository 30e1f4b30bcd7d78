"""What leaves the machine with a checkpoint: everything of the run, no folder of the machine."""

from mmdssl.core.checkpoint_format import pack


def test_no_part_of_the_meta_data_names_a_folder():
    meta = dict(
        epoch=1,
        cfg="work_dir = '/home/someone/runs/a'\nlr = 1",
        dataset_meta=dict(data_root='/home/someone/photos/', classes=('a', '/home/someone/b')),
    )
    runtime = dict(last_ckpt='/home/someone/runs/a/epoch_1.pth', loops=['/home/someone/x'])
    hub = dict(log_scalars={}, runtime_info=runtime, resumed_keys={})
    checkpoint = dict(meta=meta, state_dict={}, message_hub=hub)
    assert pack(checkpoint) == []
    assert 'someone' not in str(checkpoint)
    assert checkpoint['meta']['dataset_meta'] == dict(data_root='photos', classes=('a', 'b'))
    assert checkpoint['message_hub']['runtime_info']['last_ckpt'] == 'epoch_1.pth'
    assert meta['dataset_meta']['data_root'] == '/home/someone/photos/'  # the data set's own
