"""Annotated shapes are checked in the tests, and everything that should be annotated is."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

from mmdssl.models.losses.alignment_loss import alignment_loss
from tests.conftest import ROOT
from tests.shapes import PACKAGES


def files() -> list[Path]:
    found = []
    for name in PACKAGES:
        place = ROOT / name.replace('.', '/')
        found += sorted(place.glob('*.py')) if place.is_dir() else [place.with_suffix('.py')]
    return found


def bare(node: ast.AST) -> Iterator[ast.AST]:
    """Names of array types outside a ``Float[Tensor, 'b c']`` of their own."""
    if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in ('Tensor', 'np.ndarray'):
        yield node
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        dims = node.slice.elts[-1]
        if isinstance(dims, ast.Constant) and isinstance(dims.value, str):
            return
    for child in ast.iter_child_nodes(node):
        yield from bare(child)


def test_a_shape_that_would_broadcast_is_refused():
    with pytest.raises(TypeCheckError, match='target'):
        alignment_loss(torch.zeros(2, 3, 4), torch.zeros(1, 3, 4))


@pytest.mark.parametrize('path', files(), ids=lambda path: path.stem)
def test_every_tensor_has_its_shape(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            stated = [one.annotation for one in arguments] + [node.returns]
            for annotation in filter(None, stated):
                places = [f'{path.name}:{one.lineno}' for one in bare(annotation)]
                assert not places, f'{node.name}: give shapes, {", ".join(places)}'


def test_users_pay_nothing():
    """Nothing in the package asks for checks: annotations alone do nothing."""
    for path in (ROOT / 'mmdssl').rglob('*.py'):
        text = path.read_text()
        assert not any(word in text for word in ('beartype', 'jaxtyped', 'install_import_hook')), (
            path
        )
