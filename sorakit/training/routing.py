"""Token routing, for training: while it lasts, a random half of the places pass by the blocks in the middle and come
back as they were, so that these cost half as much (TREAD: Krause et al. 2025, arXiv:2501.04765)."""

from __future__ import annotations

import torch

from ..transformer.model import Transformer

ENDS = 2          # blocks at either end that every patch goes through


class Routing:
    """Lets half of a transformer's places pass by all blocks but the first two and the last two.

    The same places are kept in all frames of all films of a step. Films that are made meanwhile, without gradients, go
    through all blocks.
    """

    def __init__(self, transformer: Transformer):
        self.draw: torch.Generator | None = None      # decides which places are kept; all, where it is None
        self.kept: torch.Tensor | None = None         # the patches kept of the last step, (n,), None if all were
        self.passed = None
        middle = transformer.blocks[ENDS:-ENDS]
        for block in middle:
            block.forward = self._around(block.forward, block is middle[0], block is middle[-1])

    def _around(self, run, first: bool, last: bool):
        def forward(x, modulation, words, word_mask, place, frames, see):
            if first:
                routed = self.draw is not None and torch.is_grad_enabled()
                self.passed, self.kept = x, self._some(len(place) // frames, frames, x.device) if routed else None
                x = x[:, self.kept] if routed else x
            if self.kept is None:
                return run(x, modulation, words, word_mask, place, frames, see)
            modulation = modulation if modulation.shape[1] == 1 else modulation[:, self.kept]
            x = run(x, modulation, words, word_mask, place[self.kept], frames, see)
            return self.passed.index_copy(1, self.kept, x) if last else x
        return forward

    def _some(self, places: int, frames: int, device) -> torch.Tensor:
        some = torch.randperm(places, generator=self.draw)[:-(-places // 2)].sort().values
        return (torch.arange(frames)[:, None] * places + some).flatten().to(device)
