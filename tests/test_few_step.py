"""The few-step student is taught what the flow model would do, keeps what is known, and ends in weights that sample."""

import csv
import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from sorakit.diffusion.exact import GaussianMixture
from sorakit.diffusion.sampler import Sampler, shifted, velocities
from sorakit.training import few_step
from sorakit.training.few_step import STEPS, Guide, Student, Walks, draw_spans, time_at
from sorakit.training.flow import LatentStore
from sorakit.transformer.model import Transformer
from sorakit.types import Conditioning
from sorakit.weights import load_weights

SHAPE = (24, 3, 3, 2, 2)
MEAN, STD = 0.5, 0.3


def flow(x, t, t_next):
    """Where the flow of one Gaussian, N(MEAN, STD^2), carries x: known in closed form."""
    size = lambda t: (((1 - t) * STD) ** 2 + t**2).sqrt().unsqueeze(1)
    t_, t_next_ = t.unsqueeze(1), t_next.unsqueeze(1)
    return (1 - t_next_) * MEAN + size(t_next) / size(t) * (x - (1 - t_) * MEAN)


def exact(x, t, words, mask, fps=8.0, *, span):
    """The few-step model of that Gaussian that cannot be better."""
    return torch.where(span.unsqueeze(1) > 0, (x - flow(x, t, t - span)) / span.unsqueeze(1).clamp_min(1e-9), 0.0)


class Told:
    """A text encoder of one word of one number, 0."""

    def network(self, vectors, mask):
        return vectors, mask

    def encode(self, texts):
        return torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool)


@pytest.fixture
def guide():
    world = GaussianMixture(torch.full((1, *SHAPE[1:]), MEAN), torch.tensor([STD]))
    return Guide(world, Told(), torch.zeros(9, 1), 1.0, "one")


@pytest.fixture
def walks(guide, tmp_path):
    return walks_of(guide, tmp_path, SHAPE)


def walks_of(guide, folder, shape):
    """A batch of walks whose known latents are of films of the Gaussian."""
    paths = guide.paths(folder, 1, shape[0], 0.0, 5)
    guide.walk(paths, Films(shape), shape[0], 0.0)
    return Walks(**load_file(paths[0]))


class Films:
    """A store of films of the Gaussian, all of one caption."""

    def __init__(self, shape):
        self.shape = shape

    def batch(self, size, draw, still_share):
        films = MEAN + STD * torch.randn(size, *self.shape[1:], generator=draw)
        return films, torch.zeros(size, 1).long(), torch.ones(size, 1, dtype=torch.bool), None


def asked(n, width=1):
    there = torch.ones(n, 1, dtype=torch.bool)
    return Conditioning(torch.zeros(n, 1, width), there, torch.zeros(n, 1, width), there)


def test_spans_are_steps_of_samplers_or_anywhere_in_their_shares():
    begin, end = draw_spans(20_000, torch.Generator().manual_seed(0))
    length, most = end - begin, max(STEPS)
    assert begin.min() == 0 and end.max() == most
    for steps, share in zip(STEPS, few_step.SHARES):
        these = length * steps == most
        share = (1 - few_step.LAST) * share + few_step.LAST * (steps == 4)
        assert abs(these.float().mean() - share) < 0.02
        on_grid = begin[these] % (most // steps) == 0
        assert on_grid.float().mean() > 0.5 and (steps in (1, most) or on_grid.float().mean() < 0.9)
    of_four = end[length == most // 4]
    assert (of_four == most).float().mean() > few_step.LAST / (few_step.LAST + 0.7 * few_step.SHARES[1])


def test_walks_follow_the_flow_and_are_made_once(guide, walks, tmp_path):
    known = walks.known
    assert known.any() and not known.all()
    for k in range(max(STEPS) - 1):                          # the last step is too long for two of the teacher's
        t, t_next = (time_at(torch.full((SHAPE[0],), at), torch.zeros_like(known)) for at in (k, k + 1))
        apart = walks.x[k + 1].float() - flow(walks.x[k].float(), t, t_next)
        assert apart.masked_fill(known.unsqueeze(1), 0).abs().max() < 0.03
    path, = tmp_path.iterdir()
    before = path.stat().st_mtime_ns
    walks_of(guide, tmp_path, SHAPE)
    assert [p.stat().st_mtime_ns for p in tmp_path.iterdir()] == [before]
    other = dataclasses.replace(guide, guidance=2.0)
    assert other.paths(tmp_path, 1, SHAPE[0], 0.0, 5) != [path]


def test_an_exact_student_has_next_to_nothing_to_learn_and_a_wrong_one_has(guide, walks):
    loss = lambda student: walks.loss(student, guide, torch.arange(SHAPE[0]),
                                      *draw_spans(SHAPE[0], torch.Generator().manual_seed(1))).item()
    assert loss(exact) < 0.01                                # what is left is the error of the teacher's small steps
    assert loss(lambda *a, span: exact(*a, span=span) + 0.5) == pytest.approx(0.25, abs=0.05)


def test_known_tokens_stay_and_do_not_count(guide, walks):
    seen = []

    def student(x, t, words, mask, span):
        seen.append((x, t, span))
        return exact(x, t, words, mask, span=span) + 100 * walks.known.unsqueeze(1)

    half = torch.full((SHAPE[0],), max(STEPS) // 2)
    assert walks.loss(student, guide, torch.arange(SHAPE[0]), half, half + 2) < 0.01
    (x, t, span), = seen
    where = walks.known.unsqueeze(1).expand_as(x)
    assert torch.equal(x[where], walks.x[-1].float()[where])
    assert (t[walks.known] == 0).all() and (span[walks.known] == 0).all()
    assert torch.allclose(t[~walks.known], shifted(torch.tensor(0.5))) and (span[~walks.known] > 0).all()


def test_films_are_as_unlike_to_the_flow_model_as_they_are_blurred(tiny_weights):
    weights = load_weights(tiny_weights)
    guide = Guide(Transformer.from_weights(weights).requires_grad_(False), Told(), torch.zeros(9, 1), 1.0, "tiny")
    film, known = torch.randn(2, 8, 3, 5, 9), torch.zeros(2, 3, 5, 9, dtype=torch.bool)
    known[:, 0] = True
    words = asked(2, 64)
    unlike = lambda other: guide.unlike(other, film, known, words.vectors, words.mask, torch.Generator().manual_seed(0))
    blurred = [torch.lerp(film, film.mean((3, 4), keepdim=True).expand_as(film), much) for much in (0.0, 0.2, 0.6)]
    blurred[2].requires_grad_()
    none, some, much = map(unlike, blurred)
    assert none == 0 and 0 < some < much
    much.backward()
    assert blurred[2].grad[:, :, 1:].abs().sum() > 0
    other = torch.where(known.unsqueeze(1), film + 1, film)              # what is known is not the student's to mend
    assert unlike(other) < unlike(film + 1)


def test_whole_films_also_have_to_look_alike(guide, walks, monkeypatch):
    """With draw, films that a span ends in are compared, and only these."""
    seen = []
    monkeypatch.setattr(Guide, "unlike", lambda _, film, other, *more: seen.append((film, other)) or torch.tensor(1.0))
    begin, end = torch.tensor([6, 0, 4]), torch.tensor([8, 4, 8])
    loss = lambda *more: walks.loss(exact, guide, torch.arange(3), begin, end, None, *more)
    assert loss(torch.Generator()) - loss() == pytest.approx(few_step.LOOKS)
    (film, other), = seen
    assert torch.equal(other, walks.x[-1, [0, 2]].float())
    assert (film - other).abs().mean() < 0.1
    end[[0, 2]] = 7
    assert loss(torch.Generator()) == loss() and len(seen) == 1


def test_walks_are_guided(guide, tmp_path):
    """Two kinds of films; asked for one, guidance leads further towards it."""
    means = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1, 1).expand(2, 3, 3, 2, 2).contiguous()
    world = GaussianMixture(means, torch.tensor([0.5, 0.5]))
    told = Told()
    told.network = lambda vectors, mask: (torch.tensor([[[0.0, 1.0]]]).expand(len(mask), -1, -1), mask)
    told.encode = lambda texts: (torch.zeros(1, 1, 2), torch.ones(1, 1, dtype=torch.bool))
    ends = {scale: walks_of(Guide(world, told, torch.zeros(9, 1), scale, "two"), tmp_path, SHAPE).x[-1].float().mean()
            for scale in (1.0, 3.0)}
    assert ends[3.0] > ends[1.0] + 0.1


class Small(nn.Module):
    """A student for one Gaussian: a film's velocity from x and both times."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 2))

    def forward(self, x, t, words, mask, fps=8.0, span=None):
        a, b = self.layers(torch.stack([t, span, t - span], -1)).unbind(-1)              # (b, t, h, w)
        return a.unsqueeze(1) * x + b.unsqueeze(1)


def test_a_student_learns_to_make_in_one_step_what_takes_the_flow_model_many(tmp_path):
    torch.manual_seed(0)
    world = GaussianMixture(torch.full((1, 1, 1, 1, 1), MEAN), torch.tensor([STD]))
    guide, n = Guide(world, Told(), torch.zeros(9, 1), 1.0, "one"), 256
    walks, student = walks_of(guide, tmp_path, (n, 1, 1, 1, 1)), Small()
    optimiser = torch.optim.Adam(student.parameters(), 5e-3)
    for k in range(300):
        loss = walks.loss(student, guide, torch.arange(n), *draw_spans(n, torch.Generator().manual_seed(k)))
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
                                                  device="cpu", guidance=3.0,
                                                  data=tmp_path, walks=2, **options)
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

    draw = torch.Generator().manual_seed(0)
    return LatentStore([(torch.randn(8, 8, 3, 5, 9, generator=draw).half(),
                         torch.randint(5, 900, (8, 4, MAX_WORDS), generator=draw).short(),
                         torch.arange(MAX_WORDS).expand(8, 4, -1) < 6,
                         torch.zeros(8, 3, 5, 9).half(), torch.zeros(8, 11).char(), torch.ones(8))])


def test_before_training_the_student_is_the_flow_model(tiny_weights):
    weights = load_weights(tiny_weights)
    student, teacher = Student(weights).few_step, Transformer.from_weights(weights)
    x, t = torch.randn(2, 8, 3, 5, 9), torch.rand(2, 3, 5, 9)
    words = asked(2, 64)
    a = student(x, t, words.vectors, words.mask, span=t / 2)
    assert torch.allclose(a, velocities(teacher, x, t, words, 1.0, 8.0)[0], atol=1e-5)
    assert torch.equal(time_at(torch.tensor([0]), torch.zeros(1, 1, 1, 1).bool()), torch.ones(1, 1, 1, 1))


@pytest.mark.parametrize("guidance", [0.5, float("nan")])
def test_too_little_guidance_is_named(guidance):
    with pytest.raises(ValueError, match="guidance="):
        few_step.train(guidance=guidance)
