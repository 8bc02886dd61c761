"""The arms of the ablations differ from what ships in the one thing that they say, and nothing in a training leaks."""

import importlib
from pathlib import Path

import pytest
import torch

from sorakit.transformer import model
from sorakit.transformer.model import Block, rotary_angles
from sorakit.transformer.probe import Probes


@pytest.fixture(scope="module")
def ablations():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
        yield importlib.import_module("ablations")


@torch.no_grad()
def touched(kind, axis):
    """Which of 3 frames of 2 x 2 patches change, when the last patch of the first frame does."""
    torch.manual_seed(0)
    block, place = kind(64, 2, axis, "blocks.0"), rotary_angles(3, 2, 2, 8.0)
    x = torch.randn(1, 12, 64)
    other = x.clone()
    other[:, 3] += 1
    apart = block.self_attention(other, place, 3, Probes()) - block.self_attention(x, place, 3, Probes())
    return (apart.abs().amax(-1)[0] > 1e-6).nonzero().flatten().tolist()


def test_blocks_see_what_the_arm_says(ablations):
    assert touched(Block, "space") == touched(ablations.SamePlace, "space") == [0, 1, 2, 3]
    assert touched(Block, "time") == list(range(12)) == touched(ablations.Everywhere, "space")
    assert touched(ablations.SamePlace, "time") == [3, 7, 11]


@pytest.mark.parametrize("arm", ["velocity", "film"])
def test_a_network_that_knows_what_it_is_asked_for_gives_the_velocity(ablations, arm, monkeypatch):
    kind = {"velocity": ablations.Velocity, "film": ablations.Film}[arm](4, 64, 2, 2)
    kind.scale.copy_(torch.tensor([0.5, 1.0, 2.0, 4.0]))
    film, noise = torch.randn(2, 2, 4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    scale = kind.scale.view(-1, 1, 1, 1)
    known = (noise - film) / (1 + scale.square()).sqrt() if arm == "velocity" else film / scale
    monkeypatch.setattr(kind, "network", lambda *_: known)
    t = torch.tensor([0.1, 0.9]).view(2, 1, 1, 1).expand(2, 3, 2, 2)
    x = (1 - t.unsqueeze(1)) * film + t.unsqueeze(1) * noise
    assert torch.allclose(kind(x, t, None, None), noise - film, atol=1e-4)


def test_an_arm_is_one_only_while_it_trains(ablations):
    from contextlib import ExitStack

    from sorakit.training import flow

    now = lambda: (flow.optimisers, flow.Transformer, model.Block, flow.HEARD, flow.FlowModel.of_bodies, flow.train)
    before = now()
    for name, (_, patch) in ablations.ARMS.items():
        with ExitStack() as patches:
            patch(patches)
            changed = [new is not old for new, old in zip(now(), before)]
            assert sum(changed) == (name != "ships")
        assert now() == before
