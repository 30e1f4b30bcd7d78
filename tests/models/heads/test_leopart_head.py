import pytest
import torch

from mmdssl.models.heads.leopart_head import LeopartHead


def test_scores_are_cosines():
    head = LeopartHead(in_channels=6, hidden_channels=8, bottleneck_channels=4, num_prototypes=5)
    head.init_weights()
    tokens = torch.randn(2, 3, 6)
    got = head(tokens)
    vectors, prototypes = head.mlp(tokens), head.prototypes.weight
    want = torch.cosine_similarity(vectors[..., None, :], prototypes, dim=-1)
    assert got.shape == (2, 3, 5)
    torch.testing.assert_close(got, want)


def test_scores_keep_their_precision_under_autocast():
    head = LeopartHead(in_channels=6, hidden_channels=8, bottleneck_channels=4, num_prototypes=5)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert head(torch.randn(2, 6)).dtype == torch.float32


@pytest.mark.parametrize('change', [dict(num_layers=0), dict(num_prototypes=1)])
def test_sizes_that_cannot_work_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        LeopartHead(in_channels=6, **change)
