"""What every floor above stands on: plain files, clock, schedules, random streams, wording.

Nothing here knows a data set, a model or a run. Import its parts by name: some need torch, some
nothing at all.
"""
