"""Names resolve as an OpenMMLab user writes them, from any scope."""

import subprocess
import sys

import mmengine.registry
import mmpretrain.registry
import pytest

import mmdssl.registry


def test_our_names_resolve_with_prefix_from_the_root_and_from_mmpretrain():
    for registry, name in (
        ('MODELS', 'IBOT'),
        ('DATASETS', 'ImageFolder'),
        ('HOOKS', 'ObjectKNNHook'),
    ):
        own = getattr(mmdssl.registry, registry).get(name)
        assert own is not None
        assert getattr(mmengine.registry, registry).get(f'mmdssl.{name}') is own
        assert getattr(mmpretrain.registry, registry).get(f'mmdssl.{name}') is own


def test_inherited_names_resolve_without_prefix():
    assert mmdssl.registry.MODELS.get('ResNet') is mmpretrain.registry.MODELS.get('ResNet')
    assert mmdssl.registry.HOOKS.get('LoggerHook') is mmengine.registry.HOOKS.get('LoggerHook')


@pytest.mark.parametrize(
    ('registry', 'names'),
    [
        (
            'MODELS',
            'IBOT DecouplingBranch DenseViT IBOTHead MultiViewPreprocessor FeatureExtractor',
        ),
        (
            'TRANSFORMS',
            'GridRegions RegionCollaborativeCutout ProposalCutout BlockwiseMask RandomPatchMask '
            'RectangleForeground DisturbBackground MultiViewWithBoxes PackViews',
        ),
        ('DATASETS', 'ImageFolder CocoObjects'),
        ('METRICS', 'ObjectKNN'),
        ('HOOKS', 'ObjectKNNHook TeacherUpdateHook SafeCheckpointHook BadImagesHook'),
    ],
)
def test_public_names_are_registered(registry, names):
    for name in names.split():
        assert getattr(mmdssl.registry, registry).get(name) is not None, name


def test_importing_the_package_is_light():
    code = (
        'import sys, mmdssl; heavy = {"torch", "mmengine", "mmpretrain", "cv2"} & set(sys.modules);'
        'sys.exit(len(heavy))'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_constructors_take_keywords_but_for_what_a_framework_hands_over():
    """As CONTRIBUTING says: a config names what it sets, and an argument may move."""
    import inspect

    from mmdssl import registry

    handed = {'params', 'optim_wrapper_cfg', 'paramwise_cfg', 'optimizer'}
    looked_at = 0
    for name in registry.__all__:
        getattr(registry, name).import_from_location()
        for component in getattr(registry, name).module_dict.values():
            own = component.__module__.startswith('mmdssl') and inspect.isclass(component)
            if not own or '__init__' not in vars(component):
                continue
            looked_at += 1
            arguments = list(inspect.signature(component.__init__).parameters.values())[1:]
            free = [a.name for a in arguments if a.kind is a.POSITIONAL_OR_KEYWORD]
            assert set(free) <= handed, f'{component.__name__}: {free}'
    assert looked_at > 50
