"""Part-of-speech tags (Penn Treebank): a lexicon of 94,000 words, and endings for others, as TextBlob ships them.

From pattern (De Smedt and Daelemans 2012). Only the one module of TextBlob that tags is loaded: the package as a whole
brings NLTK along, which loads scipy.stats, and a first prompt would wait a second for it.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path


@cache
def _tagger():
    folder = Path(find_spec("textblob").submodule_search_locations[0])
    spec = spec_from_file_location("sorakit.prompt._textblob", folder / "_text.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.find_tags, module.Lexicon(str(folder / "en" / "en-lexicon.txt"), language="en")


def tags(words: list[str]) -> list[str]:
    """The tag of each word of a sentence; a capital letter makes an unknown word a name."""
    find_tags, lexicon = _tagger()
    return [tag for _, tag in find_tags(words, lexicon)]


def known(word: str) -> bool:
    """Whether a word is in the lexicon."""
    return word in _tagger()[1]
