"""Leopart-D from DINOv2-S/14 with registers on a folder of your own photos: no labels, one GPU.

Purpose: to go on from DINOv2 with registers, whose attention, by which foreground is told, has no
    artefacts; else as from DINOv2 without.
Command: mmdssl convert import dinov2_vits14_reg4_pretrain.pth
    --out data/weights/dinov2_vits14_reg4.pth
    mmdssl train leopart-d_dinov2-reg-small-p14_1xb32-coslr-10e_photos
    --cfg-options data_root=PHOTOS
    or at once: mmdssl pretrain leopart-d init=dinov2_vits14_reg4_pretrain.pth data=PHOTOS out=DIR
Measured: not measured.
"""

_base_ = './leopart-d_dinov2-small-p14_1xb32-coslr-10e_photos.py'

model = dict(init='data/weights/dinov2_vits14_reg4.pth', backbone=dict(registers=4))
