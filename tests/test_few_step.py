"""The few-step student is taught what the flow model would do, keeps what is known, and ends in weights that sample."""

import csv
import json

import pytest
import torch
from torch import nn

from sorakit.diffusion.exact import GaussianMixture
from sorakit.diffusion.sampler import Sampler, shifted, velocities
from sorakit.training import few_step
from sorakit.training.few_step import STEPS, Lessons, Student, at, draw_spans
from sorakit.transformer.model import Transformer
from sorakit.types import Conditioning
from sorakit.weights import load_weights

SHAPE = (6, 3, 3, 2, 2)
MEAN, STD = 0.5, 0.3


def flow(x, t, t_next):
    """Where the flow of one Gaussian, N(MEAN, STD^2), carries x: known in closed form."""
    size = lambda t: (((1 - t) * STD) ** 2 + t**2).sqrt().unsqueeze(1)
    t_, t_next_ = t.unsqueeze(1), t_next.unsqueeze(1)
    return (1 - t_next_) * MEAN + size(t_next) / size(t) * (x - (1 - t_) * MEAN)


def exact(x, t, words, mask, fps=8.0, *, span):
    """The few-step model of that Gaussian that cannot be better."""
    return torch.where(span.unsqueeze(1) > 0, (x - flow(x, t, t - span)) / span.unsqueeze(1).clamp_min(1e-9), 0.0)


@pytest.fixture
def world():
    return GaussianMixture(torch.full((1, *SHAPE[1:]), MEAN), torch.tensor([STD]))


def asked(n, width=1):
    there = torch.ones(n, 1, dtype=torch.bool)
    return Conditioning(torch.zeros(n, 1, width), there, torch.zeros(n, 1, width), there)


def drawn(seed=0):
    generator = torch.Generator().manual_seed(seed)
    x0, noise = (torch.randn(SHAPE, generator=generator) for _ in range(2))
    known = torch.zeros(SHAPE[0], *SHAPE[2:], dtype=torch.bool)
    known[::2, 0] = True
    return MEAN + STD * x0, noise, known


def test_spans_are_steps_of_samplers_or_anywhere_in_their_shares():
    u, u_next = draw_spans(20_000, torch.Generator().manual_seed(0))
    length = u - u_next
    assert (u_next >= 0).all() and (u <= 1).all()
    for steps, share in zip(STEPS, few_step.SHARES):
        these = (length * steps - 1).abs() < 1e-4
        assert abs(these.float().mean() - share) < 0.02
        on_grid = ((u[these] * steps).round() - u[these] * steps).abs() < 1e-4
        assert on_grid.float().mean() > 0.45
        assert steps == 1 or on_grid.float().mean() < 0.6


def test_an_exact_student_has_next_to_nothing_to_learn_and_a_wrong_one_has(world):
    x0, noise, known = drawn()
    u, u_next = draw_spans(SHAPE[0], torch.Generator().manual_seed(1))
    lessons = Lessons(world, exact, guidance=1.0)
    loss = lambda student, own: lessons.loss(student, x0, noise, asked(SHAPE[0]), known, own, u, u_next).item()
    for own in (torch.zeros(SHAPE[0], dtype=torch.bool), torch.ones(SHAPE[0], dtype=torch.bool)):
        assert loss(exact, own) < 0.02                       # what is left is the error of the teacher's small steps
        assert loss(lambda *a, span: exact(*a, span=span) + 0.5, own) == pytest.approx(0.25, abs=0.1)


def test_known_tokens_stay_and_do_not_count(world):
    x0, noise, known = drawn()
    seen = []

    def student(x, t, words, mask, span):
        seen.append((x, t, span))
        return exact(x, t, words, mask, span=span) + 100 * known.unsqueeze(1)

    u = torch.full((SHAPE[0],), 0.5)
    own = torch.arange(SHAPE[0]) % 3 == 0
    loss = Lessons(world, exact, 1.0).loss(student, x0, noise, asked(SHAPE[0]), known, own, u, u - 0.25)
    assert loss < 0.02
    (x, t, span), = seen
    where = known.unsqueeze(1).expand_as(x)
    assert torch.equal(x[where], x0[where]) and (t[known] == 0).all() and (span[known] == 0).all()
    assert torch.allclose(t[~known], shifted(torch.tensor(0.5))) and (span[~known] > 0).all()


def test_the_teacher_is_guided():
    """Two kinds of films; asked for one, the end of a taught span is where guided Euler steps lead."""
    means = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1, 1).expand(2, 3, 3, 2, 2).contiguous()
    world = GaussianMixture(means, torch.tensor([0.5, 0.5]))
    there = torch.ones(1, 1, dtype=torch.bool)
    want = Conditioning(torch.tensor([[[0.0, 1.0]]]), there, torch.zeros(1, 1, 2), there)
    x = torch.randn(1, *SHAPE[1:], generator=torch.Generator().manual_seed(0))
    none = torch.zeros(1, *SHAPE[2:], dtype=torch.bool)
    end = Lessons(world, exact, guidance=3.0).taught(x, torch.tensor([0.5]), torch.tensor([0.375]), want, none)
    times = [shifted(0.5 - 0.125 * k / few_step.SUBSTEPS) for k in range(few_step.SUBSTEPS + 1)]
    assert torch.allclose(end, Sampler()(world, x, want, times=times, guidance=3.0).values, atol=1e-5)
    assert not torch.allclose(end, Sampler()(world, x, want, times=times, guidance=1.0).values, atol=1e-3)


class Small(nn.Module):
    """A student for one Gaussian: a film's velocity from x and both times."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 2))

    def forward(self, x, t, words, mask, fps=8.0, span=None):
        a, b = self.layers(torch.stack([t, span, t - span], -1)).unbind(-1)              # (b, t, h, w)
        return a.unsqueeze(1) * x + b.unsqueeze(1)


def test_a_student_learns_to_make_in_one_step_what_takes_the_flow_model_many():
    torch.manual_seed(0)
    world = GaussianMixture(torch.full((1, 1, 1, 1, 1), MEAN), torch.tensor([STD]))
    student, n = Small(), 128
    lessons, optimiser = Lessons(world, student, guidance=1.0), torch.optim.Adam(student.parameters(), 5e-3)
    nothing = torch.zeros(n, 1, 1, 1, dtype=torch.bool)
    for k in range(200):
        draw = torch.Generator().manual_seed(k)
        x0, noise = (torch.randn(n, 1, 1, 1, 1, generator=draw) for _ in range(2))
        loss = lessons.loss(student, MEAN + STD * x0, noise, asked(n), nothing, nothing[:, 0, 0, 0],
                            *draw_spans(n, draw))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    noise = torch.randn(512, 1, 1, 1, 1, generator=torch.Generator().manual_seed(99))
    error = lambda film: (film.values - MEAN - STD * noise).square().mean().sqrt().item()
    euler = {steps: error(Sampler()(world, noise, asked(1), steps=steps, guidance=1.0)) for steps in (1, 2, 4, 24)}
    for steps in (1, 2, 4):
        few = error(Sampler(method="few_step")(student, noise, asked(1), steps=steps))
        assert few < 0.6 * euler[steps] and few < 2.2 * euler[24]        # nearly as good as what taught it


def test_training_ends_in_weights_that_make_films_in_few_steps(tiny_weights, tmp_path, monkeypatch):
    store = few_step_store()
    monkeypatch.setattr(few_step, "cache_latents", lambda *args, **kwargs: store)
    before = load_weights(tiny_weights)
    run = lambda steps, **options: few_step.train(tiny_weights, 5, tmp_path / "out", batch=4, max_steps=steps,
                                                  device="cpu", guidance=3.0, **options)
    run(2, samples=False)
    out = run(3)                                                         # goes on, at the third step
    with (tmp_path / "out" / "curve.csv").open() as file:
        assert [row[0] for row in csv.reader(file)] == ["1", "2", "3"]
    assert (tmp_path / "out" / "look.png").stat().st_size > 1000
    weights, card = load_weights(out), json.loads((out / "card.json").read_text())
    assert card["few_step"]["guidance"] == 3.0 and card["few_step"]["training"]["steps"] == 3
    assert all(torch.equal(weights.flow[name], value) for name, value in before.flow.items())
    student, asks = Student(weights).few_step, asked(1, 64)
    student.load_state_dict({name.removeprefix("few_step."): value for name, value in weights.flow.items()
                             if name.startswith("few_step.")})
    noise = torch.randn(1, 8, 3, 5, 9)
    known, mask = torch.randn_like(noise), torch.zeros(1, 3, 5, 9, dtype=torch.bool)
    mask[:, 0] = True
    film = Sampler(method="few_step")(student, noise, asks, known, mask, steps=4).values
    assert torch.equal(film[:, :, 0], known[:, :, 0]) and film.isfinite().all()


def few_step_store():
    from sorakit.latent.text import MAX_WORDS
    from sorakit.training.flow import LatentStore

    draw = torch.Generator().manual_seed(0)
    return LatentStore([(torch.randn(8, 8, 3, 5, 9, generator=draw).half(),
                         torch.randint(5, 900, (8, 4, MAX_WORDS), generator=draw).short(),
                         torch.arange(MAX_WORDS).expand(8, 4, -1) < 6,
                         torch.zeros(8, 3, 5, 9).half(), torch.ones(8))])


def test_before_training_the_student_is_the_flow_model(tiny_weights):
    weights = load_weights(tiny_weights)
    student, teacher = Student(weights).few_step, Transformer.from_weights(weights)
    x, t = torch.randn(2, 8, 3, 5, 9), torch.rand(2, 3, 5, 9)
    words = asked(2, 64)
    a = student(x, t, words.vectors, words.mask, span=t / 2)
    assert torch.allclose(a, velocities(teacher, x, t, words, 1.0, 8.0)[0], atol=1e-5)
    assert torch.equal(at(torch.tensor([1.0]), torch.zeros(1, 1, 1, 1).bool()), torch.ones(1, 1, 1, 1))


@pytest.mark.parametrize("guidance", [0.5, float("nan")])
def test_too_little_guidance_is_named(guidance):
    with pytest.raises(ValueError, match="guidance="):
        few_step.train(guidance=guidance)
