"""Words to vectors: frozen word vectors, then a small transformer that reads the caption as a whole."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..types import Brief, Conditioning

MAX_WORDS = 48


class CaptionTransformer(nn.Module):
    """Word vectors `(b, l, v)` to a summary and a vector for each word in its context, `(b, 1 + l, d)`.

    An empty caption leaves the summary alone: that is what guidance steers away from.
    """

    def __init__(self, word_width: int, width: int, heads: int, depth: int = 2):
        super().__init__()
        self.embed = nn.Linear(word_width, width)
        self.place = nn.Parameter(torch.randn(1 + MAX_WORDS, width) * 0.02)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, 3 * width, dropout=0.0, activation="gelu", batch_first=True,
                                       norm_first=True) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, vectors: Float[Tensor, "b l v"], mask: Bool[Tensor, "b l"]
                ) -> tuple[Float[Tensor, "b l1 d"], Bool[Tensor, "b l1"]]:
        mask = F.pad(mask, (1, 0), value=True)                        # the summary is always there
        x = F.pad(self.embed(vectors), (0, 0, 1, 0)) + self.place[:mask.shape[1]]
        hidden = torch.zeros(mask.shape, device=x.device, dtype=x.dtype).masked_fill(~mask, -torch.inf)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=hidden)
        return self.norm(x), mask


class TextEncoder:
    """Stage 2 for words: a `Brief` to its `Conditioning`. `words` is a `sorakit.prompt.words.Words`."""

    def __init__(self, words, network: CaptionTransformer):
        self.words, self.network = words, network

    @torch.no_grad()
    def __call__(self, brief: Brief) -> Conditioning:
        vectors, mask = self.encode([brief.said or brief.prompt])
        null_vectors, null_mask = self.encode([brief.negative])
        return Conditioning(vectors, mask, null_vectors, null_mask, brief.tokens)

    @torch.no_grad()
    def swapped(self, brief: Brief, word: str, other: str) -> Conditioning:
        """The conditioning of a brief with another word's vector in one word's place, before the caption is read as a
        whole. Raises ValueError for a word that is not one token of the prompt, or an other that is not one token."""
        ids, mask = self.words.encode([brief.said or brief.prompt], MAX_WORDS)
        tokens = [token for token, _, _ in self.words.tokens(brief.said or brief.prompt)][:MAX_WORDS]
        new = self.words.encode([other], MAX_WORDS)
        if word.lower() not in tokens:
            raise ValueError(f"word={word!r} is not one of the prompt's tokens: {', '.join(tokens)}")
        if new[1].sum() != 1:
            raise ValueError(f"other={other!r} is {int(new[1].sum())} tokens; it takes a word that is one")
        ids[0, tokens.index(word.lower())] = new[0][0, 0]
        vectors = self.network(torch.from_numpy(self.words.vectors[ids]).to(self.network.place.device),
                               torch.from_numpy(mask).to(self.network.place.device))
        tokens[tokens.index(word.lower())] = other.lower()
        return Conditioning(*vectors, *self.encode([brief.negative]), tuple(tokens))

    def encode(self, texts: list[str]) -> tuple[Float[Tensor, "b l1 d"], Bool[Tensor, "b l1"]]:
        """Captions to the vectors of their summary and words, and the mask of those that are there."""
        ids, mask = self.words.encode(texts, MAX_WORDS)
        device = self.network.place.device
        vectors = torch.from_numpy(self.words.vectors[ids]).to(device)
        return self.network(vectors, torch.from_numpy(mask).to(device))

    @classmethod
    def from_weights(cls, weights, words) -> TextEncoder:
        """The trained one, ready to use (see `sorakit.weights.load_weights`)."""
        network = CaptionTransformer(**weights.card["text"])
        network.load_state_dict({name.removeprefix("text."): value for name, value in weights.flow.items()
                                 if name.startswith("text.")})
        return cls(words, network.eval().requires_grad_(False))
