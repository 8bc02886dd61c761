"""Rectified flow and its sampler against closed forms."""

import math

import pytest
import torch

from sorakit.diffusion.flow import RectifiedFlow, draw_known
from sorakit.diffusion.sampler import Sampler, schedule
from sorakit.types import Conditioning

WORDS = Conditioning(torch.ones(1, 3, 4), torch.ones(1, 3, dtype=torch.bool), torch.zeros(1, 1, 4),
                     torch.ones(1, 1, dtype=torch.bool))


def to_one_film(film):
    """The exact velocity field when the data is one single film: (x - film) / t."""
    return lambda x, t, words, mask, fps=8.0: (x - film) / t.clamp_min(1e-6).unsqueeze(1)


def gaussian(mean, std):
    """The exact velocity field for data from N(mean, std^2): E[noise - x0 | x_t]."""

    def field(x, t, words, mask, fps=8.0):
        t = t.unsqueeze(1)
        variance = ((1 - t) * std) ** 2 + t**2
        residual = x - (1 - t) * mean
        return (t / variance) * residual - mean - ((1 - t) * std**2 / variance) * residual

    return field


def test_the_path_runs_from_the_film_to_the_noise_at_constant_velocity():
    x0, noise = torch.randn(2, 3, 2, 2, 2), torch.randn(2, 3, 2, 2, 2)
    flow, at = RectifiedFlow(), lambda t: torch.full((2, 2, 2, 2), t)
    assert torch.allclose(flow.interpolate(x0, noise, at(0.0)), x0)
    assert torch.allclose(flow.interpolate(x0, noise, at(1.0)), noise)
    slope = (flow.interpolate(x0, noise, at(0.7)) - flow.interpolate(x0, noise, at(0.2))) / 0.5
    assert torch.allclose(slope, flow.velocity(x0, noise), atol=1e-5)


def test_the_loss_of_the_true_field_is_nothing_and_known_tokens_do_not_count():
    x0, noise = torch.randn(2, 3, 3, 2, 2), torch.randn(2, 3, 3, 2, 2)
    known = torch.zeros(2, 3, 2, 2, dtype=torch.bool)
    known[:, 0] = True
    seen = {}

    def field(x, t, words, mask):
        seen.update(x=x, t=t)
        wrong = torch.zeros_like(x)
        wrong[:, :, 0] = 100.0                                          # wrong only where the film is known
        return noise - x0 + wrong

    loss = RectifiedFlow().loss(field, x0, None, None, known, noise, torch.tensor([0.3, 0.9]))
    assert loss.item() < 1e-10
    assert torch.equal(seen["x"][:, :, 0], x0[:, :, 0]) and (seen["t"][:, 0] == 0).all()
    assert torch.allclose(seen["t"][:, 1:], torch.tensor([0.3, 0.9]).view(2, 1, 1, 1).expand(2, 2, 2, 2))


def test_times_are_two_logit_normals():
    logits = torch.logit(RectifiedFlow().times(20_000, torch.Generator().manual_seed(0)))
    mean, variance = 0.2 * 4.0 + 0.8 * 0.8, 0.2 * (1.0 + 4.0**2) + 0.8 * (1.5**2 + 0.8**2)
    assert abs(logits.mean().item() - mean) < 0.05 and abs(logits.square().mean().item() - variance) < 0.2


def test_times_of_a_batch_are_spread_evenly():
    for seed in range(20):
        times = RectifiedFlow().times(20, torch.Generator().manual_seed(seed))
        assert (times[4:].diff() > 0).all() and (times[:4].diff() > 0).all()            # one of each twentieth
        assert ((times[4:] < torch.sigmoid(torch.tensor(0.8))).sum() - 8).abs() <= 1      # the median


def test_known_masks_come_in_the_shares_that_they_are_said_to():
    known = draw_known((4000, 5, 3, 4), torch.Generator().manual_seed(0))
    frames = known.flatten(2).all(2)                                    # (b, t)
    assert abs((~known.flatten(1).any(1)).float().mean() - 0.5) < 0.03
    only_first = frames[:, 0] & ~known[:, 1:].flatten(1).any(1)
    assert only_first.float().mean() > 0.18
    assert (frames[:, -1] & ~frames[:, 0]).float().mean() > 0.04        # the last few
    assert (frames[:, 0] & frames[:, -1] & ~frames[:, 2]).float().mean() > 0.06
    assert (known.flatten(1).any(1) & ~frames.any(1)).float().mean() > 0.05     # scattered
    assert not known.flatten(1).all(1).any()


def test_the_schedule_runs_from_noise_to_film():
    times = schedule(25)
    assert times[0] == 1 and times[-1] == 0 and all(a > b for a, b in zip(times, times[1:]))
    assert schedule(4, shift=1.0) == [1, 0.75, 0.5, 0.25, 0]


def test_one_step_reaches_a_single_film_exactly():
    film, noise = torch.randn(1, 3, 2, 2, 2), torch.randn(1, 3, 2, 2, 2)
    out = Sampler()(to_one_film(film), noise, WORDS, steps=1, guidance=1.0)
    assert torch.allclose(out.values, film, atol=1e-5)


def test_more_steps_come_nearer_to_the_exact_flow_of_a_gaussian():
    """The flow maps noise z to mean + std * z: Euler's error must halve when the steps double."""
    noise = torch.randn(1, 3, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    truth = 0.5 + 0.3 * noise
    errors = [(Sampler(shift=8.0)(gaussian(0.5, 0.3), noise, WORDS, steps=n, guidance=1.0).values - truth).abs().max()
              .item() for n in (60, 120, 240)]
    assert errors[2] < 0.04
    assert all(0.4 < b / a < 0.62 for a, b in zip(errors, errors[1:]))


def test_known_latents_come_back_unchanged_and_are_told_to_be_clean():
    noise, known = torch.randn(1, 3, 3, 2, 2), torch.randn(1, 3, 3, 2, 2)
    mask = torch.zeros(1, 3, 2, 2, dtype=torch.bool)
    mask[:, 0] = True
    times = []

    def field(x, t, words, word_mask, fps):
        times.append(t)
        assert torch.equal(x[:, :, 0], known.expand(len(x), -1, -1, -1, -1)[:, :, 0])
        return torch.ones_like(x)

    out = Sampler()(field, noise, WORDS, known, mask, steps=5, guidance=3.0).values
    assert torch.equal(out[:, :, 0], known[:, :, 0]) and not torch.equal(out[:, :, 1:], noise[:, :, 1:])
    assert all((t[:, 0] == 0).all() and (t[:, 1:] > 0).all() for t in times)


def test_guidance_goes_past_the_prompt_away_from_no_prompt():
    field = lambda x, t, words, mask, fps: words.mean((1, 2)).view(-1, 1, 1, 1, 1) + torch.zeros_like(x)
    noise = torch.zeros(1, 3, 2, 2, 2)
    for guidance in (1.0, 2.5):
        (step,) = Sampler().steps(field, noise, WORDS, steps=1, guidance=guidance)
        assert math.isclose(step.velocity.mean().item(), guidance, abs_tol=1e-6)
        assert (step.unconditional is None) == (guidance == 1.0)


def test_what_a_learner_sends_back_is_what_the_next_step_uses():
    film, noise = torch.zeros(1, 3, 2, 2, 2), torch.ones(1, 3, 2, 2, 2)
    steps = Sampler().steps(to_one_film(film), noise, WORDS, steps=3, guidance=1.0)
    first = next(steps)
    steps.send(torch.full_like(first.x_next, 7.0))
    assert (next(steps).x == 7.0).all()


@pytest.mark.parametrize("arguments,words", [({"steps": 0}, "steps=0"), ({"mask": torch.ones(1, 2, 2, 2).bool()},
                                                                            "known and mask")])
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        Sampler()(to_one_film(0), torch.randn(1, 3, 2, 2, 2), WORDS, **arguments)


def test_a_learner_changes_guidance_words_and_what_is_known_between_steps(tiny_weights):
    import sorakit as sk
    from sorakit.diffusion.sampler import Change

    pipe = sk.load(tiny_weights, "cpu")
    noise = pipe.noise(0.5, "16:9", 0)
    cat, dog = (pipe.text_encoder(pipe.prompt(prompt)) for prompt in ("a cat", "a dog"))
    known, mask = torch.ones_like(noise), torch.zeros_like(noise[:, 0], dtype=torch.bool)
    mask[:, 0] = True

    def walk(change=None, **options):
        steps = pipe.sampler.steps(pipe.transformer, noise, cat, steps=4, **options)
        made = []
        for step in steps:
            made.append(step)
            if step.index == 1 and change:
                assert steps.send(change) is step
        return made

    plain, free, other = walk(), walk(Change(guidance=1.0)), walk(Change(conditioning=dog))
    assert torch.equal(free[2].x, plain[2].x) and free[1].guidance == 4 and free[2].guidance == 1
    assert free[2].unconditional is None and torch.allclose(free[2].velocity, plain[2].conditional, atol=1e-4)
    assert torch.allclose(other[2].unconditional, plain[2].unconditional, atol=1e-4)
    assert not torch.allclose(other[2].conditional, plain[2].conditional, atol=1e-2)
    given = walk(Change(known=known, mask=mask))
    assert (given[2].x[:, :, 0] == 1).all() and (given[-1].x_next[:, :, 0] == 1).all()
    assert torch.equal(given[2].x[:, :, 1:], plain[2].x[:, :, 1:])
