"""Threads of the tests: workers of pytest-xdist share the cores, and so do processes they start.

A worker whose torch starts a thread a core waits for the others' more than it computes.
"""

import os

__all__ = ['share_cores']

#: What OpenMP, the BLAS libraries and Numba read when they are loaded.
VARIABLES = (
    'OMP_NUM_THREADS',
    'MKL_NUM_THREADS',
    'OPENBLAS_NUM_THREADS',
    'NUMBA_NUM_THREADS',
)


def share_cores() -> None:
    """Set what a worker's libraries and child processes may use; what the user has set stays.

    To be called before torch is imported. Without workers nothing is set.
    """
    workers = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', 0))
    if workers:
        share = max(1, len(os.sched_getaffinity(0)) // workers)
        for name in VARIABLES:
            os.environ.setdefault(name, str(share))
