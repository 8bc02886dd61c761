"""Shapes and types of the functions under test are checked at every call (jaxtyping with beartype)."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))      # where a float is asked for, an int will do
