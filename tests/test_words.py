"""Words: near in meaning is near in vectors, and spans of characters lead back to the prompt."""

from time import perf_counter

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece

from sorakit.prompt.words import FOLDER, Words


@pytest.fixture(scope="module")
def words():
    return Words.load()


@pytest.mark.parametrize("word, near, far", [
    ("puppy", "dog", "car"), ("lorry", "truck", "horse"), ("lorry", "car", "dog"), ("dusk", "sunset", "car"),
    ("ocean", "sea", "forest"), ("ship", "boat", "bird"), ("lady", "woman", "planet"), ("kitten", "cat", "boat"),
    ("automobile", "car", "cat"), ("meadow", "field", "city"), ("sprints", "runs", "sits"), ("crimson", "red", "green"),
    ("watercolor", "painting", "rain"), ("neon", "lights", "helium"), ("poodle", "dog", "fish"),
])
def test_nearest_in_meaning_is_nearest_in_vectors(words, word, near, far):
    assert words.similarity(word, near) > max(0.3, words.similarity(word, far) + 0.1)


@pytest.mark.parametrize("word, neighbour", [("puppy", "dog"), ("lorry", "truck"), ("dusk", "sunset"), ("ocean", "sea"),
                                             ("ship", "boat"), ("lady", "woman"), ("gallops", "horse")])
def test_the_neighbour_is_among_the_nearest_of_all_tokens(words, word, neighbour):
    vocabulary = words.tokenizer.get_vocab()
    scores = words.vectors @ words.vectors[vocabulary[word]]
    assert np.sum(scores > scores[vocabulary[neighbour]]) <= 20


def test_sentences_compare_by_meaning(words):
    near = words.similarity("a poodle runs along the shore at dusk", "a dog runs on a beach at sunset")
    assert near > 0.6 > words.similarity("a poodle runs along the shore at dusk", "a rocket in outer space")


def test_similarity_is_symmetric_and_one_with_itself(words):
    assert words.similarity("a red car", "a red car") == pytest.approx(1)
    assert words.similarity("a red car", "an old ship") == pytest.approx(words.similarity("an old ship", "a red car"))
    assert words.similarity("", "a red car") == 0


def test_vectors_are_of_unit_length_but_for_padding_and_unknown(words):
    assert words.vectors.dtype == np.float32 and words.vectors.shape == (words.tokenizer.get_vocab_size(), 128)
    lengths = np.linalg.norm(words.vectors, axis=1)
    assert not lengths[:2].any() and np.allclose(lengths[2:], 1, atol=0.01)


def test_encode_pads_and_cuts_to_length(words):
    ids, mask = words.encode(["a dog", "", "a cat and a dog and a horse"], length=4)
    assert ids.dtype == np.int64 and mask.dtype == bool and ids.shape == mask.shape == (3, 4)
    assert mask.sum(1).tolist() == [2, 0, 4] and not ids[~mask].any() and ids[mask].all()


def test_encode_gives_the_ids_of_the_tokens(words):
    text = "A stylish woman strolls along a Tokyo street."
    ids, mask = words.encode([text])
    assert [words.tokenizer.id_to_token(i) for i in ids[0][mask[0]]] == [token for token, _, _ in words.tokens(text)]


def test_spans_cut_each_token_out_of_the_text(words):
    text = "A Golden  retriever, in Café Tokyo — “runs”!"
    spans = words.tokens(text)
    assert ("golden", 2, 8) in spans and ("cafe", 24, 28) in spans
    for token, start, end in spans:
        assert text[start:end].lower().replace("é", "e") == token.removeprefix("##")


def test_foreign_script_is_unknown_and_does_no_harm(words):
    (token, start, end), = words.tokens("霧")
    assert (token, start, end) == ("[UNK]", 0, 1) and words.similarity("霧", "fog") == 0


def test_one_string_for_texts_is_refused(words, unchecked):
    with pytest.raises(TypeError, match="pass a list"):
        words.encode("a dog")


def test_length_below_one_is_refused(words):
    with pytest.raises(ValueError, match="length=0"):
        words.encode(["a dog"], length=0)


def test_a_folder_without_words_says_how_to_build_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="sorakit.training.words"):
        Words.load(tmp_path)


def test_a_table_that_does_not_fit_the_tokenizer_is_refused():
    with pytest.raises(ValueError, match="same build"):
        Words(Tokenizer(WordPiece({"[UNK]": 0}, unk_token="[UNK]")), np.zeros((2, 128), np.float32))


def test_loads_at_once_and_weighs_little(words):
    start = perf_counter()
    Words.load()
    assert perf_counter() - start < 1.0  # 0.05 s where nothing else runs
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 6e6
