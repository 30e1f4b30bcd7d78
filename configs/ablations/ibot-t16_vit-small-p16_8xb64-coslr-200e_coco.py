"""iBOT whose masked patches learn the 16th most similar patch of the teacher.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Fig. 9, T@n: coupling rises as pairs get less
    exact. Its n are not stated; 4 and 16 are ours.
Command: tools/dist_train.sh configs/ablations/ibot-t16_vit-small-p16_8xb64-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Measured: not measured.
"""

_base_ = './ibot_vit-small-p16_8xb64-coslr-200e_coco.py'

model = dict(correspondence=16)
