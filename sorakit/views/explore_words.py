"""Live views of words: how a prompt is read, and what the text encoder makes of its words."""

from __future__ import annotations

from functools import lru_cache

import ipywidgets as widgets
import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sorakit.latent.text import MAX_WORDS, TextEncoder
from sorakit.prompt.reader import Reader
from sorakit.prompt.words import Words
from sorakit.types import Brief, Conditioning
from sorakit.views.attention import words_of
from sorakit.views.charts import Chart, compared, looked_at, moved_words, near_words, stacked
from sorakit.views.explorer import Explorer, Explorers
from sorakit.views.reading import reading

EXAMPLE, OTHER = "a dog chases a cat in the snow", "a puppy runs after a kitten on a winter day"


# --- reading ----------------------------------------------------------------------------------------


def explore_brief(brief: Brief, reader: Reader | None = None) -> Explorer:
    """Type another prompt and see what changes. It is read by `reader`, else by one of the words that ship."""
    return explore_reader(reader or shipped_reader(), brief.prompt)


def explore_reader(reader: Reader, prompt: str = EXAMPLE) -> Explorer:
    """Type a prompt: roles, spans, how sure the reader is, stand-ins and tokens."""
    return Explorer(lambda prompt: reading(reader(prompt), reader.reach), {"prompt": typed("prompt", prompt)},
                    alt="a prompt, what is read in it, and what is drawn of that")


@lru_cache
def shipped_reader() -> Reader:
    return Reader(Words.load())


# --- vectors ----------------------------------------------------------------------------------------


def explore_conditioning(conditioning: Conditioning, encoder: TextEncoder | None = None) -> Explorer:
    """Which words' vectors are near which. With the text encoder, leave a word out and see whose vectors that moves:
    those that had looked at it.
    """
    words = [(f"{k} {word}", k) for k, word in enumerate(known_words(conditioning))]
    controls = {"word": widgets.Dropdown(options=words, value=min(2, len(words) - 1), description="word")}
    if encoder is not None and len(words) > 1:
        controls["without"] = widgets.Dropdown(options=[("nothing", 0), *words[1:]], value=0, description="leave out")
    return Explorer(lambda word, without=0: conditioning_state(conditioning, encoder, word, without), controls,
                    alt="cosines of a prompt's word vectors")


def conditioning_state(conditioning: Conditioning, encoder: TextEncoder | None, word: int, without: int
                       ) -> Chart | Image.Image:
    """The words near one; below, if a word is left out, how far that moves the others."""
    names, vectors = known_words(conditioning), conditioning.vectors[0][conditioning.mask[0]].float().cpu()
    chart = near_words(names, vectors, word)
    if not without:
        return chart
    again = left_out(encoder, conditioning.tokens[:len(names) - 1], without - 1)
    before = torch.cat([vectors[:without], vectors[without + 1:]])
    moved = 1 - F.cosine_similarity(before, again)
    return stacked(chart, moved_words([*names[:without], *names[without + 1:]], moved.tolist(), names[without]))


def known_words(conditioning: Conditioning) -> tuple[str, ...]:
    """The summary and each token that has a vector."""
    return words_of(conditioning)[:int(conditioning.mask[0].sum())]


@torch.no_grad()
def left_out(encoder: TextEncoder, tokens: tuple[str, ...], place: int) -> Float[Tensor, "l d"]:
    """The summary and the vectors of all tokens but one, read without it."""
    kept = [encoder.words.tokenizer.token_to_id(token) for k, token in enumerate(tokens) if k != place]
    vectors = torch.from_numpy(encoder.words.vectors[kept])[None].to(encoder.network.place.device)
    return encoder.network(vectors, torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device))[0][0].cpu()


# --- the text encoder -------------------------------------------------------------------------------


def explore_text_encoder(encoder: TextEncoder, prompt: str = EXAMPLE, other: str = OTHER) -> Explorers:
    """Two prompts beside each other, word by word; and who looks at whom in one."""
    heads = encoder.network.layers[0].self_attn.num_heads
    layers = len(encoder.network.layers)
    return Explorers({
        "two prompts": Explorer(lambda prompt, other: two_prompts(encoder, prompt, other),
                                {"prompt": typed("prompt", prompt), "other": typed("other", other)},
                                alt="cosines of the words of two prompts"),
        "attention": Explorer(lambda prompt, layer, head: who_looks(encoder, prompt, layer, head), {
            "prompt": typed("prompt", prompt),
            "layer": widgets.Dropdown(options=[(f"layer {k + 1}", k) for k in range(layers)], value=layers - 1,
                                      description="layer"),
            "head": widgets.Dropdown(options=[("all heads", -1), *((f"head {g}", g) for g in range(heads))], value=-1,
                                     description="head")}, alt="how much each word looks at each other word")})


def two_prompts(encoder: TextEncoder, prompt: str, other: str) -> Chart:
    """Cosines of the words of two prompts: of their word vectors, and of what the encoder makes of them."""
    one, two = tokens_of(encoder, prompt), tokens_of(encoder, other)
    plain = [word_vectors(encoder, tokens) for tokens in (one, two)]
    read = [encoder.encode([text])[0][0, 1:1 + len(tokens)].cpu() for text, tokens in ((prompt, one), (other, two))]
    return compared(one, two, {"word vectors alone": cosines(*plain), "after the encoder read them": cosines(*read)})


@torch.no_grad()
def who_looks(encoder: TextEncoder, prompt: str, layer: int, head: int) -> Chart:
    """How much each word (row) looks at each other (column) in a layer of the encoder."""
    tokens, network = tokens_of(encoder, prompt), encoder.network
    x = network.embed(word_vectors(encoder, tokens).to(network.place.device)[None])
    x = F.pad(x, (0, 0, 1, 0)) + network.place[:1 + len(tokens)]                              # (1, 1 + l, d)
    for before in network.layers[:layer]:
        x = before(x)
    net = network.layers[layer].self_attn
    asked = F.linear(network.layers[layer].norm1(x), net.in_proj_weight, net.in_proj_bias)
    q, k, _ = rearrange(asked[0], "l (three g d) -> three g l d", three=3, g=net.num_heads)
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1).cpu()                               # (g, 1 + l, 1 + l)
    named = "mean of all heads" if head < 0 else f"head {head}"
    return looked_at(["[summary]", *tokens], (weights.mean(0) if head < 0 else weights[head]).numpy(),
                     f"layer {layer + 1}, {named}: who (down) looks at whom (across)")


def tokens_of(encoder: TextEncoder, prompt: str) -> list[str]:
    """Tokens that the encoder reads. Raises ValueError for a prompt without one."""
    tokens = [token for token, _, _ in encoder.words.tokens(prompt)][:MAX_WORDS]
    if not tokens:
        raise ValueError(f"prompt={prompt!r} has no word; type one or more")
    return tokens


def word_vectors(encoder: TextEncoder, tokens: list[str]) -> Float[Tensor, "l v"]:
    return torch.from_numpy(encoder.words.vectors[[encoder.words.tokenizer.token_to_id(token) for token in tokens]])


def cosines(a: Float[Tensor, "l d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "l m"]:
    return F.normalize(a.float(), dim=-1) @ F.normalize(b.float(), dim=-1).T


def typed(name: str, text: str) -> widgets.Textarea:
    """A box for a text; the picture follows what is typed."""
    return widgets.Textarea(text, description=name, rows=2, layout={"width": "940px"})
