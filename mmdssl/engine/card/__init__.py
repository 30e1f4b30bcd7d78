"""A card: everything that is measured of a backbone, on the same photos as of any other."""
