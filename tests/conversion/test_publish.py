"""A published file: nothing of the run, no paths, a name that is its hash, and still usable."""

import hashlib

import pytest
import torch

from mmdssl.conversion.convert import export_backbone
from mmdssl.conversion.publish import publish
from mmdssl.models.utils.backbone_weights import load_backbone
from tests.conversion.nets import checkpoint, resnet, shaken
from tests.models.tiny import tiny_batch, tiny_ibot


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp('run') / 'iter_150.pth'
    return checkpoint(path, resnet(18), shaken(resnet(18), 1))


def test_only_weights_and_their_origin_stay(run, tmp_path):
    content = torch.load(publish(run, tmp_path), weights_only=True)
    assert set(content) == {'meta', 'state_dict'}
    whole = torch.load(run, weights_only=True)['state_dict']
    assert set(content['state_dict']) == set(whole)
    assert all(torch.equal(v, whole[n]) for n, v in content['state_dict'].items())
    assert 'someone' not in str(content['meta'])
    assert content['meta']['evaluated_backbone'] == 'student'
    assert content['meta']['method'] == 'DenseCL'


def test_name_ends_in_the_hash_and_is_the_same_again(run, tmp_path):
    one, two = publish(run, tmp_path / 'a'), publish(run, tmp_path / 'b')
    digest = hashlib.sha256(one.read_bytes()).hexdigest()
    assert one.name == f'iter_150-{digest[:8]}.pth'
    assert one.read_bytes() == two.read_bytes()
    assert one.name == two.name


@pytest.mark.parametrize(('keep', 'seed'), [('auto', 0), ('student', 0), ('teacher', 1)])
def test_keep_leaves_one_network_which_evaluates_and_exports(run, tmp_path, keep, seed):
    file = publish(run, tmp_path, keep=keep)
    names = torch.load(file, weights_only=True)['state_dict']
    assert len({name.startswith('teacher.') for name in names}) == 1
    net, want = resnet(18), shaken(resnet(18), seed).state_dict()
    assert load_backbone(net, file).coverage == 1
    assert all(torch.equal(v, want[n]) for n, v in net.state_dict().items())
    exported = export_backbone(file, to='torchvision').state
    assert all(torch.equal(v, want[n]) for n, v in exported.items())


def test_published_model_trains_on_as_the_run_would(tmp_path):
    model = tiny_ibot()
    model.loss(tiny_batch())  # centres away from zero
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=1)), tmp_path / 'epoch_1.pth')
    state = torch.load(publish(tmp_path / 'epoch_1.pth', tmp_path), weights_only=True)
    fresh = tiny_ibot()
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.add_(1.0)
    fresh.load_state_dict(state['state_dict'], strict=True)
    expected = model.loss(tiny_batch())
    for name, loss in fresh.loss(tiny_batch()).items():
        assert torch.equal(loss, expected[name]), name


def test_a_network_that_is_not_there_is_one_sentence(tmp_path):
    torch.save(dict(state_dict=dict(a=torch.ones(1))), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='no teacher backbone'):
        publish(tmp_path / 'x.pth', tmp_path, keep='teacher')
