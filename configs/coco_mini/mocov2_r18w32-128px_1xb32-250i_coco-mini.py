"""MoCo v2 on a few hundred COCO photos at 128 px: a CPU, minutes.

Purpose: comparison with the DenseCL run of this folder.
Command: mmdssl train configs/coco_mini/mocov2_r18w32-128px_1xb32-250i_coco-mini.py
    --cfg-options data_root=FOLDER, see densecl_r18w32-128px_1xb32-250i_coco-mini.py
Measured: see README.md beside this file.
"""

_base_ = './densecl_r18w32-128px_1xb32-250i_coco-mini.py'

model = dict(loss_lambda=0)
