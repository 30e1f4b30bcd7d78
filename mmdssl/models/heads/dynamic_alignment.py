"""Dynamic alignment of MaskAlign (CVPR 2023): each teacher layer has its mix of student layers.

    s_i = Linear_i(sum over j of W_ij h_j)

for the teacher's layers i, with the student's hidden states h_j and a learned matrix W that starts
as the identity + 0.01.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from mmengine.model import BaseModule
from torch import Tensor, nn


class DynamicAlignment(BaseModule):
    """Brings the hidden states of a student into the spaces of its teacher's layers.

    Args:
        depth: Blocks of student and teacher.
        in_channels: Width of the student.
        out_channels: Width of the teacher.
        layers: Teacher layers that are aligned, from 0. The linears of the others exist, as
            in the official code, but are frozen: nothing would train them.

    Attributes:
        matrix: W (depth, depth), row i for teacher layer i; not to be decayed.
        linears: One a teacher layer.
    """

    def __init__(
        self, *, depth: int, in_channels: int, out_channels: int, layers: Sequence[int]
    ) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.register_buffer('rows', torch.tensor(self.layers), persistent=False)
        self.rows: Tensor
        self.matrix = nn.Parameter(self._start(depth))
        self.linears = nn.ModuleList(nn.Linear(in_channels, out_channels) for _ in range(depth))
        for index, linear in enumerate(self.linears):
            linear.requires_grad_(index in self.layers)

    def init_weights(self) -> None:
        """Matrix identity + 0.01; Xavier for the linears."""
        with torch.no_grad():
            self.matrix.copy_(self._start(len(self.matrix)))
        for name, parameter in self.linears.named_parameters():
            if name.endswith('bias'):
                nn.init.zeros_(parameter)
            else:
                nn.init.xavier_uniform_(parameter)

    def forward(self, hidden: Sequence[Float[Tensor, '*n c']]) -> list[Float[Tensor, '*n d']]:
        """Align.

        Args:
            hidden: Student states of all blocks, (..., C) each.

        Returns:
            One (..., D) for each of ``layers``.
        """
        # (layers, depth) x (depth, ..., C) -> (layers, ..., C)
        mixed = torch.tensordot(
            self.matrix.index_select(0, self.rows), torch.stack(list(hidden)), 1
        )
        return [self.linears[i](x) for i, x in zip(self.layers, mixed, strict=True)]

    @staticmethod
    def _start(depth: int) -> Float[Tensor, '{depth} {depth}']:
        return torch.eye(depth) + 0.01
