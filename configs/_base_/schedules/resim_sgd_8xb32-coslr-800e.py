# DenseCL's SGD, for the pyramid as well: rate 0.3 at 8 x 32, cosine to 0 by epoch, no warm-up,
# decay of all parameters, float32.
_base_ = './densecl_sgd_8xb32-coslr-800e.py'

optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(head=dict(decay_mult=1.0))))
