"""The claim in miniature: small runs of every host with and without the branch, and their controls.

Read in this order: :mod:`arms` (who runs), :mod:`regimes` (on what, how long, with which
settings), :mod:`recipe` (config of a run), :mod:`data`, :mod:`instruments` (what is measured),
:mod:`runs` (resumable execution), :mod:`tables` (what comes out). ``tools/miniature.py`` is the
command.
"""
