"""The ViT of the small configs (``vit-micro``), as ``arch`` of :class:`DenseViT`."""

MICRO = dict(embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768)
