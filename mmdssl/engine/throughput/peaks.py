"""What devices can compute at best, by their data sheets; a share of it is the utilisation."""

__all__ = ['peak_flops']

# Part of the name -> TFLOP/s, dense, accumulated in float32: of half precision, TF32 and float32. A
# name may hold several: the first one counts.
_TERAFLOPS: tuple[tuple[str, float, float, float], ...] = (
    ('B200', 2250, 1100, 75),
    ('H200', 989, 494, 67),
    ('H100 PCIe', 756, 378, 51),
    ('H100 NVL', 835, 417, 60),
    ('H100', 989, 494, 67),
    ('A100', 312, 156, 19.5),
    ('A800', 312, 156, 19.5),
    ('A30', 165, 82, 10.3),
    ('A40', 149.7, 74.8, 37.4),
    ('RTX A6000', 154.8, 77.4, 38.7),
    ('A10', 125, 62.5, 31.2),
    ('L40S', 362, 183, 91.6),
    ('L40', 181, 90.5, 90.5),
    ('L4', 121, 60, 30.3),
    ('RTX 4090', 165.2, 82.6, 82.6),
    ('RTX 3090', 71, 35.6, 35.6),
    ('V100', 125, 15.7, 15.7),
    ('T4', 65, 8.1, 8.1),
)
_COLUMNS = {'half': 1, 'tf32': 2, 'float32': 3}


def peak_flops(device: str, precision: str) -> float | None:
    """Floating-point operations a second of a device.

    Args:
        device: Its name, as CUDA gives it.
        precision: ``'half'`` (bfloat16, float16), ``'tf32'`` or ``'float32'``.

    Returns:
        The peak, or None for a device that is not in the list.
    """
    names = device.replace('-', ' ').split()
    for row in _TERAFLOPS:
        words = row[0].split()
        for start in range(len(names) - len(words) + 1):
            if names[start : start + len(words)] == words:
                return float(row[_COLUMNS[precision]]) * 1e12  # type: ignore[arg-type]
    return None
