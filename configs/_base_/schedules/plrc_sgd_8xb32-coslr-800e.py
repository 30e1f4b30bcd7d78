# DenseCL's SGD; both heads decay their biases and norms as the backbone does.
_base_ = './densecl_sgd_8xb32-coslr-800e.py'

optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(head=dict(decay_mult=1.0))))
