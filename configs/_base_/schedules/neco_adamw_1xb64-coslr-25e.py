# AdamW as for Leopart: rate 1e-4 for the head and 1e-5 for the backbone, cosine to 0 per iteration,
# no warm-up, no clipping, float32; 25 epochs.
_base_ = './leopart_adamw_2xb32-coslr-50e.py'

train_cfg = dict(max_epochs=25)
