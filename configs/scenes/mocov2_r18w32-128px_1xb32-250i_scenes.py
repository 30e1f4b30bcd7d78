"""MoCo v2 on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of the COCO baseline.
Command: mmdssl scenes data/scenes
    mmdssl train configs/scenes/mocov2_r18w32-128px_1xb32-250i_scenes.py
Measured: see README.md beside this file.
"""

_base_ = './densecl_r18w32-128px_1xb32-250i_scenes.py'

model = dict(loss_lambda=0)
