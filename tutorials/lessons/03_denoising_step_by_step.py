# %% [markdown]
# # Denoising step by step
#
# A diffusion model starts from noise and walks to a film. In this lesson you walk yourself: first in a world of two
# numbers, where everything can be worked out exactly, then with sorakit's own model, one step at a time.
#
# **What you will know**
# - what the model learns: a velocity, at every point and every time;
# - why a better step (Heun) needs fewer of them than a simple one (Euler);
# - what guidance does, and what too much of it does;
# - how to write the sampler's loop by hand, and reach the same film to the last bit;
# - how to reach into the loop and change a film while it is being made.
#
# *About an hour with the exercises; all cells together compute for about a minute.* Do *Reading a prompt* (attention)
# and *Latent space* first.

# %%
from itertools import pairwise

import checks
import matplotlib.pyplot as plt
import torch
from pictures import show

import sorakit as sk
from sorakit.diffusion.exact import GaussianMixture
from sorakit.diffusion.sampler import SHIFT, Sampler, schedule, velocities

# %% [markdown]
# ## 1 · A world of two numbers
#
# Let a "film" be a point in the plane. There are three kinds of film, each a small cloud around its mean. This is all
# that can be known of this world.

# %%
means = torch.tensor([[-1.6, -0.8], [1.6, -0.8], [0.0, 1.8]])
std = 0.25
rng = torch.Generator().manual_seed(0)

def draw_films(n):
    kind = torch.randint(3, (n,), generator=rng)
    return means[kind] + std * torch.randn(n, 2, generator=rng), kind

films, kind = draw_films(400)
noise = torch.randn(400, 2, generator=rng)

# %% [markdown]
# *Rectified flow* joins each film $x_0$ with a noise by a straight line, $x_t = (1 - t)\,x_0 + t\,\text{noise}$. At
# $t = 0$ there is the film, at $t = 1$ nothing but noise. (Papers that count time the other way turn the velocity's
# sign.)

# %%
def panels(titles, size=2.4):
    figure, all_axes = plt.subplots(1, len(titles), figsize=(size * len(titles), size + 0.3), layout="constrained")
    for axes, title in zip(all_axes, titles):
        axes.set(title=title, xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), aspect="equal", xticks=[], yticks=[])
    return all_axes

times = (0, 0.25, 0.5, 0.75, 1)
for axes, t in zip(panels([f"t = {t:g}" for t in times]), times):
    x = (1 - t) * films + t * noise
    axes.scatter(*x.T, s=5, c=kind, cmap="viridis")
plt.show()

# %% [markdown]
# Along its line a point moves at the velocity $\text{noise} - x_0$. The other way, from noise to film, we do not know
# which film a point came from: many lines cross there. The best answer is the *mean* velocity of all lines through that
# point. A network learns it so: draw a film, a noise and a time, show it $x_t$ and $t$, and punish the *squared*
# distance of its answer from $\text{noise} - x_0$, again and again. It cannot know which line it is shown, and no
# answer has less squared error than their mean. Here we can write that mean down:
#
# - how likely is each kind, given that the point is here now? (`belief`)
# - if it is that kind, where does the point move on average? (`each`)
#
# Within one kind everything is Gaussian, so the mean velocity is linear in $x_t$: its slope is how
# $\text{noise} - x_0$ varies together with $x_t$, over the variance of $x_t$. That is
# $(t - (1-t)\,\sigma^2) / ((1-t)^2 \sigma^2 + t^2)$, times how far the point is from the kind's middle
# $(1-t)\,\mu$, less $\mu$.

# %%
def velocity(x, t, hint=0.0):
    """E[noise - x0 | x_t = x], the mean over all lines through each point x (n, 2); hint is added to the log of each
    kind's weight."""
    apart = x[:, None] - (1 - t) * means                                        # (n, 3, 2)
    variance = (1 - t) ** 2 * std**2 + t**2
    belief = torch.softmax(-apart.square().sum(2) / (2 * variance) + hint, 1)   # (n, 3)
    each = (t - (1 - t) * std**2) / variance * apart - means                    # (n, 3, 2)
    return (belief[..., None] * each).sum(1)

# %%
side = torch.linspace(-3, 3, 13)
points = torch.cartesian_prod(side, side)
times = (1.0, 0.8, 0.5, 0.2)
for axes, t in zip(panels([f"t = {t:g}" for t in times]), times):
    axes.quiver(*points.T, *-velocity(points, t).T, color="#2a6f97", scale=40)
    axes.scatter(*means.T, s=20, c="#d1495b", zorder=3)
plt.show()

# %% [markdown]
# The arrows point the way that we walk, against the velocity. At $t = 1$ all of them lead to the middle: in pure noise
# there is no sign yet of which film it will be. Later each point makes up its mind.

# %% [markdown]
# ### The same with sorakit
#
# sorakit has this world too, as `GaussianMixture`. It stands where the transformer stands, so it speaks of films with
# five axes and of words. Zeros as words say nothing.

# %% tags=["nbval-check-output"]
world = GaussianMixture(means.view(3, 2, 1, 1, 1), torch.full((3,), std))
as_films = lambda x: x.view(-1, 2, 1, 1, 1)
nothing, there = torch.zeros(1, 1, 3), torch.ones(1, 1, dtype=torch.bool)

for t in (1.0, 0.8, 0.5, 0.2):
    theirs = world(as_films(noise), torch.full((400, 1, 1, 1), t), nothing, there)
    assert torch.allclose(theirs, as_films(velocity(noise, t)), atol=1e-5)
print("the same velocities")

# %% [markdown]
# ## 2 · Walk
#
# The simplest walk: look at the velocity, go straight on for a while, look again. That is Euler's method.

# %%
def euler(field, x, times):
    """All the places on the way from times[0] to times[-1]."""
    way = [x]
    for t, t_next in pairwise(times):
        x = x + (t_next - t) * field(x, t)
        way.append(x)
    return torch.stack(way)                                                     # (steps + 1, n, 2)

# %%
for axes, steps in zip(panels(["3 steps", "6 steps", "48 steps"], size=3.2), (3, 6, 48)):
    way = euler(velocity, noise[:60], torch.linspace(1, 0, steps + 1).tolist())
    axes.plot(*way.permute(2, 0, 1), c="#2a6f97", lw=0.6)
    axes.scatter(*way[0].T, s=5, c="grey")
    axes.scatter(*way[-1].T, s=9, c="#d1495b", zorder=3)
plt.show()

# %% [markdown]
# Grey is noise, red is where the walk ends. The last step goes straight to the mean of all films that the walker could
# still become. So with few steps the clouds come out too small, and some walkers end between them, where no film is.
#
# sorakit's `Sampler` walks the same way.

# %% tags=["nbval-check-output"]
unprompted = sk.Conditioning(nothing, there, nothing, there)            # words, which count; the same without a prompt
theirs = Sampler(shift=1.0)(world, as_films(noise), unprompted, steps=48, guidance=1.0)
ours = euler(velocity, noise, torch.linspace(1, 0, 49).tolist())[-1]
assert torch.allclose(theirs.values.view(-1, 2), ours, atol=1e-4)
print("the same films")

# %% [markdown]
# ### Exercise 1 · Where does it lead?  *(difficulty 1 of 3, 5 minutes)*
#
# Given $x_t$, the time and the velocity there: which film does the line through this point lead to? Such an $x_0$ is
# what you see in every preview of a film that is being made.

# %% tags=["exercise"]
def clean(x, t, velocity):
    """The film x0 that the velocity at (x, t) points to."""
    ### BEGIN SOLUTION
    return x - t * velocity
    ### END SOLUTION

# %% tags=["check"]
checks.clean(clean)

# %% [markdown]
# ## 3 · Better steps
#
# Euler looks once a step, at its start. Heun looks twice, also at where Euler would land, and takes the mean. Is it
# worth two looks? We measure how far each ends from where very many steps end, against the number of looks. (The
# median, as a few walkers, right between two clouds, end in another cloud altogether. sorakit's Heun looks once in its
# last step, so 4 steps are 7 looks.)

# %%
exact = GaussianMixture(means.double().view(3, 2, 1, 1, 1), torch.full((3,), std).double())
walk = lambda method, steps: Sampler(method=method, shift=1.0)(
    exact, as_films(noise).double(), unprompted, steps=steps, guidance=1.0).values

truth = walk("heun", 400)
looks = {"euler": [8, 16, 32, 64, 128], "heun": [7, 15, 31, 63, 127]}
off = lambda method, steps: (walk(method, steps) - truth).norm(dim=1).median().item()
errors = {"euler": [off("euler", n) for n in looks["euler"]],
          "heun": [off("heun", (n + 1) // 2) for n in looks["heun"]]}

# %%
figure, axes = plt.subplots(figsize=(6, 3))
for method in errors:
    axes.loglog(looks[method], errors[method], "o-", label=method)
axes.set(xlabel="looks at the velocity", ylabel="median distance from the truth")
axes.set_xticks(looks["euler"], looks["euler"])
axes.minorticks_off()
axes.legend()
plt.show()

# %% tags=["nbval-check-output"]
for method, steps in (("euler", 64), ("heun", 32)):
    print(f"{method}: twice the steps, an error {off(method, steps) / off(method, 2 * steps):.0f} times smaller")

# %% [markdown]
# Euler is of *first order*: half the step, half the error. Heun is of *second order*: half the step, a quarter of the
# error. So the second look is worth it where there are steps enough: at 8 looks both are as far off, and from there on
# Heun pulls away.

# %% [markdown]
# ### Exercise 2 · Heun's step  *(difficulty 2 of 3, 10 minutes)*

# %% tags=["exercise"]
def heun(field, x, t, t_next):
    """x at t_next, by the mean of the velocities here and where Euler's step lands; field(x, t) is a velocity."""
    ### BEGIN SOLUTION
    here = field(x, t)
    landing = x + (t_next - t) * here
    return x + (t_next - t) * (here + field(landing, t_next)) / 2
    ### END SOLUTION

# %% tags=["check"]
checks.heun(heun)

# %% [markdown]
# ## 4 · Guidance
#
# Now there is a prompt: it hints at the kind on top, but is not quite sure. *Guidance* exaggerates it: go from the
# velocity without the prompt to the one with it, and then further the same way. One network knows both: in training one
# caption in ten is left empty, so that it also learns what films are like of which nothing is said.
#
# `without + guidance * (with_prompt - without)`

# %%
hint = torch.tensor([0.0, 0.0, 1.5])

def guided(scale):
    return lambda x, t: (1 - scale) * velocity(x, t) + scale * velocity(x, t, hint)

scales = (0, 1, 3, 10)
for axes, scale in zip(panels([f"guidance {scale}" for scale in scales]), scales):
    way = euler(guided(scale), noise, torch.linspace(1, 0, 41).tolist())
    axes.scatter(*films.T, s=5, c="lightgrey")
    axes.scatter(*way[-1].T, s=5, c="#d1495b")
plt.show()

# %% [markdown]
# Grey are the films of this world, red is what comes out. At 0 the prompt is not heard. At 1 it is heard as it was
# meant, with its doubts. At 3 few doubts are left. At 10 everything lands in one place, and away from where the films
# are: guidance buys obedience with variety, and in the end with truth.

# %% [markdown]
# ## 5 · The real thing
#
# Now sorakit's own model. A film is 192 channels × 5 moments × 5 × 9 patches, 43,200 numbers instead of two, and the
# velocity comes from the transformer. Everything else stays. (From here on `noise` and `x` are sorakit's: to go back to
# sections 1 to 4, run the notebook again from its first cell.)

# %% tags=["nbval-check-output"]
pipe = sk.load("nano")
brief = pipe.prompt("a hot-air balloon floats over a mountain lake at sunset")
conditioning = pipe.text_encoder(brief)
noise = pipe.noise(seconds=1.0, aspect="16:9", seed=3)
print(tuple(noise.shape))

# %% [markdown]
# The loop, by hand. `velocities` asks the transformer twice, with the prompt and without it, in one batch.

# %%
guidance, x, by_hand = 4.0, noise, []
with torch.no_grad():
    for t, t_next in pairwise(schedule(12)):
        times = torch.full((1, *x.shape[2:]), t)                                # each patch has a time of its own
        with_prompt, without, _ = velocities(pipe.transformer, x, times, conditioning, guidance, fps=8.0)
        v = without + guidance * (with_prompt - without)
        by_hand.append((t, x, x - t * v))
        x = x + (t_next - t) * v

# %% [markdown]
# And with the sampler. It is a generator: it yields each step as a `DenoisingStep`. Equal to the last bit:

# %% tags=["nbval-check-output"]
sampler = Sampler()
steps = list(sampler.steps(pipe.transformer, noise, conditioning, steps=12, guidance=4.0))
assert torch.equal(steps[-1].x_next, x)
print(len(steps), "steps, and the same film to the last bit")

# %% [markdown]
# `pipe(prompt, steps=25)` walks a little differently (`pipe.sampler.method` is "ancestral"): at each step it throws a
# part of the noise away and draws it anew, so that later steps can mend what earlier ones got wrong. Then another
# number of steps is another film, even from the same seed. That is why we stay with Euler here: with more of its steps
# the film stays the same and gets finer. And guidance exaggerates the prompt only above t = 0.7
# (`pipe.sampler.interval`), where it is decided what is where; below, the prompt is heard as it is. There, down to
# t = 0.2, the walk is led away from what the network says with two of its blocks' attention over space switched off
# (`pipe.sampler.skip`): such a network knows place and light as well, but not how a dog's patches belong together, and
# that is where shapes come from.
#
# And `pipe(prompt)`, or one with up to 8 steps and no guidance named, does not walk so at all: a second network,
# `pipe.few_step`, takes four long steps (or as many as you say). It has learned from whole walks where they lead,
# guidance and all, so that there is no velocity without the prompt to look at. This lesson is about `pipe.transformer`,
# which taught it.
#
# What went in at some of the steps ($x_t$), and which film each step points to ($x_0$), decoded:

# %%
picture = lambda latents: pipe.autoencoder.decode(latents)[0, :, 4]
some = [by_hand[k] for k in (0, 3, 6, 8, 10, 11)]
show([[picture(x) for _, x, _ in some], [picture(x0) for _, _, x0 in some]], [f"t = {t:.2f}" for t, _, _ in some],
     ["x_t", "x0"])

# %% [markdown]
# At $t = 1$ there is only the prompt to go by. The best guess is the mean of all films that it could mean, and guidance
# exaggerates that: strong colours, few shapes. Layout comes next, edges last. How much does it still change from step
# to step?

# %%
change = [(b - a).square().mean().sqrt().item() for (_, _, a), (_, _, b) in pairwise(by_hand)]
figure, axes = plt.subplots(figsize=(6, 2.6))
axes.plot(change, "o-")
axes.set(xlabel="t of each step", ylabel="change of x0 (RMS)")
axes.set_xticks(range(len(change)), [f"{t:.3f}" for t, _, _ in by_hand[1:]], rotation=45)
plt.show()

# %% [markdown]
# ## 6 · Where to spend the steps
#
# The steps above are not even: `schedule` puts most of them near the noise, where the layout is decided. Of the 12, ten
# begin above t = 0.5. Here they are even, shifted a little, and shifted as sorakit does.

# %%
figure, axes = plt.subplots(figsize=(6, 2))
for y, shift in enumerate((1, 2, SHIFT)):
    axes.plot(schedule(12, shift), [y] * 13, "|-", markersize=14)
axes.set(yticks=range(3), yticklabels=["even", "shift 2", f"shift {SHIFT:g}"], xlabel="t", xlim=(1.02, -0.02),
         ylim=(-0.7, 2.7))
plt.show()

# %% [markdown]
# Does it matter? Here is the same film in half as many steps, even and shifted, beside the one from above.

# %%
def film(**options):
    return sampler(pipe.transformer, noise, conditioning, guidance=4.0, **options).values

show([[picture(film(times=schedule(6, shift))) for shift in (1, SHIFT)] + [picture(x)]],
     ["6 steps, even", f"6 steps, shift {SHIFT:g}", f"12 steps, shift {SHIFT:g}"])

# %% [markdown]
# It does: even steps take too large a first one. Shifted, half as many come near the film of 12.

# %% [markdown]
# ### Exercise 3 · The schedule  *(difficulty 2 of 3, 10 minutes)*
#
# Times from 1 to 0 for so many steps: even times $u$ first, then each shifted to
# $s\,u / (1 + (s - 1)\,u)$ with the shift $s$.

# %% tags=["exercise"]
def my_schedule(steps, shift):
    """A list of steps + 1 times that fall from 1 to 0."""
    ### BEGIN SOLUTION
    even = [1 - k / steps for k in range(steps + 1)]
    return [shift * u / (1 + (shift - 1) * u) for u in even]
    ### END SOLUTION

# %% tags=["check"]
checks.my_schedule(my_schedule)

# %% [markdown]
# ## 7 · Reach into the loop
#
# What you `send` into the sampler is what its next step uses. (`send` is Python's own: it hands a value to a generator,
# which goes on with it.) We mirror the film left to right, once early on the way
# and once late.

# %%
def mirrored_after(k):
    steps = sampler.steps(pipe.transformer, noise, conditioning, steps=12, guidance=4.0)
    for step in steps:
        x = step.x_next
        if step.index == k:
            x = x.flip(-1)
            steps.send(x)
    return x

show([[picture(latents) for latents in (x, mirrored_after(2), mirrored_after(10))]],
     ["as it was", "mirrored after step 2", "after step 10"])

# %% [markdown]
# Early there is only the layout to mirror, and the steps that follow paint it anew. Late there are edges, too, and each
# patch keeps them the wrong way round. That is why edits of a film's plan belong near the noise, and edits of its
# surface near the end.

# %% [markdown]
# ### Exercise 4 · Hold a part still  *(difficulty 3 of 3, 20 minutes)*
#
# Somebody gives you a film and wants a part of it kept (`mask` is True there), the rest made anew. At each step, put
# the kept part back. But it has to be as noisy as the rest is at that time. `noise` is what the steps started from.

# %% tags=["exercise"]
def hold(steps, film, mask, noise):
    """Walk through steps (a generator of DenoisingStep), holding the film where mask is True; the last x."""
    ### BEGIN SOLUTION
    for step in steps:
        kept = (1 - step.t_next) * film + step.t_next * noise
        x = torch.where(mask, kept, step.x_next)
        steps.send(x)
    return x
    ### END SOLUTION

# %% tags=["check"]
checks.hold(hold)

# %% [markdown]
# ## 8 · Break it
#
# Two ways to spoil a film: guidance of 30, and a model that is always told that it is half-way, whatever the time.

# %%
def told_half_way(x, t, *more):
    return pipe.transformer(x, torch.full_like(t, 0.5), *more)

loud = sampler(pipe.transformer, noise, conditioning, steps=12, guidance=30.0).values
lost = sampler(told_half_way, noise, conditioning, steps=12, guidance=4.0).values
show([[picture(latents) for latents in (x, loud, lost)]], ["as it was", "guidance 30", "always told t = 0.5"])

# %%
for name, latents in (("as it was", x), ("guidance 30", loud), ("always told t = 0.5", lost)):
    print(f"{name:20} standard deviation of the latents {latents.std():.2f}")

# %% [markdown]
# All films that the model learned from, together, have a standard deviation of 1; one alone may have half of that or
# more than it. Guidance of 30 leaves their world, as in section 4 at 10: what the decoder is given there is nothing
# that it knows. And the model has learned to believe the time that it is told. Told wrongly, it takes noise for film or
# film for noise.

# %% [markdown]
# ## Further reading
#
# - Ho et al., *Denoising diffusion probabilistic models*, 2020, [arXiv:2006.11239](https://arxiv.org/abs/2006.11239).
# - Liu et al., *Flow straight and fast: rectified flow*, 2022, [arXiv:2209.03003](https://arxiv.org/abs/2209.03003).
# - Karras et al., *Elucidating the design space of diffusion-based generative models*, 2022,
#   [arXiv:2206.00364](https://arxiv.org/abs/2206.00364): Heun's step, schedules, preconditioning.
# - Ho & Salimans, *Classifier-free diffusion guidance*, 2022, [arXiv:2207.12598](https://arxiv.org/abs/2207.12598).
# - Esser et al., *Scaling rectified flow transformers*, 2024, [arXiv:2403.03206](https://arxiv.org/abs/2403.03206): the
#   shifted schedule.
# - Lugmayr et al., *RePaint*, 2022, [arXiv:2201.09865](https://arxiv.org/abs/2201.09865): exercise 4, done thoroughly.
# - In this repository: [the sampler](../sorakit/diffusion/sampler.py), [its solvers](../sorakit/diffusion/solvers.py),
#   [guidance](../sorakit/diffusion/guidance.py).
