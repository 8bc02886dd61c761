"""Looking into a model while it runs, and changing what is found: every intermediate has a name.

`model.watch("blocks.*.time.attention", fn)` calls fn(name, value) wherever a name fits; what fn returns takes the
value's place. `model.without("blocks.3.time")` switches a part off. Both are context managers.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from torch import Tensor, nn

ADDED = ("space", "time", "word", "feed", "attention", "heads")        # parts without which a film can be made


@dataclass(frozen=True)
class Probe:
    """Where to look (names or patterns such as `blocks.*.time`), and what to do there."""

    patterns: tuple[str, ...]
    look: Callable[[str, Tensor], Tensor | None]
    thread: int = field(default_factory=threading.get_ident)         # it sees what this one computes, no other film

    def wants(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.patterns)


class Probes:
    """The probes that look now; a model hands every named value to this, and goes on with what it gets back."""

    def __init__(self):
        self.all: list[Probe] = []

    @property
    def active(self) -> list[Probe]:
        """Those of this thread."""
        return [probe for probe in self.all if probe.thread == threading.get_ident()]

    def wants(self, name: str) -> bool:
        return any(probe.wants(name) for probe in self.active)

    def __call__(self, name: str, value: Tensor) -> Tensor:
        for probe in self.active:
            if probe.wants(name):
                changed = probe.look(name, value)
                value = value if changed is None else changed
        return value


class Watched(nn.Module):
    """A module whose forward hands its intermediates to `self.probes` by name."""

    def __init__(self):
        super().__init__()
        self.probes = Probes()

    def names(self) -> list[str]:
        """Every name that can be watched, in the order in which they are worked out."""
        raise NotImplementedError

    @contextlib.contextmanager
    def watch(self, patterns: str | Iterable[str], look: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
        """Call look(name, value) at every intermediate whose name fits, while the context is open.

        What look returns, unless None, takes the value's place. Raises ValueError for a pattern that fits no name.
        """
        probe = Probe(fitting(patterns, self.names()), look)
        self.probes.all.append(probe)
        try:
            yield
        finally:
            self.probes.all.remove(probe)

    @contextlib.contextmanager
    def without(self, *patterns: str, heads: Iterable[int] | None = None) -> Iterator[None]:
        """Switch parts off: what they would have added is nothing. With heads, only these heads of an attention.

        `without("blocks.*.time")`, `without("blocks.2.space", heads=[0, 3])`, `without("blocks.3")`: all that this
        block adds. Raises ValueError for a pattern that fits nothing that is added, and for heads that are not there.
        """
        if heads is None:
            names = [name for name in self.names() if name.rpartition(".")[2] in ADDED]
            whole = [name.rpartition(".")[0] for name in names if name.endswith(".feed")]              # blocks
            fitting(patterns, names + whole)
            parts = [name for name in names for pattern in patterns if fnmatchcase(name, pattern)
                     or name.count(".") == 2 and fnmatchcase(name.rpartition(".")[0], pattern)]
            with self.watch(parts, lambda name, value: value * 0):
                yield
            return
        chosen = list(heads)

        def silence(name, value):
            if not all(-value.shape[2] <= head < value.shape[2] for head in chosen):
                raise ValueError(f"heads={chosen} are not all there: {name} has {value.shape[2]}, counted from 0")
            value = value.clone()
            value[:, :, chosen] = 0
            return value

        with self.watch([f"{pattern}.heads" for pattern in patterns], silence):
            yield


def fitting(patterns: str | Iterable[str], names: list[str]) -> tuple[str, ...]:
    """The patterns as a tuple, each of which fits a name. Raises ValueError otherwise."""
    patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"pattern={pattern!r} fits no name of this model; there are {', '.join(names[:8])}, ... "
                             "(model.names() lists all)")
    return patterns
