# %% [markdown]
# # Reading a prompt
#
# A prompt is letters, and a model computes with numbers. In this lesson you follow a sentence on its way from the one
# to the other, and see where meaning gets in, and where it gets lost.
#
# **What you will know**
# - what tokens are, and how a word that nobody has seen is cut into some;
# - what a word vector is, and how it knows that a puppy is nearly a dog;
# - how sorakit finds out who does what, where and when, and what it draws in place of what it cannot;
# - why a mean of words loses their order, and how places and attention keep it, by writing the text encoder by hand.
#
# *About an hour with the exercises; all cells together compute for a few seconds.* You need to have met vectors and
# matrix products.

# %%
import checks
import matplotlib.pyplot as plt
import torch
from einops import rearrange
from torch.nn import functional as F

import sorakit as sk
from sorakit.world.scene import KINDS, SETTINGS

# %%
pipe = sk.load("nano")
words = pipe.text_encoder.words
prompt = "Two white horses gallop along a foggy beach at dawn."
pipe.prompt(prompt)

# %% [markdown]
# That is where we are going: sorakit's reading of a prompt. Now from the beginning.
#
# ## 1 · Tokens
#
# The model has a fixed vocabulary. A text is cut into *tokens*, all of which are in it.

# %% tags=["nbval-check-output"]
vocabulary = words.tokenizer.get_vocab()
print(f"{len(vocabulary):,} tokens")
print(*[token for token, start, end in words.tokens(prompt)], sep=" | ")

# %% [markdown]
# What of a word that is not in the vocabulary? It is cut into pieces: the longest piece from the left that the
# vocabulary has, then the longest piece of what is left, and so on. Pieces inside of a word begin with `##`. This is
# *WordPiece*, from scratch:

# %%
def pieces(word):
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                break
        else:
            return ["[UNK]"]
        found, start = [*found, piece], end
    return found

# %% tags=["nbval-check-output"]
for word in ("horse", "horses", "snowscape", "hyperrealistic", "steampunk", "zzyzx"):
    theirs = [token for token, _, _ in words.tokens(word)]
    assert pieces(word) == theirs
    print(f"{word:16}", " ".join(theirs))

# %% [markdown]
# The same as sorakit's tokenizer. Each token also knows its *span*: the characters of the prompt that it stands for.
# Everything that sorakit says of a prompt comes with one, so that it can be shown where it was said.

# %% tags=["nbval-check-output"]
for token, start, end in words.tokens(prompt)[:5]:
    print(f"{token:8} {start:3} to {end:3}   {prompt[start:end]!r}")

# %% [markdown]
# ### Exercise 1 · Show the spans  *(difficulty 1 of 3, 10 minutes)*
#
# Put square brackets around the spans of a prompt. They may come in any order, but they do not overlap.

# %% tags=["exercise"]
def highlight(prompt, spans):
    """The prompt with [ ] around each (start, end); end is one past the last character."""
    ### BEGIN SOLUTION
    for start, end in sorted(spans, reverse=True):
        prompt = prompt[:start] + "[" + prompt[start:end] + "]" + prompt[end:]
    return prompt
    ### END SOLUTION

# %% tags=["check"]
checks.highlight(highlight)

# %% [markdown]
# ## 2 · Word vectors
#
# Each token has a row in a table: a vector of 128 numbers. Words that are used alike have vectors that point alike.
# The table was distilled from a model that has read a great many sentences. Only 87 words that this model misreads were
# given others in their place, by hand: *lorry* is read as *truck*, *gallop* as *horse runs* (`READ_AS` in
# [words.py](../sorakit/training/words.py)).

# %% tags=["nbval-check-output"]
table = torch.from_numpy(words.vectors)
vector = lambda word: table[vocabulary[word]]
print(tuple(table.shape), "of length", ", ".join(f"{vector(word).norm():.2f}" for word in ("horse", "dawn", "fog")))

# %% [markdown]
# How alike two words are is the *cosine* of the angle between their vectors. All of these have length 1, but for
# rounding, so their inner product is the cosine. sorakit's `similarity` gives the same.

# %% tags=["nbval-check-output"]
for a, b in (("puppy", "dog"), ("car", "automobile"), ("dawn", "sunrise"), ("horse", "piano")):
    cosine = (vector(a) @ vector(b)).item()
    assert abs(cosine - words.similarity(a, b)) < 0.01
    print(f"{a:6} {b:10} {cosine:5.2f}")

# %%
some = "horse puppy dog cat bird car truck train boat beach forest street field desert dawn sunset night rain snow fog"
names = some.split()
vectors = torch.stack([vector(name) for name in names])
plt.figure(figsize=(6, 5))
plt.imshow(vectors @ vectors.T, cmap="magma", vmin=0)
plt.xticks(range(len(names)), names, rotation=90)
plt.yticks(range(len(names)), names)
plt.colorbar(label="cosine")
plt.show()

# %% [markdown]
# Animals form a block by themselves, so do things that drive, and times with weather; places hardly do. The same as a
# map: 128 numbers become two, the two principal components.

# %%
_, _, directions = torch.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
places = (vectors - vectors.mean(0)) @ directions[:2].T
plt.figure(figsize=(9, 5))
plt.scatter(*places.T, s=8)
for name, (x, y) in zip(names, places.tolist()):
    plt.annotate(name, (x, y), xytext=(3, 3), textcoords="offset points")
plt.axis("off")
plt.show()

# %% [markdown]
# ### Exercise 2 · Nearest neighbours  *(difficulty 2 of 3, 10 minutes)*
#
# Find the `n` rows of a table that point most nearly the way a vector does. These vectors are *not* of length 1.

# %% tags=["exercise"]
def nearest(vector, table, n):
    """Indices of the n rows of table (rows, d) with the highest cosine to vector (d,), the highest first."""
    ### BEGIN SOLUTION
    cosines = table @ vector / (table.norm(dim=1) * vector.norm())
    return cosines.argsort(descending=True)[:n]
    ### END SOLUTION

# %% tags=["check"]
checks.nearest(nearest)

# %% [markdown]
# ## 3 · Who, where, when: roles from scratch
#
# To make a film one has to know which words are its subject and which its weather. A first try: a few examples of each
# role, and a word has the role of the example that it is nearest to, if that is near enough.

# %%
examples = {"subject": "dog cat horse bird woman man child car train boat robot",
            "setting": "beach forest street field desert sea lake park",
            "time": "dawn noon sunset night", "weather": "rain snow fog storm"}
known = {role: torch.stack([vector(word) for word in text.split()]) for role, text in examples.items()}

def similarities(prompt):
    """Each token and its highest cosine to an example of each role."""
    tokens = [token for token, _, _ in words.tokens(prompt)]
    return tokens, torch.tensor([[(known[role] @ vector(token)).max() for token in tokens] for role in known])

# %%
tokens, near = similarities(prompt)
plt.figure(figsize=(7, 2.2))
plt.imshow(near, cmap="magma", vmin=0, vmax=1)
plt.xticks(range(len(tokens)), tokens, rotation=45, ha="right")
plt.yticks(range(len(known)), known)
plt.show()

# %% [markdown]
# Not bad for a table of 27 words. But to it *gallop* is a subject: the table reads it as *horse runs*, and the horse is
# louder. Now let it read something harder, and compare it with sorakit's reading, the `Brief`.

# %%
def roles_from_scratch(prompt, least=0.6):
    tokens, near = similarities(prompt)
    return [(list(known)[near[:, k].argmax()], token) for k, token in enumerate(tokens) if near[:, k].max() > least]

def roles_of_sorakit(prompt):
    brief = pipe.prompt(prompt)
    return [(thing.role, str(thing.name)) for thing in (*brief.subjects, *brief.elements)]

hard = ("a man in a snow-white coat", "two dogs wait at the train station", "a street without a single dog")
for text in hard:
    print(text, "\n   from scratch", roles_from_scratch(text), "\n   sorakit     ", roles_of_sorakit(text))

# %% [markdown]
# Words by themselves cannot tell a colour from weather, a place from a vehicle, or what is there from what is not. For
# that one has to look at the sentence: what stands before what, what belongs to what. sorakit's reader looks at grammar
# first, and at vectors where grammar does not settle it. It is not perfect either: find a prompt that it reads wrongly.
# `pipe.prompt.explore()`, in a cell of your own, reads while you type.

# %%
brief = pipe.prompt(prompt)
horses = brief.subjects[0]
print(f"{horses.count} x {horses.name!r}, {horses.colour}, {horses.action}")
brief

# %% [markdown]
# ### Exercise 3 · How good is a reader?  *(difficulty 2 of 3, 15 minutes)*
#
# A reader may miss things, and it may see things that are not there. *Precision* is the share of what it found that is
# right, *recall* the share of what is right that it found, and *F1* their harmonic mean. Nothing found where there
# was nothing is 1, nothing found of something is 0.

# %% tags=["exercise"]
def f1(found, right):
    """F1 of two sets of (role, words)."""
    ### BEGIN SOLUTION
    if not found and not right:
        return 1.0
    return 2 * len(found & right) / (len(found) + len(right))
    ### END SOLUTION

# %% tags=["check"]
checks.f1(f1)

# %% [markdown]
# ## 4 · What it can draw, and what it cannot
#
# The models have seen so many kinds of subjects and settings, and no more:

# %% tags=["nbval-check-output"]
print(len(KINDS), "subjects:", ", ".join(KINDS))
print(len(SETTINGS), "settings:", ", ".join(SETTINGS))

# %% [markdown]
# For anything else sorakit takes the nearest, and says so. It is the same cosine, but to many words for each thing: a
# violin is near *musician*, which is drawn as a man, a lorry near *vehicle*, which is drawn as a car.

# %%
for asked in ("a puppy", "a lorry", "a nightingale", "a violin", "an astronaut"):
    subject = pipe.prompt(f"{asked} on the beach").subjects[0]
    print(f"{asked:14} {subject.nearest}")

# %% [markdown]
# The nearest is not always near: a low cosine means that the film will show something else. A tool that hides that is a
# worse tool. So each film carries these notes along, in `video.notes`, and shows them below its player.

# %% [markdown]
# ## 5 · Order
#
# The simplest way from words to one vector for a whole sentence is to take their mean, a *bag of words*.

# %% tags=["nbval-check-output"]
a, b = "a dog chases a cat", "a cat chases a dog"
mean_of = lambda text: torch.stack([vector(token) for token, _, _ in words.tokens(text)]).mean(0)
assert torch.allclose(mean_of(a), mean_of(b), atol=1e-6)
print("the mean is the same, whoever chases whom")

# %% [markdown]
# The bag has no order. So sorakit's text encoder does more: each word also gets a vector for its *place*, and then the
# words look at each other, twice (a small transformer). What it gives for the two sentences is not the same: neither
# the summary of the sentence, nor the dog who chases and the dog who is chased.

# %%
encode = lambda text: pipe.text_encoder(pipe.prompt(text))
one, other = encode(a).vectors[0], encode(b).vectors[0]                 # the summary, then "a", "dog", "chases", ...
cosine = F.cosine_similarity(torch.stack([one[0], one[2]]), torch.stack([other[0], other[5]]))
print(f"cosine of the two summaries {cosine[0]:.4f}, of the two dogs {cosine[1]:.4f}")

# %% [markdown]
# How much the order counts is learned like anything else. Captions of the drawn world seldom differ by their order
# alone, so there is little to learn it from, and the two summaries are close.

# %% [markdown]
# ### Exercise 4 · A bag of words  *(difficulty 2 of 3, 10 minutes)*
#
# Captions come in batches, filled up to one length with padding. `mask` is True where there is a word.

# %% tags=["exercise"]
def bag(vectors, mask):
    """The mean word of each caption, (b, d); vectors (b, l, d), mask (b, l) bool."""
    ### BEGIN SOLUTION
    kept = vectors * mask[..., None]
    return kept.sum(1) / mask.sum(1, keepdim=True)
    ### END SOLUTION

# %% tags=["check"]
checks.bag(bag)

# %% [markdown]
# ## 6 · The text encoder, by hand
#
# First a matrix (`network.embed`) makes 192 numbers of each word's 128. Then two functions are all of it. In `look`
# each word asks (`q`, its query) all words (`k`, their keys). How well a key answers is an inner product, divided by
# the root of how many numbers it adds up, lest it grow with them; `softmax` turns these into shares that add up to 1,
# and the word takes that mixture of what all have to say (`v`, their values). This happens in six *heads* side by side,
# each with queries, keys and values of its own, 32 numbers long, made from all 192. This is *attention*. In `think`
# each word works for itself. `norm1` and `norm2` bring the vectors to one size first, and what comes out is *added* to
# the word: nothing that it knew is lost. Both together are a *layer*, and a stack of layers is a *transformer*.

# %%
def look(layer, x):
    """What attention adds to the words (l, d), and its weights (heads, l, l)."""
    net = layer.self_attn
    qkv = F.linear(layer.norm1(x), net.in_proj_weight, net.in_proj_bias)
    q, k, v = rearrange(qkv, "l (three g d) -> three g l d", three=3, g=net.num_heads)
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return net.out_proj(rearrange(weights @ v, "g l d -> l (g d)")), weights

def think(layer, x):
    return layer.linear2(F.gelu(layer.linear1(layer.norm2(x))))

# %% [markdown]
# Before the first word goes an empty one, the *summary*: no word, only a place. What it ends as, it has gathered from
# all.

# %%
network = pipe.text_encoder.network
tokens = [token for token, _, _ in words.tokens(prompt)]
x = network.embed(torch.stack([vector(token) for token in tokens]))
x = F.pad(x, (0, 0, 1, 0)) + network.place[:1 + len(tokens)]            # (1 + words, d)
looks = []
for layer in network.layers:
    added, weights = look(layer, x)
    x = x + added
    x = x + think(layer, x)
    looks.append(weights)
x = network.norm(x)

# %% [markdown]
# And sorakit's own, for the same prompt:

# %% tags=["nbval-check-output"]
theirs = encode(prompt).vectors[0, :len(x)]
assert torch.allclose(x, theirs, atol=1e-4)
print("the same", len(x), "vectors: one summary,", len(tokens), "tokens")

# %% [markdown]
# Who looks at whom? Each row is a word that asks, each column a word that is looked at, the mean over all heads. In
# layer 1 words with little to look for (*along*, *a*, the full stop) look at the summary: shares have to add up to 1,
# and there they do no harm. `pipe.text_encoder.explore()` shows each head, for any prompt, and two prompts word by
# word.

# %%
figure, all_axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
labels = ["(summary)", *tokens]
for k, axes in enumerate(all_axes):
    shown = axes.imshow(looks[k].mean(0), cmap="magma", vmin=0, vmax=1)
    axes.set(title=f"layer {k + 1}", xticks=range(len(labels)), yticks=range(len(labels)))
    axes.set_xticklabels(labels, rotation=90)
    axes.set_yticklabels(labels if k == 0 else [])
figure.colorbar(shown, ax=all_axes, label="share")
plt.show()

# %% [markdown]
# ## 7 · Break it
#
# What if there is nothing to read? sorakit would rather say so than make a film of nothing.

# %%
for text in ("", "?! ...", "un perro corre por la playa de noche", "dog " * 1000):
    try:
        print(pipe.prompt(text))
    except ValueError as error:
        print(error, end="\n\n")

# %% [markdown]
# And what of typing errors? Cut into pieces, a misspelt word keeps little of its meaning:

# %%
for word in ("horse", "horsse", "hrose"):
    print(f"{word:8} {' '.join(pieces(word)):12} similarity to 'horse' {words.similarity(word, 'horse'):5.2f}")
print(pipe.prompt("a hrose gallops on the baech"))

# %% [markdown]
# The reader can mend some of that. But the text encoder works with the pieces: what the reader understands and what the
# model hears are two things.

# %% [markdown]
# ## Further reading
#
# - Mikolov et al., *Efficient estimation of word representations in vector space*, 2013,
#   [arXiv:1301.3781](https://arxiv.org/abs/1301.3781): where word vectors began.
# - Wu et al., *Google's neural machine translation system*, 2016, [arXiv:1609.08144](https://arxiv.org/abs/1609.08144):
#   WordPiece.
# - Vaswani et al., *Attention is all you need*, 2017, [arXiv:1706.03762](https://arxiv.org/abs/1706.03762).
# - Raffel et al., *Exploring the limits of transfer learning* (T5), 2019,
#   [arXiv:1910.10683](https://arxiv.org/abs/1910.10683): the text encoder of most larger text-to-video models.
# - Yuksekgonul et al., *When and why vision-language models behave like bags-of-words*, 2022,
#   [arXiv:2210.01936](https://arxiv.org/abs/2210.01936): order is lost more easily than one thinks.
# - In this repository: [the reader](../sorakit/prompt/reader.py), [the words](../sorakit/prompt/words.py),
#   [the text encoder](../sorakit/latent/text.py).
