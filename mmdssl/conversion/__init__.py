"""Checkpoints in and out: one table of names, coverage reports, plain files.

Import its parts by name; none of them needs mmpretrain, so the tool starts quickly.
"""
