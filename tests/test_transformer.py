"""The transformer sees what its parts say it sees, and starts where its preconditioning says."""

import pytest
import torch

from sorakit.latent.text import CaptionTransformer
from sorakit.transformer.model import Block, Head, Transformer, place_waves, rotary_angles, rotate
from sorakit.transformer.probe import Probes


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = Transformer(channels=6, width=64, depth=2, heads=2)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return model.eval()


def inputs(frames=3, h=2, w=4, words=5):
    torch.manual_seed(1)
    return (torch.randn(2, 6, frames, h, w), torch.rand(2, frames, h, w), torch.randn(2, words, 64),
            torch.ones(2, words, dtype=torch.bool))


def test_rotary_attention_depends_on_distances_only():
    torch.manual_seed(0)
    q, k = torch.randn(1, 32), torch.randn(1, 32)
    place = rotary_angles(8, 4, 6, 8.0).view(8, 4, 6, 16)
    score = lambda a, b: (rotate(q, place[a][None]) * rotate(k, place[b][None])).sum()
    assert torch.allclose(score((0, 0, 0), (2, 1, 3)), score((4, 2, 1), (6, 3, 4)), atol=1e-4)
    assert not torch.allclose(score((0, 0, 0), (2, 1, 3)), score((0, 0, 0), (3, 1, 3)), atol=1e-2)


def test_the_head_sees_a_patchs_own_place_in_the_frames_beside_it():
    torch.manual_seed(0)
    head, tokens, x = Head(6, 64, beside=1), torch.randn(1, 12, 64), torch.randn(1, 12, 6)      # 3 frames of 4 patches
    changed = x.clone()
    changed[:, 9] += 1                                                  # the second patch of the last frame
    moved = (head(tokens, changed, 3) - head(tokens, x, 3)).abs().amax(-1)[0] > 1e-6
    assert moved.nonzero().flatten().tolist() == [5, 9]
    one = Head(6, 64)
    one.up.weight.data = head.up.weight.data[:, :70].clone()            # its own latents come first, then those beside
    head.up.weight.data[:, 70:] = 0
    one.up.bias.data, one.down = head.up.bias.data, head.down
    assert torch.allclose(one(tokens, x, 3), head(tokens, x, 3), atol=1e-6)
    still = Head(6, 64, beside=2)
    assert still(tokens[:, :4], x[:, :4], 1).shape == (1, 4, 6)         # a film of one frame has none beside it


def test_rotation_keeps_lengths():
    x = torch.randn(7, 32)
    assert torch.allclose(rotate(x, rotary_angles(7, 1, 1, 8.0)).norm(dim=-1), x.norm(dim=-1), atol=1e-5)


def test_time_is_in_seconds_so_that_twice_the_rate_has_twice_the_frames():
    slow, fast = rotary_angles(3, 1, 1, 8.0), rotary_angles(5, 1, 1, 16.0)
    assert torch.allclose(slow, fast[::2])


def test_places_are_in_frame_heights_from_the_centre():
    grid = rotary_angles(1, 4, 6, 8.0).view(4, 6, 16)
    assert torch.allclose(grid[..., 6:], -grid.flip(0, 1)[..., 6:], atol=1e-6)
    square = rotary_angles(1, 4, 4, 8.0).view(4, 4, 16)
    assert torch.allclose(grid[:, 1:5], square, atol=1e-6)


def test_space_attention_stays_in_its_frame_and_time_attention_does_not():
    torch.manual_seed(0)
    x = torch.randn(1, 12, 64)
    changed = x.clone()
    changed[:, 8:] += 1                                                 # the last of three frames of four patches
    for axis, stays in (("space", True), ("time", False)):
        block = Block(64, 2, axis, "blocks.0")
        place = rotary_angles(3, 2, 2, 8.0)
        before, after = (block.self_attention(v, place, 3, Probes())[:, :8] for v in (x, changed))
        assert torch.allclose(before, after, atol=1e-5) == stays


@torch.no_grad()
def test_a_patch_knows_its_place_even_when_all_look_alike(model):
    """In pure noise nothing else tells sky from ground."""
    x, t, words, mask = inputs(frames=2)
    same = x[:, :, :1, :1, :1].expand_as(x)
    out = model(same, torch.ones_like(t), words, mask)
    assert out.std((3, 4)).min() > 1e-3


def test_places_are_the_same_in_every_aspect():
    wide, square = place_waves(4, 8).view(4, 8, 16), place_waves(4, 4).view(4, 4, 16)
    assert torch.allclose(wide[:, 2:6], square, atol=1e-6)
    assert len(wide.view(-1, 16).unique(dim=0)) == 32


@torch.no_grad()
def test_masked_words_change_nothing(model):
    x, t, words, mask = inputs()
    mask[:, 3:] = False
    changed = words.clone()
    changed[:, 3:] = 9.0
    assert torch.allclose(model(x, t, words, mask), model(x, t, changed, mask), atol=1e-5)
    changed[:, 2] = 9.0
    assert not torch.allclose(model(x, t, words, mask), model(x, t, changed, mask), atol=1e-3)


@torch.no_grad()
def test_each_token_has_its_own_time(model):
    x, t, words, mask = inputs()
    changed = t.clone()
    changed[:, 0] = 0.0
    assert not torch.allclose(model(x, t, words, mask), model(x, changed, words, mask), atol=1e-3)


@torch.no_grad()
def test_untrained_it_gives_the_best_guess_that_ignores_everything_but_the_scale():
    """For x0 ~ N(0, s^2) the optimal velocity E[noise - x0 | x_t] is (t - (1 - t) s^2) x_t / ((1 - t)^2 s^2 + t^2)."""
    model = Transformer(channels=6, width=64, depth=2, heads=2)
    model.scale.copy_(torch.linspace(0.2, 3, 6))
    x, t, words, mask = inputs()
    s, t_ = model.scale.view(-1, 1, 1, 1), t.unsqueeze(1)
    best = (t_ - (1 - t_) * s.square()) * x / ((1 - t_).square() * s.square() + t_.square())
    assert torch.allclose(model(x, t, words, mask), best, atol=1e-5)


@torch.no_grad()
def test_an_empty_caption_leaves_the_summary_and_padding_changes_nothing():
    torch.manual_seed(0)
    text = CaptionTransformer(word_width=16, width=64, heads=2).eval()
    vectors, mask = torch.randn(1, 6, 16), torch.tensor([[True, True, True, False, False, False]])
    out, out_mask = text(vectors, mask)
    assert out.shape == (1, 7, 64) and out_mask.tolist() == [[True] * 4 + [False] * 3]
    assert torch.allclose(out[:, :4], text(vectors[:, :3], mask[:, :3])[0], atol=1e-5)
    empty, empty_mask = text(vectors, torch.zeros_like(mask))
    assert empty_mask.sum() == 1 and torch.isfinite(empty[:, 0]).all()
