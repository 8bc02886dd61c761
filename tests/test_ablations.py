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


def test_routed_patches_come_back_as_they_were_and_none_are_routed_in_a_film(ablations):
    from contextlib import ExitStack

    from sorakit.training import flow

    torch.manual_seed(0)
    body, labels = torch.rand(2, 3, 2, 2, 3), torch.zeros(2, len(flow.ATTRIBUTES), dtype=torch.long)
    latents, noise = torch.randn(2, 2, 8, 3, 2, 2)
    given = (latents, torch.randn(2, 5, 16), torch.ones(2, 5, dtype=torch.bool), torch.zeros(2, 3, 2, 2,
                                                                                             dtype=torch.bool), noise)
    with ExitStack() as patches:
        ablations.ARMS["routed"][1](patches)
        routed = flow.FlowModel(8, 16, 64, flow.PRESETS["nano"]["depth"], 2)
        torch.nn.init.normal_(routed.transformer.out.down.weight)
        seen = []
        last = len(routed.transformer.blocks) - 3
        for k in (1, last):
            routed.transformer.blocks[k].register_forward_hook(lambda block, given, x: seen.append(x))
        loss = routed(*given, torch.rand(2), None, body, labels)
        loss.backward()
        same = (seen[0] == seen[1]).all(-1).view(2, 3, 4)                # (b, t, places)
        assert same.sum(-1).unique().tolist() == [2] and (same == same[:1, :1]).all()
        films = [routed.transformer.eval()(latents, torch.full((2, 3, 2, 2), 0.5), *routed.text(*given[1:3]))]
    plain = flow.FlowModel(8, 16, 64, flow.PRESETS["nano"]["depth"], 2)
    plain.load_state_dict(routed.state_dict())
    films.append(plain.transformer.eval()(latents, torch.full((2, 3, 2, 2), 0.5), *plain.text(*given[1:3])))
    assert torch.equal(*films)


def test_an_arm_is_one_only_while_it_trains(ablations):
    from contextlib import ExitStack

    from sorakit.training import flow

    now = lambda: (flow.optimisers, flow.Transformer, model.Block, flow.HEARD, flow.FlowModel.of_bodies)
    before = now()
    for name, (_, patch) in ablations.ARMS.items():
        with ExitStack() as patches:
            patch(patches)
            changed = [new is not old for new, old in zip(now(), before)]
            assert sum(changed) == {"ships": 0, "routed": 2}.get(name, 1)
        assert now() == before
