"""Boxes that may hold objects, made once without labels and kept in one file per data set."""
