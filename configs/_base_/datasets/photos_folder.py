# A folder of photos without labels, and labelled ones elsewhere to measure on. Batch size and
# pipeline are the method's.
_base_ = ['./image_loader.py', './labelled_object_knn.py']

data_root = 'data/photos/'
train_dataloader = dict(dataset=dict(data_root=data_root))
