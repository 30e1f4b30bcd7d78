"""What fine-tuning needs beside models and optimizers: data sets of detectors, summaries of trials.

Import its parts by name: some need mmdet, which needs mmcv's compiled ops.
"""
