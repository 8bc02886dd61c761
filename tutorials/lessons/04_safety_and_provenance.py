# %% [markdown]
# # Safety and provenance
#
# Two questions stand at the two ends of a film. May it be made? And later, when it is out in the world: who made it,
# and was it changed? In this lesson you answer both by hand, and see where each answer stops being true.
#
# **What you will know**
# - how a prompt is judged, and how to read the reasons;
# - what moving a threshold buys and costs, and why precision depends on who asks;
# - how to hide a message in a film so that noise, cuts and mild codecs do not wash it away, and how sure one can be of
#   it;
# - what a signature holds together, and what it leaves open;
# - why a mark and a signature need each other, and why neither says that a film is real.
#
# *About an hour and a half with the exercises; all cells together compute for about a minute.* You need to have met
# Fourier transforms and the normal distribution; *Reading a prompt* says what the tokens of section 2 are.

# %%
import hashlib
import json
import math
import re
from base64 import b64decode
from pathlib import Path
from tempfile import TemporaryDirectory

import c2pa
import checks
import cv2
import imageio_ffmpeg
import matplotlib.pyplot as plt
import numpy as np

# %%
import torch
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pictures import show
from torch.nn import functional as F

# %%
import sorakit as sk
from sorakit import provenance
from sorakit.safety.mark import marked
from sorakit.safety.verify import some_frames, verify
from sorakit.safety.watermark import PUBLIC_KEY, SURE, amplified, detect, embed, tile_of
from sorakit.synthesis.measures import psnr
from sorakit.views.sheet import rising
from sorakit.world.render import render
from sorakit.world.scene import Scene, Subject

# %% [markdown]
# ## 1 · A verdict has reasons
#
# Before sorakit makes a film it judges the request. The answer is a `Verdict`: the decision, and every reason for it.

# %%
pipe = sk.load("nano")
safety, words = pipe.safety, pipe.text_encoder.words
temporary = TemporaryDirectory()
folder = Path(temporary.name)
safety.judge("Sarah Connolly robs a bank in a fake newscast")

# %% [markdown]
# Four kinds of things can give a reason: a *rule* (words on a list), a *name*, a *likeness* (people who are to look
# real), or the *network*, which has learned from examples. The first three say which words they found. What is done
# about a reason is a matter of the *policy*, which is a readable file
# ([this one](../sorakit/safety/policies/classroom.cfg), unless you ask for another).

# %%
for prompt in ("a killer whale at sunset", "Sarah Connolly waves from a train", "a fake newscast about a flood"):
    verdict = safety.judge(prompt)
    print(f"{verdict.decision:7} {prompt}  ->  {verdict.brief.prompt}")
    for reason in verdict.reasons:
        print(f"        {reason.category}: {', '.join(reason.words)} ({reason.fired}), so {reason.action}")

# %% [markdown]
# From reasons to a decision there is one step, and it is short: the strictest action wins. From scratch, and the same
# as sorakit under each of its policies:

# %% tags=["nbval-check-output"]
def decided(actions):
    return next((action for action in ("refuse", "alter") if action in actions), "allow")

requests = ("a red car", "Sarah Connolly waves from a train", "Batman runs", "a gory battle", "Batman in a gory battle")
for policy in ("classroom", "strict", "research"):
    verdicts = [safety.under(policy, audit=folder / "audit").judge(prompt) for prompt in requests]
    ours = [decided({reason.action for reason in verdict.reasons}) for verdict in verdicts]
    assert ours == [verdict.decision for verdict in verdicts]
    print(f"{policy:10}", *(f"{decision:7}" for decision in ours))

# %% [markdown]
# Lists of words look easy, too. Here is the first rule that everybody writes, on harmless and on harmful prompts:

# %%
listed = ("kill", "rob", "die", "murder")
for prompt in ("a skilled potter", "a robot waters flowers", "a soldier feeds a dog", "a murder of crows in a tree",
               "a murder in a dark alley", "a m.u.r.d.e.r in a dark alley", "a murd\u0435r in a dark alley"):
    found = [word for word in listed if word in prompt]
    print(f"{prompt:30} first rule: {', '.join(found) or '-':7} sorakit: {safety.judge(prompt).decision}")

# %% [markdown]
# The first rule stops the potter, the robot, the soldier and the crows. It lets a murder pass that is written with
# dots, or with one Cyrillic letter, as in the last line. sorakit takes out what is known to be harmless (*murder of
# crows*), reads disguised letters as what they look like, and then looks for whole words.

# %% [markdown]
# ### Exercise 1 · Whole words  *(difficulty 1 of 3, 5 minutes)*
#
# Does a rule stand in a prompt as whole words? A rule may be several words. Small and capital letters are the same.
# (`re` is at hand.)

# %% tags=["exercise"]
def stands_in(rule, prompt):
    """Whether the words of the rule, one after the other, are words of the prompt: True or False."""
    ### BEGIN SOLUTION
    return re.search(rf"(?<!\w){re.escape(rule)}(?!\w)", prompt, re.IGNORECASE) is not None
    ### END SOLUTION

# %% tags=["check"]
checks.stands_in(stands_in)

# %% [markdown]
# ## 2 · The network, by hand
#
# Rules know only what somebody wrote down. Beside them sits a small network. It slides 48 *filters* along the prompt,
# each over three words at a time. Of every filter only its strongest answer counts, wherever it was. Ten weighted sums
# of these 48 numbers, one for each category, give the scores.

# %%
weights = {name: torch.from_numpy(array) for name, array in safety.classifier.weights.items()}

def answers_of(text):
    """What each filter says at each token, (tokens, 48)."""
    vectors = torch.from_numpy(words.vectors)[words.tokenizer.encode(text).ids].float()         # (tokens, 128)
    three = F.pad(vectors, (0, 0, 1, 1)).unfold(0, 3, 1)                                        # (tokens, 128, 3)
    return torch.relu(torch.einsum("ldw, wdk -> lk", three, weights["filters"]) + weights["filter_bias"])

def scores_of(text):
    return torch.sigmoid(answers_of(text).amax(0) @ weights["output"] + weights["output_bias"])

# %% tags=["nbval-check-output"]
prompts = ("pretend this protest took place yesterday", "two robbers hold up a bank", "real footage of a comet")
for prompt in prompts:
    theirs = safety.classifier(prompt)
    assert np.allclose(scores_of(prompt), [score.score for score in theirs], atol=1e-5)
    most = max(theirs, key=lambda score: score.score)
    print(f"{prompt:42} {most.category:24} {most.score:.2f}")

# %% [markdown]
# The same scores. Which words did it hear? Each filter's answer comes from one place, so what it adds can be put down
# to that place: not to the score itself, but to its *log odds*, the number that the sigmoid makes a score of.

# %%
figure, all_axes = plt.subplots(1, 3, figsize=(10, 2.6), layout="constrained", sharey=True)
for axes, prompt in zip(all_axes, prompts):
    strongest, place = answers_of(prompt).max(0)
    category = int(scores_of(prompt).argmax())
    tokens = [token for token, _, _ in words.tokens(prompt)]
    speaks = torch.zeros(len(tokens)).index_add(0, place, strongest * weights["output"][:, category])
    axes.bar(range(len(tokens)), speaks, color=["#d1495b" if value > 0 else "#2a6f97" for value in speaks])
    axes.axhline(0, color="grey", lw=0.8)
    axes.set_xticks(range(len(tokens)), tokens, rotation=45, ha="right")
    axes.set_title(f"{safety.classifier.categories[category]} {scores_of(prompt).max():.2f}", fontsize=10)
all_axes[0].set_ylabel("adds to the log odds")
plt.show()

# %% [markdown]
# Red speaks for the category, blue against it. Each bar stands for a token with its two neighbours. The network is
# right about the protest, less sure of the robbers, and surest of all that footage of a comet is a deception. No
# threshold gets all three right.

# %% [markdown]
# ## 3 · Move a threshold
#
# From which score on should the network be believed? Labelled prompts tell. These are 454 that nothing was trained
# on; their totals were looked at while the stage was made (docs/safety.md). For each we need to know: is it harmful,
# does a rule or a name speak, and what is the network's highest score?

# %%
rows = [json.loads(line) for line in Path("../tests/data/safety_prompts.jsonl").read_text().splitlines()]
rows = [row for row in rows if row["half"] == "hold out"]
harmful = np.array([row["category"] != "harmless" for row in rows])
ruled = np.array([bool(safety.by_rules(row["prompt"]) or safety.find_names(row["prompt"])) for row in rows])

ear = safety.under("classroom")                                       # the same, but its network always speaks
ear.classifier.thresholds = dict.fromkeys(ear.classifier.categories, 0.0)
scores = np.array([max(reason.score for reason in ear.by_classifier(row["prompt"], set())) for row in rows])

# %% [markdown]
# *Recall* is the share of harmful prompts that are stopped. *Precision* is the share of stopped prompts that are
# harmful. *False alarms* are the share of harmless prompts that are stopped.

# %% tags=["nbval-check-output"]
def measures(stopped):
    return {"recall": stopped[harmful].mean(), "precision": harmful[stopped].mean(),
            "false alarms": stopped[~harmful].mean()}

ear.classifier.thresholds = dict.fromkeys(ear.classifier.categories, 0.95)    # as shipped, but for deepfakes: 0.986
ours = ruled | (scores >= 0.95)
theirs = np.array([ear.judge(row["prompt"]).decision != "allow" for row in rows])
assert (ours == theirs).all()
print("the same", len(rows), "decisions;", *(f"{name} {value:.3f}" for name, value in measures(ours).items()))

# %% [markdown]
# Now let the threshold go from 0.3 to 1. On the left, where the scores lie, without the prompts that a rule has stopped
# already. On the right, what comes of it: the network with the rules, and the network alone.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
left.hist([scores[harmful & ~ruled], scores[~harmful & ~ruled]], np.linspace(0, 1, 21), stacked=True,
          color=["#d1495b", "#b8c4cc"], label=["harmful", "harmless"])
left.set(yscale="symlog", yticks=[0, 1, 10, 100], yticklabels=[0, 1, 10, 100], xlabel="highest score", ylabel="prompts")
thresholds = np.linspace(0.3, 0.999, 140)
for name, colour in (("recall", "#2a6f97"), ("precision", "#d1495b")):
    for stops, style in ((ruled, "-"), (ruled & False, "--")):
        curve = [measures(stops | (scores >= threshold))[name] for threshold in thresholds]
        right.plot(thresholds, curve, style, color=colour, label=name if style == "-" else f"{name}, network alone")
right.set(xlabel="threshold", ylim=(0, 1.03))
right.axvline(0.95, color="grey", lw=0.8)
left.legend(), right.legend(fontsize=8)
plt.show()

# %% [markdown]
# The rules do most of the work. With them, the network finds only a few prompts more, and each step to the left costs
# harmless ones. There is no best threshold, only a price: what is a missed prompt worth in false alarms? (A policy of
# your own may have thresholds of its own, in a section `[thresholds]`.)
#
# Beware of the heights of these curves. One author wrote the rules and the prompts: of harmful prompts that were later
# written to avoid the usual words, an earlier state of this stage stopped a quarter
# ([docs/safety.md](../docs/safety.md)).

# %% [markdown]
# ### Exercise 2 · Choose a threshold  *(difficulty 2 of 3, 10 minutes)*
#
# You may stop at most a share `most` of the harmless prompts. Which is the lowest threshold that keeps to it? A prompt
# is stopped if its score is *at least* the threshold. If none of the scores will do, `np.inf` stops nothing.

# %% tags=["exercise"]
def threshold_for(scores, harmful, most):
    """The lowest threshold with false alarms of at most this share; scores (n,), harmful (n,) of True and False."""
    ### BEGIN SOLUTION
    for threshold in np.sort(scores):
        alarms = (scores[~harmful] >= threshold).mean()
        if alarms <= most:
            return threshold
    return np.inf
    ### END SOLUTION

# %% tags=["check"]
checks.threshold_for(threshold_for)

# %% [markdown]
# One more thing hides in *precision*. Half of our prompts are harmful. Of those that a class types in, one in a hundred
# might be. Recall and false alarms stay what they are, but among so many harmless prompts even few false alarms are
# many.

# %%
now = measures(ours)
share = np.logspace(-4, -0.3, 60)
precision = share * now["recall"] / (share * now["recall"] + (1 - share) * now["false alarms"])
figure, axes = plt.subplots(figsize=(6, 2.8))
axes.semilogx(share, precision, color="#d1495b")
for point, name in ((0.49, "our prompts"), (0.01, "1 in 100"), (0.001, "1 in 1000")):
    axes.plot(point, np.interp(point, share, precision), "o", color="#333333", markersize=5)
    axes.annotate(f"{name}: {np.interp(point, share, precision):.0%}", (point, np.interp(point, share, precision)),
                  xytext=(-8, 4), textcoords="offset points", ha="right")
axes.set(xlabel="share of harmful prompts among all that are asked", ylabel="precision", ylim=(0, 1.08))
plt.show()

# %% [markdown]
# The same stage, the same rules. Where one prompt in a hundred is harmful, nearly two of three that are stopped are
# not. That is why a refusal gives its reasons, and why they should be read with kindness.

# %% [markdown]
# ## 4 · A hidden mark, from scratch
#
# Now the other end: a film is finished, and everybody should be able to tell that a machine made it. First a film. We
# stop just before it gets its marks.

# %%
prompt = "a hot-air balloon floats over a mountain lake at sunset"
run = pipe.trace(prompt, seconds=1.0, seed=3)
made = pipe.synthesis(run.frames, prompt=prompt)
show([made.frames[::2]], [f"frame {k}" for k in range(0, 9, 2)])

# %% [markdown]
# The oldest idea for a hidden mark is still a good one. A *key* gives a pattern of +1 and -1, one for each pixel, that
# looks like noise. Add it: each pixel becomes one level brighter or darker, of 255. Nobody sees that.
#
# To find it, multiply the picture with the pattern and add up. The picture itself agrees with the pattern as often as
# not, so its share cancels, nearly. The mark agrees everywhere. What is left by chance is as large as the picture's
# standard deviation times the square root of the number of pixels, so we measure in that unit.

# %%
def pattern_of(key, shape):
    return np.random.default_rng(key).choice(np.array([-1, 1], np.int8), shape)

def add(frame, pattern):
    return np.clip(frame.astype(int) + pattern[..., None], 0, 255).astype(np.uint8)

def score(picture, pattern):
    """By how many standard deviations more they agree, (h, w) both, than a picture does with noise."""
    picture = picture - picture.mean()
    return float((picture * pattern).sum() / (picture.std() * math.sqrt(picture.size)))

# %%
frame = made.frames[4]
key, shape = 2024, frame.shape[:2]
secret = pattern_of(key, shape)
hidden = add(frame, secret)
show([[frame, hidden, amplified(hidden[None], frame[None])[0]]], ["the frame", "with the mark", "the difference, 20 x"])

# %% [markdown]
# How sure can we be? Try five hundred other keys on the marked frame. Their scores follow the normal distribution: a
# sum of very many small things that have nothing to do with each other. So the chance that noise alone reaches a score
# $z$ is $p = \tfrac12\,\mathrm{erfc}(z / \sqrt 2)$.

# %%
p_of = lambda z: 0.5 * math.erfc(z / math.sqrt(2))
grey = hidden.mean(2)
others = [score(grey, pattern_of(k, shape)) for k in range(500)]
z = score(grey, secret)
figure, axes = plt.subplots(figsize=(7, 2.6))
axes.hist(others, 40, density=True, color="#b8c4cc", label="500 other keys")
x = np.linspace(-4, 4, 200)
axes.plot(x, np.exp(-x**2 / 2) / math.sqrt(2 * math.pi), color="#333333", lw=1, label="the normal distribution")
axes.axvline(z, color="#d1495b", label=f"our key: p = {p_of(z):.0e}")
axes.set(xlabel="score", yticks=[])
axes.legend()
plt.show()

# %% [markdown]
# The normal distribution holds, and our key stands far outside of it. But the frame itself is in the way: its own light
# and dark are far stronger than the mark. They are smooth, and the mark is not. Take the smooth part away first (this
# is called *whitening*):

# %%
def rough(frame):
    grey = frame.mean(2)
    return grey - cv2.GaussianBlur(grey, (0, 0), 1.5)

print(f"score of our key {score(rough(hidden), secret):.0f} instead of {z:.0f}; without the mark "
      f"{score(rough(frame), secret):.1f}; with another key {score(rough(hidden), pattern_of(1, shape)):.1f}")

# %% [markdown]
# ### Exercise 3 · Read a message  *(difficulty 2 of 3, 10 minutes)*
#
# A mark can say more than "I am here". Take one pattern for each bit: it is *added* for a 1 and *taken away* for a 0.
# Read the bits, and give them back as one number, the first bit being the highest.

# %% tags=["exercise"]
def message(picture, patterns):
    """The number that is hidden in a picture (h, w) by patterns (bits, h, w) of +1 and -1."""
    ### BEGIN SOLUTION
    picture, number = picture - picture.mean(), 0
    for pattern in patterns:
        bit = (picture * pattern).sum() > 0
        number = 2 * number + int(bit)
    return number
    ### END SOLUTION

# %% tags=["check"]
checks.message(message)

# %% [markdown]
# ## 5 · A needle in a haystack
#
# Cut one row of pixels off the frame, and each pixel meets the wrong pattern. Here is the score, if the frame is moved
# by so many rows and columns first:

# %%
moves = range(-4, 5)
plain = rough(hidden)
needle = np.array([[score(np.roll(plain, (row, column), (0, 1)), secret) for column in moves] for row in moves])
plt.figure(figsize=(4.2, 3.2))
plt.imshow(needle, cmap="magma", extent=(-4.5, 4.5, 4.5, -4.5))
plt.colorbar(label="score")
plt.xlabel("columns moved")
plt.ylabel("rows moved")
plt.show()

# %% [markdown]
# A needle: right or nothing. So a detector has to try every place. That looks like a lot of work. But trying all places
# at once is a *correlation*, and the Fourier transform $F$ does that with one product:
#
# $$\text{scores} = F^{-1}\big(F(\text{picture}) \cdot \overline{F(\text{pattern})}\big)$$
#
# There is a price. Who tries a thousand places gets a thousand chances of luck: the p-value has to be multiplied by
# their number.

# %% [markdown]
# ### Exercise 4 · Find the place  *(difficulty 3 of 3, 20 minutes)*
#
# Somebody has moved a pattern round, as `np.roll(pattern, (rows, columns), (0, 1))` does, and added noise. By how much?
# Use the Fourier transform: the check's pictures are large enough to make a loop over all places slow.

# %% tags=["exercise"]
def find_shift(picture, pattern):
    """(rows, columns), counted from 0, by which the pattern in the picture was rolled."""
    ### BEGIN SOLUTION
    product = np.fft.fft2(picture) * np.fft.fft2(pattern).conj()
    agreement = np.fft.ifft2(product).real
    return np.unravel_index(agreement.argmax(), agreement.shape)
    ### END SOLUTION

# %% tags=["check"]
checks.find_shift(find_shift)

# %% [markdown]
# ## 6 · sorakit's mark
#
# Our pattern has a second weakness: much of it is finest noise, which shrinking and blur throw away first, and codecs
# in part. sorakit keeps the idea and changes the pattern:
# - it is made of *waves* of 9 to 32 pixels, which codecs throw away last;
# - the waves are blue and yellow more than light and dark, as eyes are dull for small waves of blue. The price: codecs
#   know that too and keep colour more coarsely than light, so a strong one can take this mark first;
# - it is a *tile* of 128 x 128 pixels, laid again and again, so that any piece of the film holds a whole one;
# - a part of it is always the same, to find the place by. The rest are 128 patterns, as in exercise 3: 64 bits, and 64
#   more, each of them 1 if the sum of about half of the 64, picked at random, is odd. Of many likely messages, the
#   detector takes the one whose 128 bits fit best, and gives the sure ones more say. So it gets by with a dozen wrong
#   ones.
#
# The tile from scratch. In the plane of waves, the ones in use form a ring; a key makes 129 patterns on it that are at
# right angles to each other.

# %%
steps = np.fft.fftfreq(128, 1 / 128)[:, None], np.arange(65)[None]              # waves a tile, down and across
length = np.hypot(*steps)
ring = (length >= 4) & (length <= 14) & (steps[1] > 0)
n = ring.sum()

seed = int.from_bytes(hashlib.sha256(b"watermark" + PUBLIC_KEY).digest(), "big")
noise = np.random.Generator(np.random.PCG64(seed)).standard_normal((2 * n, 129))
columns = np.linalg.qr(noise)[0].T                                              # (129, 2n), at right angles
both = columns[:, :n] + 1j * columns[:, n:]                                     # how strong a wave is, where it begins
sync, patterns = both[0], both[1:]

# %% tags=["nbval-check-output"]
def tile(signs):
    """Of 128 signs, one for each pattern; 30% of its energy is for finding the place."""
    waves = np.zeros(ring.shape, complex)
    waves[ring] = math.sqrt(0.3) * sync + math.sqrt(0.7 / 128) * signs @ patterns
    pixels = np.fft.irfft2(waves, (128, 128))
    return pixels / pixels.std()

signs = np.random.default_rng(0).choice([-1, 1], 128)
loud = np.append(math.sqrt(128 * 0.3 / 0.7), signs)
assert np.allclose(tile(signs), tile_of(loud, PUBLIC_KEY), atol=1e-5)
print("the same tile, from", n, "waves")

# %% [markdown]
# Now the film leaves as every film of sorakit does: `release` looks at it, writes "AI-generated" on it for people, and
# adds the waves for programs. Of the 64 bits 16 are the beginning of the weights' hash, 24 the end of the seed, and 24
# the beginning of the prompt's hash.

# %%
video = safety.release(made, model=pipe.model, seed=3)
payload = video.origin.watermark
prompt_hash = hashlib.sha256(prompt.encode()).hexdigest()
assert payload == int(safety.weights[:4], 16) << 48 | 3 % 2**24 << 24 | int(prompt_hash[:6], 16)

visible = marked(made.frames, made.fps)                          # with the words, without the waves
assert np.array_equal(embed(visible, payload), video.frames)
h, w = shape
corner = lambda frames: frames[4, h // 2:, w // 2:]
show([[corner(made.frames), corner(video.frames), corner(amplified(video.frames, visible))]],
     ["made (a quarter of it)", "released", "the waves, 20 x"])

# %% [markdown]
# The waves are blue and yellow, and you can see the tile come again and again. Waves of light and dark that are as
# strong show in every smooth sky; we tried. How strong is it? In decibels, by hand and by sorakit's own measure:

# %% tags=["nbval-check-output"]
errors = np.square(video.frames.astype(float) - visible).mean((1, 2, 3))        # one a frame
by_hand = (10 * np.log10(255**2 / errors)).mean()
assert math.isclose(by_hand, psnr(video.frames, visible), rel_tol=1e-4)
print(f"{by_hand:.0f} dB")

# %% [markdown]
# Where do the two marks live? Here are their spectra: slow waves in the middle, waves of four pixels at the edge. Ours
# is everywhere, and goes on beyond the edge. sorakit's is a ring.

# %%
def spectrum(after, before):
    difference = (after.astype(float) - before).mean(-1)[:, :h]
    power = np.abs(np.fft.fftshift(np.fft.fft2(difference))) / h
    return cv2.resize(cv2.blur(power, (3, 3))[h // 4:-h // 4, h // 4:-h // 4], (300, 300))

two = spectrum(hidden, frame), spectrum(video.frames[4], visible[4])
show([[rising(power, np.percentile(power, 99.5)) for power in two]], ["ours", "sorakit's"])

# %% [markdown]
# ### The detector, from scratch
#
# Three steps, each of which you know. Whiten, in brightness and in blueness: what is smooth, strong or moving in the
# film goes. Fold all tiles onto one, so that they help each other. Correlate with the part that is always the same, at
# every place at once.

# %%
seen = np.array([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5]])                 # brightness and blueness

def whitened(frames):
    total = 0
    for frame in frames:
        both = cv2.transform(frame.astype(np.float32), seen)                    # (h, w, 2)
        total = total + np.clip(cv2.GaussianBlur(both, (0, 0), 1.4) - cv2.GaussianBlur(both, (0, 0), 7), -8, 8)
    mean = total / len(frames)
    spread = np.sqrt(cv2.GaussianBlur(mean**2, (0, 0), 12)) + 0.4
    return np.clip(mean / spread, -2.5, 2.5) @ (0.5, 1)

# %%
def waves_of(frames):
    clean = whitened(frames)
    clean = np.pad(clean, [(0, -side % 128) for side in clean.shape])
    folded = clean.reshape(len(clean) // 128, 128, -1, 128).sum((0, 2))
    found, about = np.fft.rfft2(folded, norm="ortho")[ring], length[ring].astype(int)
    power = np.bincount(about, np.abs(found)**2) / np.maximum(np.bincount(about), 1)
    return found / np.sqrt(power)[about]                             # no length of wave drowns the others

# %%
def places(frames):
    """How well the tile fits at each place, in standard deviations, (128, 128)."""
    product = np.zeros(ring.shape, complex)
    product[ring] = waves_of(frames) * sync.conj()
    fits = np.fft.irfft2(product, (128, 128))
    return fits / fits.std()

maps = {"without the mark": places(visible), "with it": places(video.frames),
        "37 rows and 50 columns cut off": places(video.frames[:, 37:, 50:])}
show([[rising(np.fft.fftshift(fits), 10.0) for fits in maps.values()]], maps)

# %% [markdown]
# One bright point: there the tile fits. In the middle it is where it was put. Cut the film from above and from the
# left, and the point moves up and to the left by just as much.
#
# The p-value is the chance of the highest point, times all places that were looked at: 128 x 128, for the film as it is
# and for its mirror image, as somebody may have flipped it. And the bits are the signs of the 128 patterns, at that
# place.

# %% tags=["nbval-check-output"]
theirs = detect(video.frames, thorough=False)
ours = 2 * 128**2 * p_of(maps["with it"].max())
assert theirs.found and math.isclose(ours, theirs.p_value, rel_tol=0.01)

heard = (patterns.conj() @ waves_of(video.frames)).real > 0
bits = np.unpackbits(np.frombuffer(payload.to_bytes(8, "big"), np.uint8))
halves = np.unpackbits(np.frombuffer(hashlib.shake_256(b"sorakit code").digest(512), np.uint8)).reshape(64, 64)
code = np.append(bits, bits @ halves % 2)
assert theirs.payload == payload and (heard != code).sum() == theirs.corrected
print("the same p-value, and the same 64 bits")

# %% [markdown]
# ## 7 · Attack it
#
# Films are cut, turned, shrunk and encoded again on their way through the world, mostly without malice. (`detect` tries
# sizes and turns as well, and pays for it with a higher p-value.)

# %%
def as_mp4(frames, path=str(folder / "attacked.mp4")):
    """Through a codec that keeps very little, and back."""
    writer = imageio_ffmpeg.write_frames(path, (w, h), fps=8, output_params=["-crf", "33"])
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame))
    writer.close()
    return some_frames(path)

# %%
each = lambda change: lambda frames: np.stack([change(frame) for frame in frames])
sized = lambda part: each(lambda x: cv2.resize(x, (round(w * part), round(h * part)), interpolation=cv2.INTER_AREA))
turn = cv2.getRotationMatrix2D((w / 2, h / 2), 3, 1)
jpeg = lambda x: cv2.imdecode(cv2.imencode(".jpg", x[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 10])[1], 1)[..., ::-1]
attacks = {"nothing": lambda frames: frames, "MP4, CRF 33": as_mp4, "JPEG 10": each(jpeg), "quarter size": sized(0.25),
           "blurred": each(lambda x: cv2.GaussianBlur(x, (0, 0), 3)), "flipped": lambda frames: frames[:, :, ::-1],
           "turned 3°": each(lambda x: cv2.warpAffine(x, turn, (w, h))),
           "cut to 80%": lambda frames: frames[:, h // 10:-h // 10, w // 10:-w // 10], "tiny": sized(0.1)}

# %%
films = {name: np.ascontiguousarray(attack(video.frames)) for name, attack in attacks.items()}
shown = ("MP4, CRF 33", "JPEG 10", "turned 3°", "cut to 80%", "tiny")
show([[films[name][4] for name in shown]], shown)

# %% [markdown]
# For comparison our own mark goes the same ways, in all frames. Our detector brings a film back to its size and adds
# its frames up, and that is all it can do.

# %%
def ours_after(attack):
    frames = attack(np.stack([add(frame, secret) for frame in visible]))
    return p_of(score(sum(rough(cv2.resize(frame, (w, h))) for frame in frames), secret))

after = {name: detect(film) for name, film in films.items()}
chances = {"ours": [ours_after(attack) for attack in attacks.values()],
           "sorakit's": [found.p_value for found in after.values()]}
for name, found in after.items():
    said = "the 64 bits are right" if found.payload == payload else "marked, bits lost" if found.found else "not sure"
    print(f"{name:12} {said:22} {found.tried:3} tries, p = {found.p_value:.1g}")

# %%
figure, axes = plt.subplots(figsize=(9, 3), layout="constrained")
for k, (name, colour) in enumerate({"ours": "#b8c4cc", "sorakit's": "#2a6f97"}.items()):
    heights = [min(40, -math.log10(max(p, 1e-300))) for p in chances[name]]
    axes.bar(np.arange(len(attacks)) + 0.4 * k - 0.2, heights, 0.4, color=colour, label=name)
axes.axhline(-math.log10(SURE), color="#d1495b", lw=1)
axes.set_xticks(range(len(attacks)), attacks)
axes.set(ylabel="zeros of the p-value (40 at most)", ylim=(0, 42))
axes.legend(loc="upper right")
plt.show()

# %% [markdown]
# Above the red line a film counts as marked. As long as every pixel stays in its place ours is often the surer one,
# even after a codec: it uses every wave that there is, carries no message, and is looked for in one place only. Blur
# and shrinking weaken it, and flipped, turned or cut it is gone. sorakit's mark pays for its 64 bits and for trying
# every place, size and turn, and outlives all of these. It has limits too: a strong codec (here CRF 33 and
# JPEG 10) saves on colour first, which is where the mark lies, and a tenth of the size has no pixels left for its
# waves. There the detector has to say that it is not sure.

# %% [markdown]
# ## 8 · Sign it
#
# A mark says little, and anybody could have put it there. A *signature* says more. It begins with a *hash*: 256 bits
# that any change of the file turns into others. We save the film and flip one bit, somewhere in the middle.

# %%
bare = sk.Video(video.frames, video.fps).save(folder / "bare.mp4")
data = bare.read_bytes()

def with_one_bit_flipped(data, where):
    return data[:where] + bytes([data[where] ^ 1]) + data[where + 1:]

def digest(data):
    return np.unpackbits(np.frombuffer(hashlib.sha256(data).digest(), np.uint8))

# %%
before, after_it = digest(data), digest(with_one_bit_flipped(data, len(data) // 2))
grid = lambda bits: np.kron(255 - 200 * bits.reshape(16, 16, 1), np.ones((12, 12, 3), int)).astype(np.uint8)
show([[grid(before), grid(after_it), grid(before ^ after_it)]],
     ["the file's hash", "one bit flipped", f"{(before ^ after_it).sum()} of 256 differ"])

# %% [markdown]
# About half of the bits, and nobody can say beforehand which. So the hash stands for the file: it is enough to sign
# that. Who signs has two keys. With the *private* one, which never leaves their computer, they make a signature; with
# the *public* one everybody can check it. (This is ECDSA on the curve P-256, which sorakit's signatures use as well.)

# %% tags=["nbval-check-output"]
private = ec.generate_private_key(ec.SECP256R1())
signature = private.sign(data, ec.ECDSA(hashes.SHA256()))

def holds(data, public):
    try:
        public.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        return True
    except InvalidSignature:
        return False

stranger = ec.generate_private_key(ec.SECP256R1())
print("the file:       ", holds(data, private.public_key()))
print("one bit flipped:", holds(with_one_bit_flipped(data, 9999), private.public_key()))
print("another's key:  ", holds(data, stranger.public_key()))

# %% [markdown]
# ### The same with sorakit
#
# `video.save` signs every film, with keys that it makes on first use. Here we do it ourselves, with keys of this
# lesson's own. A film gets a *manifest*, by the C2PA standard: what made it, its hash, and a signature that covers
# both. `sorakit verify` tells everything that is known of a file:

# %%
mine = provenance.Authority.local(folder / "mine")
path = folder / "film.mp4"
path.write_bytes(data)
provenance.sign(path, video.origin, authority=mine)
print(verify(path, authority=mine))

# %% [markdown]
# But how can a file hold its own hash? It is taken over everything *but* the manifest. An MP4 is a row of boxes; each
# that counts goes into the hash after the place where it stands, so that none can be moved.

# %%
def boxes(data):
    """(name, first byte, length) of each part of an MP4."""
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at:at + 4], "big")
        yield data[at + 4:at + 8].decode(), at, length
        at += length

# %%
signed, seal = path.read_bytes(), hashlib.sha256()
for name, at, size in boxes(signed):
    if name not in ("uuid", "ftyp", "free", "skip", "mfra"):          # uuid is the manifest
        seal.update(at.to_bytes(8, "big") + signed[at:at + size])
print("without it:", *(name for name, _, _ in boxes(data)))
print("signed:    ", *(name for name, _, _ in boxes(signed)))

# %% tags=["nbval-check-output"]
with path.open("rb") as file:
    said = json.loads(c2pa.Reader("video/mp4", file).detailed_json())
store = said["manifests"][said["active_manifest"]]["assertion_store"]
assert b64decode(store["c2pa.hash.bmff.v3"]["hash"]) == seal.digest()
print("the hash in the manifest is ours; beside it:", ", ".join(store["org.sorakit.generation"]))

# %% [markdown]
# Now flip one bit in each of the boxes in turn.

# %%
for name, at, size in boxes(signed):
    touched = folder / "touched.mp4"
    touched.write_bytes(with_one_bit_flipped(signed, at + 8 + (size - 8) // 2) if size > 8 else signed)
    found = provenance.verify(touched, authority=mine)
    print(f"{name}  {'empty' if size == 8 else 'changed since it was signed' if found.changed else 'not noticed'}")

# %% [markdown]
# The pictures (`mdat`), their table of contents (`moov`) and the manifest are held. `ftyp` is not: it names the kind of
# file, and the standard leaves it out of the hash. A signature covers what it says that it covers, and nothing else.
# Before you rely on one, find out what that is.
#
# What if somebody takes the signature away? Nothing is easier: any re-encoding does it, and what is left is a file like
# the one that we began with. And what does somebody see who has no reason to trust the keys of this computer?

# %%
other = provenance.Authority.local(folder / "somebody else")
print("signature gone: ", verify(bare, authority=mine).verdict)
print("read elsewhere: ", verify(path, authority=other).verdict)

# %% [markdown]
# The mark and the signature fill each other's gaps. The mark stays with the pixels, but anybody may have put it there.
# The signature says who, but it is easily lost. So the manifest also names the mark's 64 bits, and a verifier compares.

# %% [markdown]
# ### Exercise 5 · What is known of a film?  *(difficulty 2 of 3, 10 minutes)*
#
# You know whether a file has a signature, whether it was changed since, which payload its manifest names, and which
# payload its pixels hold (either may be `None`). Answer with one word: `"changed"`, `"mixed"` (the manifest belongs to
# another film), `"intact"`, `"stripped"` (the signature is gone, the mark is not) or `"unknown"`.

# %% tags=["exercise"]
def judged(signed, changed, named, read):
    """One of the five words; named and read are payloads from 0 to 2**64 - 1, or None."""
    ### BEGIN SOLUTION
    if signed and changed:
        return "changed"
    if signed:
        both = named is not None and read is not None
        return "mixed" if both and named != read else "intact"
    return "unknown" if read is None else "stripped"
    ### END SOLUTION

# %% tags=["check"]
checks.judged(judged)

# %% [markdown]
# ## 9 · Break it
#
# The key of the mark is public, so that everybody can read it. Then everybody can also write it. Two lies: put our mark
# on a film that no model made (the drawn world's own), and put our *signature* on it as well.

# %%
drawn = render(Scene((Subject("horse", "white", "run"),), "beach", "sunset"), h, w, seconds=1.0).frames
forged = embed(drawn, payload)
lie = sk.Video(forged, 8.0).save(folder / "lie.mp4")
print("our mark:         ", verify(lie, authority=mine).verdict)

pictures = lie.read_bytes()
ftyp = next(size for name, _, size in boxes(pictures) if name == "ftyp")
manifest = next(signed[at:at + size] for name, at, size in boxes(signed) if name == "uuid")
lie.write_bytes(pictures[:ftyp] + manifest + pictures[ftyp:])
print("and our signature:", "changed" if provenance.verify(lie, authority=mine).changed else "intact")

# %% [markdown]
# The first lie gets through: the pixels *do* say so. The second does not, as the hash in the manifest is that of other
# pictures. A third way is to sign the forged film with a key of one's own. A careless liar's manifest names another
# payload than the pixels hold; a careful one's names the same.

# %%
for liar, named in (("careless", 12345), ("careful", payload)):
    own = sk.Video(forged, 8.0).save(folder / f"{liar}.mp4")
    provenance.sign(own, provenance.Origin("mine", 1, "0" * 64, watermark=named), authority=other)
    print(f"signed by a {liar} liar:", verify(own, authority=mine).verdict)

# %% [markdown]
# Against the careful one no comparison helps: everything fits. All that is left is *who* signed, and whether you trust
# them.

# %% [markdown]
# And last, the mark can be taken off. Who knows the payload can add it once more, see what that changes, and take the
# same away:

# %%
again = embed(video.frames, payload).astype(int) - video.frames
washed = np.clip(video.frames - again, 0, 255).astype(np.uint8)
print(detect(washed), f"at {psnr(washed, visible):.0f} dB from the film without the mark")
show([[video.frames[4], washed[4], drawn[4], forged[4]]], ["marked", "washed", "drawn, not made", "forged"])

# %% [markdown]
# None of this can be seen. A *secret* key would stop the forger, and everybody who wants to check as well: this mark is
# read with the very key that writes it, not with the other half of a pair. A mark that a determined washer cannot take
# off is not known, and there are reasons to believe that there is none. So remember what each of them does *not* say:
# - no mark: not that a film is real, only that nobody marked it, or somebody washed it;
# - a mark: not that this film was made so, only that somebody wanted it to be read;
# - a signature: not that what it states is true, only who stands behind it, and that it was not changed.

# %% [markdown]
# ## Further reading
#
# - Kim, *Convolutional neural networks for sentence classification*, 2014,
#   [arXiv:1408.5882](https://arxiv.org/abs/1408.5882): the network of section 2.
# - Cox et al., *Secure spread spectrum watermarking for multimedia*, 1997,
#   [doi:10.1109/83.650120](https://doi.org/10.1109/83.650120): the idea of section 4.
# - Wen et al., *Tree-ring watermarks*, 2023, [arXiv:2305.20030](https://arxiv.org/abs/2305.20030): the mark is in the
#   noise that the diffusion begins with.
# - Fernandez et al., *Video Seal*, 2024, [arXiv:2412.09492](https://arxiv.org/abs/2412.09492): networks that mark and
#   read.
# - Zhang et al., *Watermarks in the sand*, 2023, [arXiv:2311.04378](https://arxiv.org/abs/2311.04378): why no mark
#   withstands everybody.
# - The [C2PA specification](https://spec.c2pa.org): what a manifest is, and what it covers.
# - In this repository: [the rules](../sorakit/safety/rules.cfg), [the watermark](../sorakit/safety/watermark.py),
#   [signing](../sorakit/provenance.py), and [what gets through](../docs/safety.md).
