"""Images in tar shards of WebDataset's layout, read by index: names, files, making, checking."""
