# 250 iterations of 32 images on one CPU process, as for DenseCL.
_base_ = './densecl_sgd_1xb32-250i.py'

optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(head=dict(decay_mult=1.0))))
