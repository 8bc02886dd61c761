# %% [markdown]
# # Latent space
#
# A film has far too many pixels for a transformer to look at each. So it is cut into pieces, and these are folded into
# fewer numbers, the *latents*: all the thinking happens there. In this lesson you fold one yourself.
#
# **What you will know**
# - what a latent is, and how many numbers it saves;
# - how far straight lines alone (principal components) get, built from scratch;
# - what the autoencoder of sorakit adds to that, and what is lost;
# - why it must not look into the future;
# - what lies between two films, in pixels and in latents.
#
# *About an hour with the exercises; all cells together compute for about a minute.* You need to have met tensors and
# matrix products.

# %%
import checks
import matplotlib.pyplot as plt
import numpy as np
import torch
from einops import rearrange
from pictures import show, to_tensor

import sorakit as sk
from sorakit.latent.autoencoder import Autoencoder
from sorakit.world.render import render
from sorakit.world.scene import Scene, Subject, sample

# %% [markdown]
# ## 1 · A film, as numbers
#
# The package draws its own world, so we can have as many films as we like. Here is one: 9 frames of 80 × 144 pixels.

# %%
horse = Scene((Subject("horse", "white", "run"),), "beach", "sunset")
clip = render(horse, 80, 144, seconds=1.0)
show([clip.frames[::2]], [f"frame {k}" for k in range(0, 9, 2)])

# %% [markdown]
# The models take frames as `batch × colour × time × height × width`, with values from -1 (black) to 1 (white).

# %% tags=["nbval-check-output"]
film = to_tensor(clip.frames)
print(f"{tuple(film.shape)}: {film.numel():,} numbers for one second")

# %% [markdown]
# ## 2 · Patches
#
# Neighbouring pixels are much alike. So we cut the film into *patches*: 16 × 16 pixels of 2 frames, which is 1536
# numbers. The first frame is doubled, as if the film had stood still before; then a single picture is a film, too.

# %% tags=["nbval-check-output"]
def to_patches(film):
    """(b, 3, 1 + 2k, h, w) to (b, 1 + k, h / 16, w / 16, 1536)."""
    film = torch.cat([film[:, :, :1], film], 2)
    return rearrange(film, "b c (k t) (i y) (j x) -> b k i j (c t y x)", t=2, y=16, x=16)

def to_film(patches):
    film = rearrange(patches, "b k i j (c t y x) -> b c (k t) (i y) (j x)", c=3, t=2, y=16, x=16)
    return film[:, :, 1:]

print(tuple(to_patches(film).shape))
assert torch.equal(to_film(to_patches(film)), film)

# %% [markdown]
# Nothing is lost yet: there and back is the same film. The transformer will look at these 5 × 5 × 9 = 225 patches as at
# the words of a sentence, and what it costs grows with their number; what follows makes each of them shorter. Here is
# one moment of the film, taken apart.

# %%
patches = to_patches(film)[0, 2].reshape(5, 9, 3, 2, 16, 16)
show([[patches[i, j, :, 1] for j in range(9)] for i in range(5)])

# %% [markdown]
# ## 3 · Principal components, from scratch
#
# Which 192 numbers say most about a patch? If only *linear* maps are allowed (each of them is a weighted sum of the
# patch's numbers), the answer is known since 1901: the *principal components*, the directions in which patches differ
# most. We draw some films to find them, and others to test them.

# %%
rng = np.random.default_rng(0)
draw = lambda n: torch.cat([to_tensor(render(sample(rng), 80, 144, seconds=1.0).frames) for _ in range(n)])
train, test = draw(40), draw(8)
show([[f[:, 4] for f in train[k:k + 5]] for k in (0, 5)])

# %%
def principal_components(patches):
    """The mean, the variance along each component, the largest first, and the components as columns."""
    mean = patches.mean(0)
    apart = patches - mean
    variances, components = torch.linalg.eigh(apart.T @ apart / len(patches))
    return mean, variances.flip(0), components.flip(1)

mean, variances, components = principal_components(to_patches(train).flatten(0, 3))

# %% [markdown]
# Each component is itself a patch. The first ones are flat: how bright, which colour. Then come slopes, then stripes,
# and, where the two frames differ, motion. (Black or white, left or right: the sign of a component means nothing.)

# %%
def as_picture(component, frame):
    picture = component.view(3, 2, 16, 16)[:, frame]
    return picture / component.abs().max()

chosen = [0, 1, 2, 3, 4, 5, 8, 12, 20, 40, 80, 160]
show([[as_picture(components[:, k], frame) for k in chosen] for frame in (0, 1)], chosen, ["frame 1", "frame 2"])

# %% [markdown]
# To keep only `n` components of a film: measure how far it goes along each, and put it together again from those.

# %%
def straight(film, n):
    """The film, from n numbers for each patch."""
    latents = (to_patches(film) - mean) @ components[:, :n]           # (b, k, i, j, n)
    return to_film(latents @ components[:, :n].T + mean)

kept = [1, 3, 12, 48, 192]
show([[film[0, :, 6]] + [straight(film, n)[0, :, 6] for n in kept]], ["the film", *kept])

# %% [markdown]
# ### The same with sorakit
#
# sorakit's autoencoder begins as exactly this, before it learns anything: `start_from_principal_components`. So a fresh
# one must give the same films as ours.

# %% tags=["nbval-check-output"]
fresh = Autoencoder(channels=48).eval().requires_grad_(False)
fresh.start_from_principal_components(train)
theirs = fresh.from_raw(fresh.raw_latents(test))
assert torch.allclose(theirs, straight(test, 48), atol=1e-3)
print("the same films")

# %% [markdown]
# ### Exercise 1 · How much smaller?  *(difficulty 1 of 3, 5 minutes)*
#
# How many pixel numbers are there to each latent number? A film of 1 + 2k frames has 1 + k latents in time; each
# patch of 16 × 16 pixels becomes `channels` numbers.

# %% tags=["exercise"]
def compression(frames, height, width, channels=192):
    """Numbers of the film, divided by numbers of its latents."""
    ### BEGIN SOLUTION
    pixels = frames * height * width * 3
    latents = (1 + (frames - 1) // 2) * (height // 16) * (width // 16) * channels
    return pixels / latents
    ### END SOLUTION

# %% tags=["check"]
checks.compression(compression)

# %% [markdown]
# ### Exercise 2 · How many components?  *(difficulty 2 of 3, 10 minutes)*
#
# Given the variances along the components, largest first: how many components carry at least a `share` of the whole?

# %% tags=["exercise"]
def components_for(variances, share):
    """The least number of components whose variances add up to at least this share of all."""
    ### BEGIN SOLUTION
    carried = variances.double().cumsum(0)
    return int((carried < share * carried[-1]).sum()) + 1
    ### END SOLUTION

# %% tags=["check"]
checks.components_for(components_for)

# %% [markdown]
# ## 4 · The autoencoder
#
# The trained autoencoder adds a small network to the straight lines, on the way in and on the way out. It sees across
# the borders of patches, and it can bend. What it gives is shifted and scaled, once for all films: each of the 192
# channels has a mean of 0, and the mean square of all is 1. So noise of about that strength can hide a film.

# %%
pipe = sk.load("nano")
latents = pipe.autoencoder.encode(film)
decoded = pipe.autoencoder.decode(latents)
show([film[0].unbind(1)[::2], decoded[0].unbind(1)[::2]], [f"frame {k}" for k in range(0, 9, 2)], ["film", "decoded"])

# %% [markdown]
# What was lost shows better as a picture of its own: the brighter, the further
# from the film.

# %%
lost = (film - decoded).abs()[0].mean(0)                                # (t, h, w)
show([[(frame * 8 - 1).expand(3, -1, -1) for frame in lost[::2]]], [f"frame {k}" for k in range(0, 9, 2)])

# %% [markdown]
# Edges and fine detail are lost first: the palm's leaves and the parasol more than the horse, which is smooth. Now in
# numbers, for films that neither of the two has seen. The curve is
# yours from scratch.

# %%
error = lambda a, b: (a - b).square().mean().sqrt().item() * 127.5      # in grey levels, of 255
counts = [1, 2, 4, 8, 16, 32, 64, 128, 192]
line = [error(straight(test, n), test) for n in counts]
network = error(pipe.autoencoder.decode(pipe.autoencoder.encode(test)), test)

# %%
figure, axes = plt.subplots(figsize=(6, 3))
axes.loglog(counts, line, "o-", label="straight lines, from scratch")
axes.loglog([pipe.autoencoder.channels], [network], "s", markersize=9, label="the trained autoencoder")
axes.set(xlabel="numbers for each patch", ylabel="error in grey levels")
axes.set_xticks(counts, counts)
axes.set_yticks([5, 10, 20, 40], [5, 10, 20, 40])
axes.minorticks_off()
axes.legend()
plt.show()

# %% [markdown]
# The gap at 192 is what the network is good for, and what having seen far more than 40 films is (try `draw(200)` above:
# straight lines gain as well). The curve has no floor: with 1536 numbers nothing would be lost, and nothing won.

# %% [markdown]
# ### Exercise 3 · Decibels  *(difficulty 2 of 3, 10 minutes)*
#
# Papers give this error as *peak signal-to-noise ratio*: 10 log₁₀(peak² / mean squared error), in decibels. The peak is
# the whole range that a pixel can have. Ours run from -1 to 1.

# %% tags=["exercise"]
def psnr(a, b):
    """Of two films of values in [-1, 1], in dB."""
    ### BEGIN SOLUTION
    error = (a - b).square().mean()
    return float(10 * torch.log10(4 / error))
    ### END SOLUTION

# %% tags=["check"]
checks.psnr(psnr)

# %% [markdown]
# ## 5 · What the channels hold
#
# A film's latents show themselves: each column is a moment. The top row shows three principal components as red, green
# and blue, the others the four channels that vary most, blue below zero and red above. You can still see the horizon.

# %%
sk.Latents(latents)

# %% [markdown]
# The strong channels carry layout and light, the weak ones edges. `pipe.autoencoder.explore(sk.Latents(latents))` shows
# what any one of them paints, and the film with more or less of it. Here the film is decoded from its 1, 4, 16, 64 and
# 192 strongest channels, and the others are set to zero.

# %%
strongest = latents[0].flatten(1).var(1).argsort(descending=True)

def only(n):
    kept = torch.zeros_like(latents)
    kept[:, strongest[:n]] = latents[:, strongest[:n]]
    return pipe.autoencoder.decode(kept)[0, :, 6]

show([[only(n) for n in (1, 4, 16, 64, 192)]], [1, 4, 16, 64, 192])

# %% [markdown]
# ## 6 · No look into the future
#
# We change the last frame and encode again. Which latents move?

# %% tags=["nbval-check-output"]
changed = film.clone()
changed[:, :, 8] = changed[:, :, 8].flip(-1)
moved = (pipe.autoencoder.encode(changed) - latents).abs().amax((0, 1, 3, 4))
print("latents that move:", [k for k in range(len(moved)) if moved[k] > 0])

# %% [markdown]
# Only the last. The autoencoder is *causal*: each latent is made from its own frames and those before. So a film can be
# encoded while it still runs, the first latents of a long film are those of a short one, and a film can be extended
# without encoding it anew.

# %% tags=["nbval-check-output"]
short = pipe.autoencoder.encode(film[:, :, :5])
assert torch.allclose(short, latents[:, :, :3], atol=1e-5)
print("the first 5 frames alone give the first", short.shape[2], "latents of the whole film")

# %% [markdown]
# ### Exercise 4 · Measure it  *(difficulty 3 of 3, 15 minutes)*
#
# Write the measurement: given any `encode` and frames, which is the first latent that frame `n` reaches? Your function
# will also be tried on an encoder that does look into the future.

# %% tags=["exercise"]
def first_touched(encode, frames, n):
    """Index in time of the first latent that changes with frame n; encode takes (b, 3, t, h, w)."""
    ### BEGIN SOLUTION
    other = frames.clone()
    other[:, :, n] += 1
    apart = (encode(other) - encode(frames)).abs().amax((0, 1, 3, 4))
    return int((apart > 0).nonzero()[0])
    ### END SOLUTION

# %% tags=["check"]
checks.first_touched(first_touched)

# %% [markdown]
# ## 7 · Between two films
#
# Half-way between two films in pixels is a double exposure. What is half-way in latents?

# %%
balloon = Scene((Subject("hot-air balloon", "red", "float", "up"),), "mountain lake", "day")
other = to_tensor(render(balloon, 80, 144, seconds=1.0).frames)
other_latents = pipe.autoencoder.encode(other)
shares = [0, 0.25, 0.5, 0.75, 1]
pixels = [torch.lerp(film, other, s) for s in shares]
between = [pipe.autoencoder.decode(torch.lerp(latents, other_latents, s)) for s in shares]
show([[f[0, :, 6] for f in row] for row in (pixels, between)], [f"{s:.0%}" for s in shares],
     ["pixels", "latents"])

# %% [markdown]
# Almost the same. This autoencoder is close to linear, and it was trained to
# *compress*, not to understand. A horse that turns into a balloon, step by step, needs a model that knows which films
# are likely. The diffusion model of the next lesson knows, and this is the space that it works in.

# %%
middle = error(pixels[2], between[2])
print(f"apart in the middle by {middle:.1f} grey levels; the two films by {error(film, other):.1f}")

# %% [markdown]
# ## 8 · Break it
#
# What if latents meet the wrong decoder? Here three accidents: the channels in reverse order, the latents mirrored left
# to right, and the sign of everything turned. Before you run it: which of them will you still recognise?

# %%
accidents = {"as it should be": latents, "channels reversed": latents.flip(1), "mirrored": latents.flip(-1),
             "sign turned": -latents}
show([[pipe.autoencoder.decode(broken)[0, :, 6] for broken in accidents.values()]], accidents)

# %% [markdown]
# - *Channels reversed* is noise: a channel means something only to the decoder that it was trained with. This is why
#   latents of one model are worth nothing to another.
# - *Mirrored* swaps the patches, but each patch is still the right way round. Look at the borders.
# - *Sign turned* is close to a photographic negative. A linear decoder would give the film mirrored about its mean
#   patch, nearly that, so the picture also says how linear ours is.
#
# There is a small accident in every film that a model makes: each patch misses the light by a little, and the eye sees
# a grid at once. So `decode` ends as video codecs do, which have the same trouble with their blocks: where two patches
# meet in what is flat, they meet half-way. Edges of things stay. Here every patch gets a light of its own; without
# `joined`, and with it.

# %%
from sorakit.latent.autoencoder import joined

torch.manual_seed(0)
astray = film + 0.08 * torch.randn(1, 3, 1, 5, 9).repeat_interleave(16, 3).repeat_interleave(16, 4)
show([[astray[0, :, 6], joined(astray)[0, :, 6]]], ["each patch for itself", "joined"])

# %% [markdown]
# ## Further reading
#
# - Pearson, *On lines and planes of closest fit*, 1901: principal components.
# - Kingma & Welling, *Auto-encoding variational Bayes*, 2013, [arXiv:1312.6114](https://arxiv.org/abs/1312.6114).
# - Rombach et al., *High-resolution image synthesis with latent diffusion models*, 2021,
#   [arXiv:2112.10752](https://arxiv.org/abs/2112.10752): why to diffuse latents and not pixels.
# - Yu et al., *Language model beats diffusion: tokenizer is key to visual generation* (MAGVIT-v2), 2023,
#   [arXiv:2310.05737](https://arxiv.org/abs/2310.05737): causal in time, so that a picture is a film.
# - HaCohen et al., *LTX-Video*, 2024, [arXiv:2501.00103](https://arxiv.org/abs/2501.00103): how far one can compress.
# - In this repository: [the autoencoder](../sorakit/latent/autoencoder.py), and
#   [what was tried before it](../docs/decisions.md).
