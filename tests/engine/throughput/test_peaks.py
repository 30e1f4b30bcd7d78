"""Peaks of data sheets, by the names that CUDA gives."""

import pytest

from mmdssl.engine.throughput.peaks import peak_flops


@pytest.mark.parametrize(
    ('device', 'precision', 'teraflops'),
    [
        ('NVIDIA H100 80GB HBM3', 'half', 989),
        ('NVIDIA H100 PCIe', 'half', 756),
        ('NVIDIA H200', 'tf32', 494),
        ('NVIDIA A100-SXM4-80GB', 'half', 312),
        ('NVIDIA A100-PCIE-40GB', 'float32', 19.5),
        ('Tesla V100-SXM2-16GB', 'half', 125),
        ('NVIDIA GeForce RTX 3090', 'half', 71),
        ('NVIDIA L4', 'half', 121),
        ('NVIDIA L40S', 'half', 362),
        ('NVIDIA A10', 'half', 125),
    ],
)
def test_known_devices(device, precision, teraflops):
    assert peak_flops(device, precision) == teraflops * 1e12


@pytest.mark.parametrize('device', ['NVIDIA A1000', 'Quadro K620', 'CPU', ''])
def test_of_other_devices_nothing_is_claimed(device):
    assert peak_flops(device, 'half') is None
