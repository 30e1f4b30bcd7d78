# SoCo's search, the defaults of mmdssl proposals: a file made otherwise is refused. Where
# another one is meant, e.g. of small pictures: --cfg-options
# train_dataloader.dataset.pipeline.1.expect=None
proposals_made_with = dict(
    scale=300, sigma=0.9, min_size=100, min_side=32, max_aspect=3, size=(0.3, 0.8)
)
