"""The batch that fits: from two measured steps, never above what is wanted."""

import pytest

from mmdssl.engine.pretraining.batches import fitting


@pytest.mark.parametrize(
    ('memory', 'fits'), [(1000, 64), (100, 64), (50, 32), (20, 8)], ids=lambda value: str(value)
)
def test_memory_is_extrapolated_from_two_steps(memory, fits):
    asked = []

    def measure(batch):
        asked.append(batch)
        return 5 + batch  # of which 85 % of the memory hold 0.85 * memory - 5 images

    assert fitting(measure, memory, 64) == fits
    assert len(asked) == 2  # whatever is wanted
    assert 5 + fits <= 0.85 * memory


def test_nothing_is_measured_for_a_batch_of_eight():
    assert fitting(lambda batch: pytest.fail('measured'), 1, 8) == 8


def test_a_device_without_room_is_told():
    with pytest.raises(ValueError, match=r'not even 8 images fit the device.*smaller views.size'):
        fitting(lambda batch: 10**12, 10**9, 64)
