"""Solvers and guides step for step as diffusers', and of their order on a flow that is known exactly."""

import math
from functools import partial

import pytest
import torch

from sorakit.diffusion.exact import GaussianMixture
from sorakit.diffusion.guidance import GUIDES, Split, apg, cfg, cfg_zero
from sorakit.diffusion.sampler import Sampler, Skip, noise_of, schedule, shapes
from sorakit.diffusion.solvers import SOLVERS, At, ddim
from sorakit.transformer.model import Transformer
from sorakit.types import Conditioning

SHAPE = (2, 3, 2, 2, 2)
ODE = ("euler", "heun", "dpmpp_2m", "unipc", "ddim")


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*(shape or SHAPE), generator=torch.Generator().manual_seed(seed), dtype=dtype)


def three_kinds(dtype):
    return GaussianMixture(random(3, *SHAPE[1:], dtype=dtype), torch.tensor([0.3, 0.6, 1.0], dtype=dtype),
                           torch.tensor([1.0, 2.0, 1.0], dtype=dtype))


@pytest.fixture(scope="module")
def mixture():
    return three_kinds(torch.float32)


def asking(*logits):
    """Conditioning that asks a mixture of as many kinds for these, and null that says nothing."""
    there = torch.ones(1, 1, dtype=torch.bool)
    return Conditioning(torch.tensor([[logits]]), there, torch.zeros(1, 1, len(logits)), there)


NOTHING = asking(0.0, 0.0, 0.0)


def walk(method, field, noise, times, **options):
    return list(Sampler(method=method).steps(field, noise, NOTHING, times=times, guidance=1.0, **options))


# --- against diffusers ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def diffusers():
    return pytest.importorskip("diffusers")


def compare(method, mixture, scheduler, times, **tolerance):
    """Our steps against the scheduler's, which is given the same velocities."""
    steps = walk(method, mixture, random(), times)
    x = random()
    for step, t in zip(steps, scheduler.timesteps):
        assert torch.allclose(step.x, x, atol=2e-5, rtol=1e-4), f"before step {step.index}"
        x = scheduler.step(step.velocity, t, x, **tolerance).prev_sample
    assert torch.allclose(steps[-1].x_next, x, atol=2e-5, rtol=1e-4)


def test_euler_is_flow_match_euler(diffusers, mixture):
    scheduler, times = diffusers.FlowMatchEulerDiscreteScheduler(), schedule(8)
    scheduler.set_timesteps(sigmas=times[:-1])
    compare("euler", mixture, scheduler, times)


def test_heun_is_flow_match_heun(diffusers, mixture):
    scheduler = diffusers.FlowMatchHeunDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(7)
    times = [scheduler.sigmas[0].item(), *scheduler.sigmas[1::2].tolist()]
    steps = walk("heun", mixture, random(), times)
    x = random()
    for step in steps:
        assert torch.allclose(step.x, x, atol=2e-5)
        x = scheduler.step(step.velocity, scheduler.timesteps[2 * step.index], x).prev_sample
        if step.t_next:
            t = torch.full((len(x), *x.shape[2:]), step.t_next)
            there = mixture(x, t, NOTHING.vectors.expand(len(x), -1, -1), NOTHING.mask.expand(len(x), -1))
            x = scheduler.step(there, scheduler.timesteps[2 * step.index + 1], x).prev_sample
    assert torch.allclose(steps[-1].x_next, x, atol=2e-5)


@pytest.mark.parametrize("steps", [1, 2, 3, 9, 20])
def test_multistep_solvers_are_dpm_solver_and_unipc(diffusers, mixture, steps):
    options = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
    for method, scheduler in (("dpmpp_2m", diffusers.DPMSolverMultistepScheduler(**options)),
                              ("unipc", diffusers.UniPCMultistepScheduler(**options))):
        scheduler.set_timesteps(steps)
        compare(method, mixture, scheduler, scheduler.sigmas.tolist())


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_is_ddim_on_the_scaled_path(diffusers, mixture, eta):
    times = [0.98, 0.9, 0.8, 0.5, 0.2, 0.1, 0.0]
    scheduler = diffusers.DDIMScheduler(num_train_timesteps=6, clip_sample=False, prediction_type="sample")
    scheduler.set_timesteps(6)
    size = [((1 - t) ** 2 + t**2) ** 0.5 for t in times]                  # variance-preserving: x_t / size
    scheduler.alphas_cumprod = torch.tensor([(1 - t) ** 2 / s**2 for t, s in zip(times, size)][:-1]).flip(0)
    ours, theirs = (torch.Generator().manual_seed(3) for _ in range(2))
    steps = walk(partial(ddim, eta=eta), mixture, random(), times, generator=ours)
    x = random()
    for step, s, s_next in zip(steps, size, size[1:]):
        assert torch.allclose(step.x, x, atol=1e-5)
        noise = torch.randn(SHAPE, generator=theirs) if step.t_next else torch.zeros(SHAPE)
        x = s_next * scheduler.step(step.x0, scheduler.timesteps[step.index].item(), x / s, eta=eta,
                                    variance_noise=noise).prev_sample
    assert torch.allclose(steps[-1].x_next, x, atol=1e-5)


def test_ancestral_is_euler_ancestral_on_the_exploding_path(diffusers, mixture):
    times = [0.9, 0.7, 0.4, 0.15, 0.0]
    scheduler = diffusers.EulerAncestralDiscreteScheduler()
    scheduler.set_timesteps(4)
    scheduler.sigmas = torch.tensor([t / (1 - t) for t in times])         # variance-exploding: x_t / (1 - t)
    noise = random(1, *SHAPE[1:])
    steps = walk("ancestral", mixture, noise, times, generator=torch.Generator().manual_seed(3))
    x, generator = noise, torch.Generator().manual_seed(3)
    for step, t in zip(steps, scheduler.timesteps):
        assert torch.allclose(step.x, x, atol=1e-5)
        x = (1 - step.t_next) * scheduler.step(step.x0 + step.velocity, t, scheduler.scale_model_input(x, t) * 0
                                               + x / (1 - step.t), generator=generator).prev_sample
    assert torch.allclose(steps[-1].x_next, x, atol=1e-5)


def test_few_step_is_flow_map_euler(diffusers):
    scheduler, times = diffusers.FlowMapEulerDiscreteScheduler(), schedule(4)
    scheduler.set_timesteps(sigmas=times[:-1])
    field = lambda x, t, words, mask, fps, span: x * span.unsqueeze(1) + t.unsqueeze(1)
    x = random()
    steps = walk("few_step", field, x, times)
    for step, t in zip(steps, scheduler.timesteps):
        assert torch.allclose(step.x, x, atol=1e-6)
        assert torch.allclose(step.velocity, x * (step.t - step.t_next) + step.t, atol=1e-6)
        x = scheduler.step(step.velocity, t, x).prev_sample
    assert torch.allclose(steps[-1].x_next, x, atol=1e-6)


def split(seed=0, scale=4.0, t=0.8, index=3, memory=None):
    return Split(random(seed=seed), random(seed=seed + 1), scale, random(seed=seed + 2), t, index,
                 {} if memory is None else memory)


def test_guides_are_diffusers_guiders(diffusers):
    from diffusers.guiders import ClassifierFreeGuidance, ClassifierFreeZeroStarGuidance
    from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance

    for guide, guider in ((cfg, ClassifierFreeGuidance(4.0)), (cfg_zero, ClassifierFreeZeroStarGuidance(4.0))):
        for index in range(2):
            guider.set_state(index, 8, torch.tensor(0))
            ours = guide(split(index=index))
            assert torch.allclose(ours, guider.forward(split().conditional, split().unconditional).pred, atol=1e-5)
    memory, buffer = {}, MomentumBuffer(-0.5)
    for seed in (0, 10):                                                 # the second step remembers the first
        at = split(seed, memory=memory)
        films = [at.x - at.t * v for v in (at.conditional, at.unconditional)]
        threshold = 0.3 * films[0][0].numel() ** 0.5
        theirs = normalized_guidance(*films, at.scale - 1, buffer, 0.25, threshold, use_original_formulation=True)
        ours = apg(at, eta=0.25, limit=0.3)
        assert torch.allclose(at.x - at.t * ours, theirs, atol=1e-4)


# --- against the exact flow -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exact():
    return three_kinds(torch.float64)


def true_flow(field, x, times):
    """Where the flow carries x between two times: Runge and Kutta's method of the fourth order, in 100 steps."""
    words, word_mask = NOTHING.vectors.expand(len(x), -1, -1), NOTHING.mask.expand(len(x), -1)
    velocity = lambda x, t: field(x, torch.full((len(x), *x.shape[2:]), t, dtype=x.dtype), words, word_mask)
    h = (times[1] - times[0]) / 100
    for t in (times[0] + k * h for k in range(100)):
        a = velocity(x, t)
        b = velocity(x + h / 2 * a, t + h / 2)
        c = velocity(x + h / 2 * b, t + h / 2)
        x = x + h / 6 * (a + 2 * b + 2 * c + velocity(x + h * c, t + h))
    return x


def errors(field, method, steps, times=(1.0, 0.0), cache={}):                                          # noqa: B006
    """How far from the true flow a solver lands, in so many even steps."""
    noise = random(dtype=torch.float64)
    if times not in cache:
        cache[times] = true_flow(field, noise, times)
    even = [[times[0] + k / n * (times[1] - times[0]) for k in range(n + 1)] for n in steps]
    return [(walk(method, field, noise, path)[-1].x_next - cache[times]).norm().item() for path in even]


@pytest.mark.parametrize("method,order", [("euler", 1), ("ddim", 1), ("heun", 2), ("dpmpp_2m", 2), ("unipc", 3)])
def test_the_error_falls_with_the_order_of_the_solver(exact, method, order):
    """Between the ends of the path, where a step in log_snr is not endless."""
    off = errors(exact, method, (16, 32, 64), (0.9, 0.1))
    ratios = [math.log2(a / b) for a, b in zip(off, off[1:])]
    assert all(order - 0.45 < ratio < order + 0.45 for ratio in ratios), ratios


def test_higher_orders_are_nearer_to_the_film_at_equal_cost(exact):
    off = {method: errors(exact, method, [n])[0] for method, n in
           (("euler", 24), ("heun", 12), ("dpmpp_2m", 24), ("unipc", 24))}
    assert max(off["unipc"], off["dpmpp_2m"], off["heun"]) < 0.3 * off["euler"], off


@pytest.mark.parametrize("method", [*ODE, "ancestral"])
def test_every_solver_brings_films_of_the_world(mixture, method):
    """Means and spread of 4,000 films of a mixture that has two kinds, far apart and of unlike sizes."""
    world = GaussianMixture(torch.tensor([-2.0, 1.0]).view(2, 1, 1, 1, 1), torch.tensor([0.1, 0.3]))
    films = Sampler(method=method, shift=1.0)(world, random(4000, 1, 1, 1, 1), asking(0.0, 0.0), steps=60,
                                              guidance=1.0, generator=torch.Generator()).values.flatten()
    left = films < -1
    assert abs(left.float().mean() - 0.5) < 0.03
    assert abs(films[left].mean() + 2) < 0.05 and abs(films[~left].mean() - 1) < 0.05
    assert 0.05 < films[left].std() < 0.15 and 0.2 < films[~left].std() < 0.36


def test_the_mixtures_velocity_is_what_its_films_say():
    """The mean of noise - x0 over a million films and noises that meet near one point x at time t."""
    world = GaussianMixture(torch.tensor([-1.0, 1.5]).view(2, 1, 1, 1, 1), torch.tensor([0.4, 0.8]),
                            torch.tensor([3.0, 1.0]))
    draw = torch.Generator().manual_seed(0)
    x0 = world.sample(1_000_000, draw)
    noise = torch.randn(x0.shape, generator=draw)
    for x, t in ((0.2, 0.5), (-1.0, 0.3), (0.7, 0.8)):
        near = ((1 - t) * x0 + t * noise - x).abs() < 0.02
        at = world(torch.full((1, 1, 1, 1, 1), x), torch.full((1, 1, 1, 1), t), torch.zeros(1, 1, 2),
                   torch.ones(1, 1, dtype=torch.bool))
        assert abs((noise - x0)[near].mean() - at.item()) < 0.04


def test_known_latents_and_words_tell_the_mixture_what_kind_of_film_it_is():
    means = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1, 1).expand(2, 3, 2, 2, 2).contiguous()
    world = GaussianMixture(means, torch.tensor([0.2, 0.2]))
    noise = random(64, 3, 2, 2, 2)
    known, mask = torch.ones_like(noise), torch.zeros(64, 2, 2, 2, dtype=torch.bool)
    mask[:, 0] = True
    for method in ODE + ("ancestral",):
        told = Sampler(method=method)(world, noise, asking(0.0, 0.0), known, mask, steps=20, guidance=1.0).values
        assert torch.equal(told[:, :, 0], known[:, :, 0]), method
        assert (told[:, :, 1].mean((1, 2, 3)) > 0.5).all(), method
    asked = Sampler()(world, noise, asking(9.0, 0.0), steps=20, guidance=1.0).values
    assert (asked.mean((1, 2, 3, 4)) < -0.5).all()


# --- in the learner's hands -------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*ODE, "ancestral"])
def test_a_changed_film_goes_on_as_if_it_had_begun_there(mixture, method):
    times, changed = schedule(6, shift=3.0), random(seed=9)
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    steps = Sampler(method=method).steps(mixture, random(), NOTHING, times=times, guidance=1.0,
                                         generator=generators[0])
    for _ in range(3):
        next(steps)
    steps.send(changed)
    *_, last = steps
    if method == "ancestral":                                            # three steps have drawn their noise
        torch.randn(3, *SHAPE, generator=generators[1])
    anew = walk(method, mixture, changed, times[3:], generator=generators[1])[-1]
    assert torch.equal(last.x_next, anew.x_next)


def test_ancestral_films_are_their_noises_own_alone_or_in_a_batch(mixture):
    noise = random()
    sample = lambda noise: Sampler(method="ancestral")(mixture, noise, NOTHING, steps=4, guidance=1.0).values
    both = sample(noise)
    assert torch.equal(both, sample(noise)) and torch.allclose(both[1:], sample(noise[1:]), atol=1e-5)
    assert not torch.allclose(both, Sampler()(mixture, noise, NOTHING, steps=4, guidance=1.0).values, atol=0.1)


def test_no_two_films_share_their_fresh_noise_and_no_two_steps():
    noise = random(400, 1, 1, 1, 2)
    fresh = noise_of(noise, None)
    assert len({value.item() for t in (1.0, 0.99, 0.5) for value in fresh(t)[:, 0, 0, 0, 0]}) == 1200
    assert torch.equal(fresh(0.5)[7:8], noise_of(noise[7:8], None)(0.5))


def test_guidance_outside_of_its_interval_costs_nothing_and_does_nothing():
    seen = []

    def field(x, t, words, mask, fps):
        seen.append(len(x))
        return words.mean((1, 2)).view(-1, 1, 1, 1, 1) + torch.zeros_like(x)

    sampler, times = Sampler(interval=(0.3, 0.8)), [1.0, 0.8, 0.5, 0.3, 0.0]
    steps = list(sampler.steps(field, random(1, 1, 1, 1, 1), asking(1.0, 1.0), times=times, guidance=3.0))
    assert seen == [1, 2, 2, 1] and [step.guidance for step in steps] == [1.0, 3.0, 3.0, 1.0]
    assert [step.velocity.item() for step in steps] == [1.0, 3.0, 3.0, 1.0]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_guide_pulls_to_the_prompt_and_leaves_what_is_known(guide):
    means = torch.stack([torch.full((3, 2, 2, 2), -0.4), torch.full((3, 2, 2, 2), 0.4)])
    world, noise = GaussianMixture(means, torch.tensor([0.5, 0.5])), random(32, 3, 2, 2, 2)
    known, mask = random(32, 3, 2, 2, 2, seed=5), torch.zeros(32, 2, 2, 2, dtype=torch.bool)
    mask[:, 0, 0] = True
    films = [Sampler(guide=guide, shift=8.0)(world, noise, asking(0.0, 1.0), known, mask, steps=20, guidance=g).values
             for g in (1.0, 4.0)]
    where = mask.unsqueeze(1).expand_as(noise)
    assert all(torch.equal(film[where], known[where]) for film in films)
    assert (films[1] - films[0])[~where].mean() > 0.02


def test_own_functions_are_methods_and_guides(mixture):
    seen = []

    def backwards(at: At):
        seen.append(at)
        return at.x - (at.t_next - at.t) * at.velocity

    noise = random()
    (step,) = Sampler(method=backwards, guide=lambda split: split.unconditional).steps(
        mixture, noise, asking(9.0, 0.0, 0.0), steps=1, guidance=3.0)
    assert torch.equal(step.x_next, noise + step.unconditional) and len(seen) == 1


@pytest.mark.parametrize("sampler,arguments,words", [
    (Sampler(method="rk45"), {}, "method='rk45' is not one of euler, heun"),
    (Sampler(guide="more"), {}, "guide='more' is not one of cfg"),
    (Sampler(), {"times": [1.0, 0.5, 0.6]}, "do not fit"),
    (Sampler(), {"times": [1.2, 0.0]}, "do not fit"),
    (Sampler(), {"times": [1.0]}, "do not fit"),
    (Sampler(method="few_step"), {"guidance": 4.0}, "folded into them"),
    (Sampler(method=partial(ddim, eta=2.0)), {}, "eta=2.0"),
])
def test_bad_arguments_are_named(mixture, sampler, arguments, words):
    with pytest.raises(ValueError, match=words):
        sampler(mixture, random(), NOTHING, **arguments)


def test_mixtures_that_do_not_fit_are_named(unchecked):
    with pytest.raises(ValueError, match="are 2, 1 and 1"):
        GaussianMixture(torch.zeros(2, 1, 1, 1, 1), torch.ones(1))
    with pytest.raises(ValueError, match="positive"):
        GaussianMixture(torch.zeros(2, 1, 1, 1, 1), torch.tensor([1.0, 0.0]))


def test_every_method_by_name_takes_a_step(mixture):
    field = lambda x, t, words, mask, fps, span=None: mixture(x, t, words, mask)
    for method in SOLVERS:
        assert Sampler(method=method)(field, random(), NOTHING, steps=3, guidance=1.0).values.isfinite().all()


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 12, 14])
def test_shapes_skips_parts_that_a_transformer_of_that_depth_has(depth):
    parts = shapes(depth).parts
    assert set(parts) <= set(Transformer(3, 64, depth, 2).names())
    assert len(set(parts)) == 2 or depth < 5


def test_skipping_parts_is_diffusers_skip_layer_guidance(diffusers):
    from diffusers.guiders import SkipLayerGuidance

    torch.manual_seed(0)
    network = Transformer(3, 64, 2, 2)
    torch.nn.init.normal_(network.out.down.weight, std=0.2)
    words = lambda n: (torch.randn(1, n, 64), torch.ones(1, n, dtype=torch.bool))
    conditioning = Conditioning(*words(5), *words(2))
    noise, skip = torch.randn(2, 3, 2, 2, 3), Skip(("blocks.0.space",), 2.5, (0.2, 0.9))
    (first, second, third) = Sampler(skip=skip, interval=(0.4, 1.0)).steps(
        network, noise, conditioning, times=[0.95, 0.8, 0.3, 0.0], guidance=4.0)
    with network.without("blocks.0.space"):
        alone = network(second.x, torch.full((2, 2, 2, 3), 0.8), conditioning.vectors.expand(2, -1, -1),
                        conditioning.mask.expand(2, -1))
    assert torch.allclose(second.skipped, alone, atol=1e-5) and not torch.allclose(alone, second.conditional, atol=1e-3)
    guider = SkipLayerGuidance(4.0, skip_layer_guidance_scale=2.5, skip_layer_guidance_start=0.0,
                               skip_layer_guidance_stop=1.0, skip_layer_guidance_layers=[0])
    guider.set_state(1, 8, torch.tensor(0))
    theirs = guider.forward(second.conditional, second.unconditional, second.skipped).pred
    assert torch.allclose(second.velocity, theirs, atol=1e-4)
    assert first.skipped is None and third.unconditional is None and third.skipped is not None
    assert torch.allclose(third.velocity, third.conditional + 2.5 * (third.conditional - third.skipped), atol=1e-5)
    (plain,) = Sampler(skip=skip).steps(network, noise, conditioning, times=[0.8, 0.0], guidance=1.0)
    assert plain.skipped is None and torch.equal(plain.velocity, plain.conditional)
