# Photos with random boxes in place of a search for proposals: nothing has to be made before.
load = [
    dict(type='LoadImage'),
    dict(type='GridRegions', grid=3, scale=(0.1, 0.4), key='proposals'),
]
