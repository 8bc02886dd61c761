"""The autoencoder is causal, starts as principal components, and takes what it says it takes."""

import pytest
import torch

from sorakit.latent.autoencoder import SPACE, TIME, Autoencoder, joined


@pytest.fixture(scope="module")
def model():
    """Untrained, but with every weight away from zero, so that whatever could leak does."""
    torch.manual_seed(0)
    model = Autoencoder(channels=8, width=8).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return model


@torch.no_grad()
def test_shapes_there_and_back(model):
    for frames, height, width in ((17, 80, 144), (1, 112, 112), (5, 144, 80)):
        latents = model.encode(torch.rand(2, 3, frames, height, width))
        assert latents.shape == (2, 8, 1 + (frames - 1) // TIME, height // SPACE, width // SPACE)
        assert model.decode(latents).shape == (2, 3, frames, height, width)


@torch.no_grad()
def test_a_latent_depends_on_no_later_frame(model):
    frames = torch.rand(1, 3, 9, 32, 48)
    changed = frames.clone()
    changed[:, :, 5:] = torch.rand(1, 3, 4, 32, 48)                    # frames 5.. belong to latents 3 and 4
    before, after = model.encode(frames), model.encode(changed)
    assert torch.equal(before[:, :, :3], after[:, :, :3])
    assert (before[:, :, 3:] != after[:, :, 3:]).any()


@torch.no_grad()
def test_a_decoded_frame_depends_on_no_later_latent(model):
    latents = torch.randn(1, 8, 5, 2, 3)
    changed = latents.clone()
    changed[:, :, 3:] = torch.randn(1, 8, 2, 2, 3)
    before, after = model.decode(latents), model.decode(changed)
    assert torch.allclose(before[:, :, :5], after[:, :, :5], atol=1e-6)
    assert not torch.allclose(before[:, :, 5:], after[:, :, 5:])


@torch.no_grad()
def test_the_first_frame_alone_has_the_latent_that_it_has_in_a_film(model):
    frames = torch.rand(1, 3, 5, 32, 32)
    assert torch.allclose(model.encode(frames)[:, :, :1], model.encode(frames[:, :, :1]), atol=1e-6)


@pytest.mark.parametrize("axis", [3, 4])
def test_patches_that_differ_a_little_join_and_edges_of_things_stay(axis):
    shape = [1, 3, 2, 48, 64]
    slope = torch.linspace(-0.4, 0.4, shape[axis]).view(-1, *[1] * (4 - axis)).expand(shape)
    patches = torch.tensor([0.0, 0.1, -0.1, 0.0][:shape[axis] // SPACE]).repeat_interleave(SPACE)
    patches = patches.view(-1, *[1] * (4 - axis)).expand(shape)
    step_at = lambda film, k=SPACE: float(film.diff(dim=axis).select(axis, k - 1).mean())
    flat = joined(slope + patches)
    own = step_at(slope)
    assert step_at(slope + patches) == pytest.approx(own + 0.1, abs=1e-5)
    assert abs(step_at(flat) - own) < 0.015                                          # they meet half-way,
    assert step_at(flat, 4) == pytest.approx(own, abs=1e-5)                          # and further off are as they were
    assert torch.allclose(joined(slope), slope, atol=1e-6)
    thing = slope + 12 * patches                                                 # 150 levels: two things meet there
    assert step_at(joined(thing)) > own + 1.1
    busy = slope + patches + 0.3 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert (joined(busy) - busy).abs().mean() < 0.1 * (flat - slope - patches).abs().mean()


@torch.no_grad()
def test_a_film_of_one_patch_has_nothing_to_join(model):
    frames = torch.rand(1, 3, 3, SPACE, SPACE)
    assert joined(frames) is frames and model.decode(model.encode(frames)).shape == frames.shape


@torch.no_grad()
def test_it_starts_as_the_best_linear_map():
    """Before any training the network's own part is 0, and what is left is principal component analysis."""
    rng = torch.Generator().manual_seed(0)
    basis = torch.randn(8, 3 * TIME * SPACE * SPACE, generator=rng)
    patches = torch.randn(60, 8, generator=rng) @ basis                 # truth: patches of exactly 8 dimensions
    frames = patches.view(60, 3, TIME, SPACE, SPACE)
    frames = frames[:, :, :1].repeat(1, 1, 3, 1, 1)                     # still films: both frames alike
    model = Autoencoder(channels=8, width=8)
    share = model.start_from_principal_components(frames)
    assert share[:8].sum() > 0.999
    assert torch.allclose(model.decode(model.encode(frames)), frames, atol=1e-2 * frames.abs().max())


@pytest.mark.parametrize("shape", [(1, 3, 16, 80, 144), (1, 3, 17, 81, 144), (1, 3, 17, 80, 140)])
def test_a_film_that_does_not_fit_is_named(model, shape):
    with pytest.raises(ValueError, match=r"takes 1 \+ 2k frames"):
        model.encode(torch.zeros(shape))


def test_the_decoder_costs_at_most_25_thousand_operations_a_pixel():
    from torch.utils.flop_counter import FlopCounterMode

    model = Autoencoder()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.decode(torch.zeros(1, model.channels, 9, 5, 9))
    assert counter.get_total_flops() / (18 * 80 * 144) < 25_000                # all the frames that it works out
