"""A small network over word vectors: what no list of words says, it has learned from examples.

Three words at a time go through 48 filters; the strongest answer of each filter in the prompt goes on (Kim 2014,
arXiv:1408.5882). `sorakit/training/safety.py` trains it and chooses its thresholds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file

FOLDER = Path(__file__).parent
WIDTH = 3                                                  # words that a filter sees


@dataclass(frozen=True)
class Score:
    """How sure the network is of a category, and the words that spoke most for it."""

    category: str
    score: float                                           # in [0, 1]
    threshold: float
    words: str                                             # a piece of the text that it was given


class Classifier:
    """Scores texts by category. `words` is a `sorakit.prompt.words.Words`.

    Attributes:
        thresholds: category: score from which on it fires; may be changed.
    """

    def __init__(self, words, folder: str | Path = FOLDER):
        self.words = words
        self.weights = load_file(Path(folder) / "classifier.safetensors")
        self.card = json.loads((Path(folder) / "classifier.json").read_text(encoding="utf-8"))
        self.categories = tuple(self.card["thresholds"])
        self.thresholds = dict(self.card["thresholds"])

    def __call__(self, text: str) -> tuple[Score, ...]:
        """A score for each category."""
        tokens = self.words.tokens(text)
        vectors = vectors_of(self.words, text)                                              # (l, 128)
        if not len(vectors):
            return ()
        answers = filtered(vectors, self.weights["filters"], self.weights["filter_bias"])   # (l, 48)
        logits = answers.max(0) @ self.weights["output"] + self.weights["output_bias"]      # (categories,)
        scores = 1 / (1 + np.exp(-logits))
        strongest, out = answers.argmax(0), []
        for k, category in enumerate(self.categories):
            speaks = np.zeros(len(vectors))
            np.add.at(speaks, strongest, answers.max(0) * self.weights["output"][:, k])
            at = int(speaks.argmax())
            heard = tokens[max(0, at - 1):at + 2]                                           # the words of that place
            out.append(Score(category, float(scores[k]), self.thresholds[category], text[heard[0][1]:heard[-1][2]]))
        return tuple(out)


def vectors_of(words, text: str) -> Float[np.ndarray, "l d"]:
    """One vector a token."""
    return words.vectors[np.array(words.tokenizer.encode(text).ids, dtype=np.int64)].astype(np.float32)


def filtered(vectors: Float[np.ndarray, "l d"], filters: Float[np.ndarray, "w d k"],
             bias: Float[np.ndarray, " k"]) -> Float[np.ndarray, "l k"]:
    """Each filter's answer around each token, not below 0; beyond the ends there is nothing."""
    edge = np.zeros((WIDTH // 2, vectors.shape[1]), vectors.dtype)
    padded = np.concatenate([edge, vectors, edge])
    answers = sum(padded[i:i + len(vectors)] @ filters[i] for i in range(WIDTH))
    return np.maximum(answers + bias, 0)
