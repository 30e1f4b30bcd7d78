"""What a training step takes on the device: two steps of the real thing, then all is let go."""

import copy
import gc

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mmdssl.engine.throughput.model_flops import sample_batch
from mmdssl.evaluation.guards import preserve_rng_state
from mmdssl.registry import DATASETS, MODELS

__all__ = ['memory_of_step']


def memory_of_step(config: Config, batch: int, *, device: str = 'cuda') -> int:
    """Peak bytes allocated by a training step, optimizer and teacher included.

    Args:
        config: Of a run; nothing of it is changed.
        batch: Images.
        device: Where.

    Returns:
        Bytes; more than there is if the device has no room for the step.
    """
    settings = copy.deepcopy(config)
    init_default_scope(settings.get('default_scope', 'mmdssl'))
    with preserve_rng_state():
        dataset = DATASETS.build(settings.train_dataloader.dataset)
        data = sample_batch(dataset, batch)
        try:
            torch.cuda.reset_peak_memory_stats()
            model = MODELS.build(settings.model).to(device).train()
            wrapper = build_optim_wrapper(model, settings.optim_wrapper)
            model.clock.set(iteration=0, max_iterations=2)
            for module in model.modules():
                if hasattr(module, 'enqueue'):  # its length is not decided yet
                    module.enqueue = lambda keys: None
            for _ in range(2):  # the first makes the optimizer's moments
                model.train_step(data, optim_wrapper=wrapper)
            return torch.cuda.max_memory_allocated()
        except torch.OutOfMemoryError:
            return 1 << 62
        finally:
            model = wrapper = None
            gc.collect()
            torch.cuda.empty_cache()
