"""The checks of the exercises. Each takes the student's own function, and names the usual mistakes.

`checks.psnr(psnr)` prints what is right about it, or raises `NotYet`, of which a notebook shows the message only.
"""

from __future__ import annotations

import functools
import math

import sorakit  # noqa: F401  (before torch, whose threads it tells how to wait)

# isort: split
import numpy as np
import torch

from sorakit.diffusion.exact import GaussianMixture
from sorakit.diffusion.sampler import Sampler, schedule
from sorakit.types import Conditioning


class NotYet(AssertionError):
    """What is not right yet, and perhaps why."""

    def _render_traceback_(self) -> list[str]:                # what IPython shows instead of a traceback
        return [f"Not yet: {self}"]


def checked(check):
    """Prints what a check returns; a function that is still a stub is told so."""
    @functools.wraps(check)
    def run(function):
        try:
            good = check(function)
        except NotImplementedError:
            raise NotYet(f"{function.__name__} is not written. Put your code where it says YOUR CODE HERE, run that "
                         "cell, then this one.") from None
        print(f"Right. {good}")
    return run


def expect(ok, message: str) -> None:
    if not ok:
        raise NotYet(message)


def given(value, name: str):
    """What the student's function gave back, if anything."""
    expect(value is not None, f"{name} gives None back. Is a `return` missing?")
    return value


def same(a, b, tolerance: float = 1e-4) -> bool:
    """Whether two numbers or tensors are alike in shape and value."""
    a, b = torch.as_tensor(a, dtype=torch.float64), torch.as_tensor(b, dtype=torch.float64)
    return a.shape == b.shape and torch.allclose(a, b, rtol=tolerance, atol=tolerance)


# --- Reading a prompt -------------------------------------------------------------------------------


@checked
def highlight(function):
    prompt, spans = "a red car and a red kite", [(0, 9), (14, 24)]
    got = given(function(prompt, list(spans)), "highlight")
    expect(got != "[a red ca]r and [a red kit]e", "the last letter is left out. A span ends one past its last "
           "character, so prompt[start:end] is all of it.")
    expect(got != "[a red car] an[d a red ki]te", "the second bracket is in the wrong place: each bracket that you "
           "put in moves what follows. Work from the last span to the first, or join pieces.")
    expect(got == "[a red car] and [a red kite]", f"for {prompt!r} and {spans} it gives {got!r}, not "
           "'[a red car] and [a red kite]'.")
    got = function("a dog sees a dog", [(11, 16)])
    expect(got != "[a dog] sees a dog", "it marks the first place where the words stand, but the span is that of the "
           "second. Use the numbers, not str.replace.")
    expect(got == "a dog sees [a dog]", f"for 'a dog sees a dog' and [(11, 16)] it gives {got!r}.")
    expect(function("fog", []) == "fog", "without spans the prompt should come back as it is.")
    backwards = function(prompt, [(14, 24), (0, 9)])
    expect(backwards == "[a red car] and [a red kite]", f"spans may come in any order; last first, it gives "
           f"{backwards!r}. Sort them.")
    return "Spans say where, not only what: that is why they are numbers and not words."


@checked
def nearest(function):
    table = torch.tensor([[0.0, 3.0], [5.0, 5.0], [1.0, 0.1], [-1.0, 0.0]])
    got = [int(i) for i in given(function(torch.tensor([2.0, 0.0]), table, 3), "nearest")]
    expect(len(got) == 3, f"asked for 3 rows it gives {len(got)}.")
    expect(got != [1, 2, 0], "that is the order by inner product: a long vector wins because it is long. Divide by "
           "the lengths.")
    expect(got not in ([3, 0, 1], [0, 1, 2]), "that is the worst first. Sort from the largest cosine down.")
    expect(got != [2, 3, 0], "that is the order by distance. Two vectors that point the same way are alike even if "
           "one is longer.")
    expect(got == [2, 1, 0], f"for rows at angles of 90, 45, 6 and 180 degrees it gives rows {got}, not [2, 1, 0].")
    return "The cosine asks where vectors point, not how long they are."


@checked
def f1(function):
    right = {("subject", "dog"), ("setting", "beach"), ("time", "night"), ("weather", "rain")}
    found = {("subject", "dog"), ("setting", "night")}
    got = float(given(function(found, right), "f1"))
    expect(not same(got, 0.5), "that is precision: how much of what was found is right. What was missed counts as "
           "well.")
    expect(not same(got, 0.25), "that is recall: how much was found. What was found wrongly counts as well.")
    expect(not same(got, 0.375), "that is the plain mean of precision and recall. F1 is their harmonic mean, "
           "2 p r / (p + r), which is small if either is.")
    expect(not same(got, 0.2), "that is what both have over what either has (Jaccard). F1 is twice what both have "
           "over the two sizes together.")
    expect(same(got, 1 / 3), f"one of two found is right, and one of four was found: it gives {got:.3f}, not 0.333.")
    try:
        empty = function(set(), right), function(set(), set())
        wrong = function({("time", "dawn")}, right), function({("time", "dawn")}, set())
    except ZeroDivisionError:
        raise NotYet("with nothing found, or nothing right, it divides by zero. Nothing found of something is 0, and "
               "nothing found of nothing is 1.") from None
    expect(same(empty[0], 0.0), f"with nothing found of four it gives {empty[0]}, not 0.")
    expect(same(empty[1], 1.0), f"with nothing found where there was nothing it gives {empty[1]}, not 1.")
    expect(same(wrong[0], 0.0) and same(wrong[1], 0.0), f"where all that is found is wrong it gives {wrong[0]}, and "
           f"{wrong[1]} where there was nothing to find, not 0.")
    return "A reader that marks everything has recall, one that marks only what is sure has precision; F1 wants both."


@checked
def bag(function):
    vectors = torch.tensor([[[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]], [[4.0, 4.0], [9.0, 9.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    got, want = given(function(vectors, mask), "bag"), torch.tensor([[2.0, 1.0], [4.0, 4.0]])
    expect(not same(got, (vectors * mask[..., None]).sum(1) / mask.sum(1)), "it divides the first number of each "
           "caption by the words of the first, the second by those of the second: (b, d) / (b,) lines up d with b. "
           "Keep the axis: mask.sum(1, keepdim=True).")
    expect(tuple(got.shape) == (2, 2), f"two captions of vectors of width 2 should give (2, 2), not "
           f"{tuple(got.shape)}. Average over the words: axis 1.")
    expect(not same(got, vectors.mean(1)), "it averages over the padding, too. Only words where mask is True count.")
    expect(not same(got, (vectors * mask[..., None]).sum(1) / 3), "padding is left out of the sum but still counted. "
           "Divide by the number of words of each caption, mask.sum(1).")
    expect(not same(got, (vectors * mask[..., None]).sum(1)), "that is the sum: a long caption would be longer than a "
           "short one. Divide by the number of words.")
    expect(same(got, want), f"it gives {got.tolist()}, not {want.tolist()}.")
    return "And it cannot tell 'a dog chases a cat' from 'a cat chases a dog'."


# --- Latent space -----------------------------------------------------------------------------------


@checked
def compression(function):
    got = float(given(function(17, 80, 144), "compression"))
    want = 17 * 80 * 144 * 3 / (9 * 5 * 9 * 192)
    expect(not same(got, want / 3), "three times too small: a pixel is three numbers, red, green and blue.")
    expect(not same(got, 1 / want), "that is upside down: how many pixel numbers go into one latent number?")
    expect(not same(got, 17 * 80 * 144 * 3 / (8.5 * 5 * 9 * 192)), "17 frames are not 8.5 latents. The first frame "
           "has a latent of its own, then every two frames share one.")
    expect(not same(got, 17 * 80 * 144 * 3 / (8 * 5 * 9 * 192)), "the first frame has a latent of its own: 17 frames "
           "are 1 + 8 latents.")
    expect(not same(got, 17 * 80 * 144 * 3 / (9 * 5 * 9)), "that is pixels to a patch. Each patch is 192 numbers.")
    expect(same(got, want), f"17 frames of 80 x 144 give {got:.3f}, not {want:.3f}.")
    one = float(function(1, 112, 112))
    expect(same(one, 4.0), f"right for 17 frames, but one frame of 112 x 112 gives {one:.3f}, not 4.")
    few = float(function(17, 80, 144, 48))
    expect(same(few, 4 * want), f"with channels=48 it gives {few:.3f}, not {4 * want:.3f}. Use the argument.")
    return f"{want:.1f} pixel numbers to one of the latent; a single frame, which has a latent alone, gets away with 4."


@checked
def psnr(function):
    a = torch.zeros(2, 3, 4)
    b = a + 0.2
    got, want = float(given(function(a, b), "psnr")), 20.0
    expect(not same(got, want - 20 * math.log10(2)), "6 dB too low. Our pixels run from -1 to 1, so the peak is 2, "
           "not 1.")
    expect(not same(got, want / 2), "half of what it should be: 10 log10 goes with the squared error, 20 log10 with "
           "its root.")
    expect(not same(got, -want), "the sign is turned: a better picture has a higher PSNR.")
    expect(not same(got, math.log(4 / 0.04) * 10), "decibels use the logarithm to base 10.")
    expect(same(got, want), f"for an error of 0.2 everywhere it gives {got:.2f} dB, not {want:.2f}.")
    c = torch.tensor([0.0, 0.4])
    got = float(function(torch.zeros(2), c))
    expect(not same(got, 20.0), "right where all errors are alike, but that is the mean absolute error. Square first.")
    expect(same(got, 10 * math.log10(4 / 0.08)), f"for errors of 0 and 0.4 it gives {got:.2f} dB, not 16.99.")
    return "6 dB more is half the error, a quarter of its square."


@checked
def components_for(function):
    variances = torch.tensor([8.0, 4.0, 2.0, 1.0, 1.0])                      # shares 0.5, 0.75, 0.875, 0.9375, 1
    got = int(given(function(variances, 0.8), "components_for"))
    expect(got != 2, "two carry 75%. An index counts from 0, a number of components from 1.")
    expect(got != 1, "one carries only half. Compare with shares of the whole: divide by variances.sum().")
    expect(got != 5, "it takes all of them, as no component carries 80% by itself. Add the shares up: cumsum.")
    expect(got == 3, f"variances {variances.tolist()}: for 80% it gives {got}, but 3 carry 87.5% and 2 only 75%.")
    exact = int(function(variances, 0.75))
    expect(exact == 2, f"two carry 75% exactly, which is enough for 0.75; it gives {exact}.")
    expect(int(function(variances, 0.5)) == 1, "the first alone carries 50%, which is enough for 0.5.")
    many = [torch.rand(192, generator=torch.Generator().manual_seed(k)).sort(descending=True)[0] for k in range(30)]
    most = max(int(function(each, 1.0)) for each in many)
    expect(most <= 192, f"of 192 components it wants {most} for a share of 1: rounding leaves the last sum a hair "
           "below 1. Compare with share * cumsum[-1], not with share * variances.sum().")
    expect(int(function(variances * 10, 0.8)) == 3, "it changes with the scale of the variances. Divide by their sum.")
    return "A few components carry most of a picture, and the last few percent are what makes it sharp."


@checked
def first_touched(function):
    causal = lambda frames: torch.cat([frames[:, :, :1], frames[:, :, 1:].unflatten(2, (-1, 2)).mean(3)], 2).cumsum(2)
    blurred = lambda frames: causal(frames) + frames.mean(2, keepdim=True)
    frames = torch.rand(1, 3, 9, 4, 4, generator=torch.Generator().manual_seed(0))
    before = frames.clone()
    got = function(causal, frames, 5)
    expect(same(frames, before), "it changes the frames that it was given. Work on frames.clone(): the caller still "
           "needs its own.")
    got = given(got, "first_touched")
    expect(int(got) != 4, "that is the last latent that changes. The first is asked for.")
    expect(int(got) != 5, "that is the frame's own number, but two frames share a latent.")
    expect(int(got) != 2, "frame 5 lies in latent 3: the first frame has a latent alone, so 1 and 2 share latent 1.")
    expect(int(got) == 3, f"frame 5 reaches latents 3 and 4 of a causal encoder; it gives {got}.")
    for frame, latent in ((0, 0), (1, 1), (2, 1), (8, 4)):
        expect(int(function(causal, frames, frame)) == latent, f"frame {frame} of a causal encoder should reach latent "
               f"{latent} first; it gives {function(causal, frames, frame)}.")
    expect(int(function(blurred, frames, 8)) == 0, "for an encoder that looks into the future, frame 8 reaches latent "
           f"0; it gives {function(blurred, frames, 8)}. Measure it, do not work it out from the frame's number.")
    last_first = lambda frames: torch.cat([frames[:, :, 8:], causal(frames)[:, :, 1:]], 2)
    expect(int(function(last_first, frames, 3)) == 2, "for an encoder whose latent 0 is frame 8, frame 3 reaches "
           f"latent 2 first; it gives {function(last_first, frames, 3)}. Change frame n alone.")
    return "Causal means: frame n reaches latent ceil(n / 2) and later ones, never an earlier one."


# --- Denoising step by step -------------------------------------------------------------------------


@checked
def clean(function):
    x0, noise, t = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0]), 0.3
    x, velocity = (1 - t) * x0 + t * noise, noise - x0
    got = given(function(x, t, velocity), "clean")
    expect(not same(got, noise), "that is the noise at the other end, t = 1. The film is at t = 0, a way of t back.")
    expect(not same(got, x - velocity), "it goes a whole unit of time back, but only t of it has passed.")
    expect(not same(got, x + t * velocity), "it walks towards the noise. The velocity points from film to noise, so go "
           "against it.")
    expect(not same(got, x - (1 - t) * velocity), "1 - t is the way to the noise; the way back to the film is t.")
    expect(same(got, x0), f"it gives {got.tolist()}, not the film {x0.tolist()}.")
    return "One velocity says both ends of the line: the film t back, the noise 1 - t ahead."


@checked
def heun(function):
    field = lambda x, t: x * t                                        # dx/dt = x t
    x, t, t_next = torch.tensor([1.0, 2.0]), 0.8, 0.5
    got = given(function(field, x, t, t_next), "heun")
    step = t_next - t
    here = field(x, t)
    landing = x + step * here
    there = field(landing, t_next)
    expect(not same(got, landing), "that is Euler's step. Ask for the velocity once more, where it lands, and use the "
           "mean of both.")
    expect(not same(got, x + step * (here + field(landing, t)) / 2), "the second velocity is taken at the old time. "
           "Where Euler lands it is t_next.")
    expect(not same(got, x + step * (here + field(x, t_next)) / 2), "the second velocity is taken at the old place. "
           "Take it where Euler lands.")
    expect(not same(got, x + step * (here + there)), "twice too far: take the mean of the two velocities, not their "
           "sum.")
    expect(not same(got, landing + step * (here + there) / 2), "it starts from where Euler landed. The mean velocity "
           "is for the whole step, from x.")
    expect(not same(got, x - step * (here + there) / 2), "it walks the wrong way: t_next - t is negative, and it "
           "should be.")
    expect(same(got, x + step * (here + there) / 2), f"it gives {got.tolist()}.")
    return "Two looks a step instead of one, and the error falls with the square of the step."


@checked
def my_schedule(function):
    got = [float(t) for t in given(function(4, 8.0), "my_schedule")]
    even = [1 - k / 4 for k in range(5)]
    want = schedule(4, 8.0)
    expect(len(got) == 5, f"4 steps have 5 times, from 1 to 0 with both ends; it gives {len(got)}.")
    expect(not same(got, want[::-1]), "it runs from 0 to 1. Noise is at t = 1, and that is where a film starts.")
    expect(not same(got, even), "it ignores shift.")
    expect(not same(got, [u / (8 - 7 * u) for u in even]), "it makes steps denser near the film. shift > 1 should "
           "make them denser near the noise: shift * u / (1 + (shift - 1) * u).")
    expect(same(got[0], 1.0) and same(got[-1], 0.0), f"it runs from {got[0]:g} to {got[-1]:g}, not from 1 to 0.")
    expect(same(got, want), f"for 4 steps and a shift of 8 it gives {[round(t, 3) for t in got]}, not "
           f"{[round(t, 3) for t in want]}.")
    expect(same(torch.tensor([float(t) for t in function(7, 1.0)]), torch.tensor(schedule(7, 1.0))),
           "a shift of 1 should leave the steps even.")
    return "With a shift of 8, three of these four steps end above t = 0.7, where the layout is decided."


@checked
def hold(function):
    means = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1, 1).expand(2, 1, 3, 2, 2)
    world = GaussianMixture(means, torch.tensor([0.3, 0.3]))
    nothing = Conditioning(torch.zeros(1, 1, 2), torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, 2),
                           torch.ones(1, 1, dtype=torch.bool))
    noise = torch.randn(1, 1, 3, 2, 2, generator=torch.Generator().manual_seed(1))
    film, mask = torch.full_like(noise, 0.7), torch.zeros_like(noise, dtype=torch.bool)
    mask[..., :1] = True
    seen = []

    def look(x, t, *rest):
        seen.append((float(t.flatten()[0]), x.clone()))
        return world(x, t, *rest)

    steps = Sampler().steps(look, noise, nothing, steps=5, guidance=1.0)
    got = given(function(steps, film, mask, noise), "hold")
    expect(len(seen) == 5, f"of 5 steps {len(seen)} were made. Go on to the end of `steps`.")
    alone = Sampler()(world, noise, nothing, steps=5, guidance=1.0).values
    expect(not same(got, alone), "the film came out as it would have alone. A new x counts only if it is sent: "
           "steps.send(x).")
    inner = [(t, x) for t, x in seen[1:]]
    at = lambda t: (1 - t) * film + t * noise
    clean_in = all(same(x[mask], film[mask]) for _, x in inner)
    expect(not clean_in, "the held part goes in clean while the rest is still noise, so the model takes it for part "
           "of a noisy film and gets it wrong. Noise it as the rest is: (1 - t) * film + t * noise.")
    late = all(same(x[mask], at(earlier)[mask]) for (_, x), (earlier, _) in zip(inner, seen))
    expect(not late, "the held part is noised for step.t, but what is sent is used at step.t_next.")
    expect(all(same(x[mask], at(t)[mask]) for t, x in inner), "where mask is True, the x sent should be "
           "(1 - t_next) * film + t_next * noise, with the very noise that the film started from.")
    reference, steps = None, Sampler().steps(world, noise, nothing, steps=5, guidance=1.0)
    for step in steps:
        reference = torch.where(mask, (1 - step.t_next) * film + step.t_next * noise, step.x_next)
        steps.send(reference)
    expect(same(got[mask], film[mask]), "at t = 0 the held part should be the film itself. Send after the last step, "
           "too, and give back what was sent.")
    expect(same(got, reference), "the held part is right, but the rest is not what the sampler made of it: take "
           "step.x_next where mask is False.")
    return "That is inpainting without training for it (RePaint, arXiv:2201.09865, in its simplest form)."


# --- Safety and provenance --------------------------------------------------------------------------


@checked
def stands_in(function):
    got = given(function("rob", "a robot waters flowers"), "stands_in")
    expect(not got, "it finds 'rob' in 'a robot waters flowers': a piece of a word. Whole words are asked for.")
    expect(not function("die", "a soldier"), "it finds 'die' in 'a soldier'. A word has an end on both of its sides.")
    expect(not function("rob", "he robs banks"), "it finds 'rob' in 'robs'. An ending makes another word.")
    expect(function("rob", "we rob a bank"), "it does not find 'rob' in 'we rob a bank'.")
    expect(function("rob", "rob"), "it does not find a word that begins or ends the prompt. There is no space around "
           "it.")
    expect(function("rob", "They rob, and run."), "it does not find 'rob' in 'They rob, and run.': a comma may follow "
           "a word, too.")
    expect(function("rob", "ROB A BANK"), "it does not find 'rob' in 'ROB A BANK'. Capital letters are the same.")
    expect(function("break in", "They break in at night"), "it does not find 'break in', a rule of two words. "
           "Comparing with single words is not enough.")
    expect(not function("break in", "the break was in May"), "it finds 'break in' in 'the break was in May'. The words "
           "have to stand one after the other.")
    expect(function("Rob", "rob a bank"), "it does not find the rule 'Rob' in 'rob a bank'. Rules may have capitals.")
    expect(not function("a.b", "axb"), "it finds 'a.b' in 'axb': to `re` a dot is any letter, unless re.escape makes "
           "it one.")
    return "Then come endings and disguises: see sorakit/safety/text.py and rules.cfg."


@checked
def threshold_for(function):
    scores = np.array([0.1, 0.4, 0.35, 0.8, 0.9, 0.2, 0.6, 0.7, 0.95, 0.05])
    harmful = np.array([1, 1, 0, 1, 0, 0, 0, 1, 1, 0], dtype=bool)
    stopped = lambda most: sorted(scores[scores >= function(scores.copy(), harmful.copy(), most)].tolist())
    given(function(scores.copy(), harmful.copy(), 0.21), "threshold_for")
    got, want = stopped(0.21), [0.7, 0.8, 0.9, 0.95]
    told = f"of ten prompts with five harmless ones and most=0.21 it stops those that score {got}, not {want}. "
    expect(got != [], told + "It stops none at all.")
    expect(got != [0.95], told + "Is that the share of the *stopped* that is harmless? False alarms are the share of "
           "the harmless that is stopped. Or is it not the lowest threshold that keeps to it?")
    expect(got != [0.9, 0.95], told + "Count harmless prompts that are stopped, and divide by the number of harmless "
           "prompts alone.")
    expect(0.6 not in got, told + "Two of the five harmless prompts are too many: 0.4 is more than 0.21.")
    expect(got == want, told)
    expect(stopped(0.2) == want, f"one of five is exactly 0.2, and with most=0.2 that much is allowed. It stops those "
           f"that score {stopped(0.2)}.")
    expect(stopped(0.0) == [0.95], f"with most=0 no harmless prompt may be stopped, and 0.9 is one. It stops those "
           f"that score {stopped(0.0)}; whatever is at least the threshold is stopped.")
    few = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), np.array([1, 1, 0, 1, 1, 0], dtype=bool)
    got = few[0][few[0] >= function(few[0].copy(), few[1].copy(), 0.5)].tolist()
    expect(got == [0.4, 0.5, 0.6], f"of six prompts with two harmless ones and most=0.5 it stops those that score "
           f"{got}, not [0.4, 0.5, 0.6]. One of two may be stopped: divide by the number of harmless prompts.")
    expect(function(np.array([0.5, 0.9]), np.array([True, False]), 0.0) > 0.9, "if the highest score of all is "
           "harmless and none may be stopped, no score will do: np.inf.")
    return "So many false alarms and no more: that is a choice, and somebody has to answer for it."


@checked
def message(function):
    rng = np.random.default_rng(0)
    patterns = rng.choice([-1, 1], (8, 60, 80))
    ground = 10 * np.sin(np.arange(80) / 9) + rng.normal(0, 3, (60, 80))
    hide = lambda number: ground + sum((1 if number >> 7 - k & 1 else -1) * patterns[k] for k in range(8))
    got = given(function(hide(0b11010010), patterns), "message")
    expect(np.ndim(got) == 0 and not isinstance(got, str), f"it gives {got!r}. The bits should come back as one "
           "number.")
    expect(got != 0b01001011, "the bits are right, but in reverse order: the first is the highest.")
    expect(got != 0b00101101, "every bit is turned: a pattern that was added is a 1.")
    expect(got == 0b11010010, f"210 was hidden, and it reads {got}.")
    bright, uneven = 200 + hide(0b11010010), patterns.copy()
    expect(function(bright, uneven) == 210, "it is right for a picture whose mean is 0, but not for a bright one. "
           "Patterns are not quite half +1 and half -1, and so a bright picture agrees with them. Take its mean away: "
           "`score` does that.")
    expect(function(hide(0), patterns) == 0 and function(hide(255), patterns) == 255, "it cannot read a message of "
           "noughts or ones only. Each bit is there or taken away by itself, whatever the others do.")
    expect(function(hide(210)[:, :], patterns[:4]) == 0b1101, "with four patterns there are four bits: 210 begins with "
           "1101.")
    return "64 of these are a payload. With noise some bits flip, and so others are added that repair them."


@checked
def find_shift(function):
    rng = np.random.default_rng(1)
    pattern = rng.normal(size=(120, 200))
    rolled = lambda shift: np.roll(pattern, shift, (0, 1)) + rng.normal(0, 3, pattern.shape)
    got = given(function(rolled((7, 150)), pattern), "find_shift")
    expect(np.ndim(got) == 1 and len(got) == 2, f"it gives {got!r}. Two numbers are asked for, rows and columns; "
           "np.unravel_index makes them of one.")
    got = tuple(int(k) for k in got)
    expect(got != (113, 50), "that is the way back. Take the complex conjugate of the *pattern's* transform, not of "
           "the picture's.")
    expect(got != (150, 7), "rows and columns are swapped: rows come first, as in a shape.")
    expect(got != (127, 50) and got != (-113, -50), f"it gives {got}. Count from 0, downwards and to the right.")
    for shift in ((7, 150), (0, 0), (119, 1), (60, 100)):
        found = tuple(int(k) for k in function(rolled(shift), pattern))
        expect(found == shift, f"the pattern was rolled by {shift}; it finds {found}. Without the conjugate of the "
               "pattern's transform it would be a convolution, which turns the pattern upside down.")
    return f"All {pattern.size:,} places at the price of three Fourier transforms."


@checked
def judged(function):
    given(function(True, False, 5, 5), "judged")
    word = lambda *known: str(function(*known))
    expect(word(True, False, 5, 5) == "intact", "signed, not changed, and both name the same film: 'intact'.")
    expect(word(True, True, 5, 5) == "changed", "it was changed after it was signed: 'changed', whatever its marks "
           "say.")
    expect(word(True, False, 5, 6) == "mixed", "an intact manifest that names 5, on pixels that say 6, is of another "
           "film: 'mixed'. A valid signature is not enough.")
    expect(word(True, True, 5, 6) == "changed", "what a changed file's manifest says is worth nothing, so there is "
           "nothing to compare: 'changed'.")
    expect(word(True, False, 5, None) == "intact", "the pixels hold no payload that can be read. That is no "
           "contradiction: marks get lost, and the signature holds. 'intact'.")
    expect(word(True, False, None, 6) == "intact", "a manifest that names no payload contradicts none: 'intact'.")
    expect(word(True, False, None, None) == "intact", "signed, not changed, and nothing to compare: 'intact'.")
    for named, read in ((5, None), (None, 6), (None, None)):
        expect(word(True, True, named, read) == "changed", f"'changed', also if it names {named} and {read} is read.")
    expect(word(False, None, None, 6) == "stripped", "no signature, but the pixels speak: 'stripped'.")
    expect(word(False, None, None, 0) == "stripped" and word(True, False, 5, 0) == word(True, False, 0, 5) == "mixed",
           "0 is a payload like any other, but `if read:` takes it for none. Ask `read is not None`.")
    expect(word(False, None, None, None) == "unknown", "neither signature nor mark: 'unknown'. That does not make a "
           "film real.")
    return ("`sorakit verify` decides so, and looks at two things more: who signed, and marks too weak to read; see "
            "Finding.verdict in sorakit/safety/verify.py.")
