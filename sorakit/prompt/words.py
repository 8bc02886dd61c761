"""Words as vectors: WordPiece tokens, each with a fixed vector that was distilled from a sentence model.

Words that mean nearly the same lie near each other ("puppy" and "dog"), also those that no caption ever used.
`sorakit/training/words.py` builds the files that this one reads.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

FOLDER = Path(__file__).parents[1] / "weights" / "words"
PAD = 0


class Words:
    """A tokenizer and a table of static word vectors (model2vec, Tulkens & van Dongen 2024).

    Attributes:
        vectors: float32 (vocabulary, 128), each of length 1; those of [PAD] and [UNK] are zero.
    """

    def __init__(self, tokenizer: Tokenizer, vectors: np.ndarray):
        if len(vectors) != tokenizer.get_vocab_size():
            raise ValueError(f"vectors has {len(vectors)} rows but the tokenizer {tokenizer.get_vocab_size()} tokens; "
                             "they must come from the same build (python -m sorakit.training.words)")
        self.tokenizer = tokenizer
        self.vectors = vectors

    @classmethod
    def load(cls, folder: str | Path = FOLDER) -> Words:
        """Read the words that ship with the package, or those of another folder.

        Raises:
            FileNotFoundError: if the folder lacks tokenizer.json or words.safetensors.
        """
        folder = Path(folder)
        for name in ("tokenizer.json", "words.safetensors"):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"folder={str(folder)!r} has no {name}; "
                                        "reinstall the package or build it with: python -m sorakit.training.words")
        stored = load_file(folder / "words.safetensors")
        return cls(Tokenizer.from_file(str(folder / "tokenizer.json")), stored["vectors"] * stored["scale"])

    def encode(self, texts: list[str], length: int = 48) -> tuple[np.ndarray, np.ndarray]:
        """Token ids, int64 (b, length), padded with 0 or cut to length; and mask, bool (b, length), True on tokens.

        Raises:
            TypeError: if texts is one string.
            ValueError: if length is less than 1.
        """
        if isinstance(texts, str):
            raise TypeError(f"texts={texts!r} is one string; pass a list: encode([text])")
        if length < 1:
            raise ValueError(f"length={length} is less than 1; pass the number of tokens to keep of each text")
        ids = np.full((len(texts), length), PAD, dtype=np.int64)
        mask = np.zeros((len(texts), length), dtype=bool)
        for row, encoding in enumerate(self.tokenizer.encode_batch(list(texts))):
            count = min(len(encoding.ids), length)
            ids[row, :count] = encoding.ids[:count]
            mask[row, :count] = True
        return ids, mask

    def tokens(self, text: str) -> list[tuple[str, int, int]]:
        """Each token of a text with the span of characters that it stands for: (token, start, end)."""
        encoding = self.tokenizer.encode(text)
        return [(token, start, end) for token, (start, end) in zip(encoding.tokens, encoding.offsets)]

    def similarity(self, a: str, b: str) -> float:
        """Cosine between the mean vectors of two texts, in [-1, 1]; 0 if either has no known word."""
        a, b = self._mean(a), self._mean(b)
        return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))

    def _mean(self, text: str) -> np.ndarray:
        """Sum of the text's vectors, common words counting less (SIF; Arora et al. 2017)."""
        ids = np.array(self.tokenizer.encode(text).ids, dtype=np.int64)
        frequency = 1 / (ids + 1) / np.log(len(self.vectors))      # Zipf's law: ids run from common to rare
        weights = 1e-4 / (1e-4 + frequency)
        return weights @ self.vectors[ids]                         # (128,)
