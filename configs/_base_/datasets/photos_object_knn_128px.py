# O-KNN of photos at 128 px, for networks trained on views of that size or below: objects are about
# as large as in the views, and the position table of a ViT is made for it.
_base_ = './photos_object_knn.py'

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

object_knn_dataloader = changed(
    _base_.object_knn_dataloader, ((dict(type='ResizeWithBoxes'), dict(size=128)),)
)
