"""Limits with a name, and a small local ledger that counts what was made: for a classroom's shared machine.

`pipe.limits = PLUS` holds for every film that the pipeline or a tool makes from then on; `pipe.limits = Ledger(path,
PLUS, user="ada")` counts them, too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import numbers
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from sorakit.whole import whole

WAIT, STALE = 10.0, 60.0         # seconds for which a lock is waited for, and after which it is of nobody
AT_WORK = timedelta(hours=2)     # for which a film that is being made holds its place; then its process has died


@dataclass(frozen=True)
class Plan:
    """What may be made; None is without a limit. Films a month are counted by a `Ledger` only.

    >>> Plan("lesson", max_seconds=5, max_height=480, films_per_month=20).check(seconds=8)
    Traceback (most recent call last):
    OverPlan: seconds=8 is more than plan 'lesson' allows: up to 5
    """

    name: str = "custom"
    max_seconds: float | None = None
    max_height: int | None = None        # of the film's short side, as in 720p
    films_per_month: int | None = None
    max_films_at_once: int | None = None

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"name={self.name!r} does not fit; it takes a word, such as 'lesson'")
        for name, kind, what in (("max_seconds", numbers.Real, "a number"),
                                 ("max_height", numbers.Integral, "a whole number"),
                                 ("films_per_month", numbers.Integral, "a whole number"),
                                 ("max_films_at_once", numbers.Integral, "a whole number")):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, kind) or isinstance(value, bool)
                                      or not (math.isfinite(value) and value > 0)):
                raise ValueError(f"{name}={value!r} does not fit; it takes {what} above 0, or None for no limit")

    def check(self, *, seconds: float = 0, height: int = 0, width: int | None = None, films: int = 1) -> None:
        """Raises OverPlan (a ValueError) naming what is too much."""
        for name, value in (("seconds", seconds), ("height", height), ("width", 0 if width is None else width),
                            ("films", films)):
            if not isinstance(value, numbers.Real) or isinstance(value, bool) or not value >= 0:
                raise ValueError(f"{name}={value!r} does not fit; it takes a number of 0 or more")
        side = height if width is None else min(height, width)
        for name, value, most in (("seconds", seconds, self.max_seconds), ("height", side, self.max_height),
                                  ("films", films, self.max_films_at_once)):
            if most is not None and value > most:
                raise OverPlan(f"{name}={value!r} is more than plan {self.name!r} allows: up to {most:g}"
                               + (" on the short side" if name == "height" else ""))

    @contextlib.contextmanager
    def film(self, **size) -> Iterator[None]:
        """What a pipeline makes a film in: see `check`."""
        self.check(**size)
        yield

    def __str__(self):
        parts = [f"up to {self.max_seconds:g} s"] if self.max_seconds else []
        parts += [f"{self.max_height}p"] if self.max_height else []
        parts += [f"{self.films_per_month} films a month"] if self.films_per_month else []
        parts += [f"{self.max_films_at_once} at once"] if self.max_films_at_once else []
        return f"{self.name}: {', '.join(parts) or 'no limits'}"

    @classmethod
    def load(cls, plan: str | Path) -> Plan:
        """One of PLANS by name, or a file of JSON: {"name": "lesson", "max_seconds": 5, "films_per_month": 20}.

        Raises ValueError for what is neither, naming what does not fit.
        """
        if plan in PLANS:
            return PLANS[plan]
        path = Path(plan).expanduser()
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"plan={str(plan)!r} is not one of {', '.join(PLANS)}, nor a file that can be read: "
                             f"{error.strerror}") from error
        try:
            return cls(**{"name": path.stem, **json.loads(text)})
        except (ValueError, TypeError) as error:
            known = ", ".join(f.name for f in dataclasses.fields(cls))
            raise ValueError(f"plan={str(plan)!r} is no plan: {error}; it takes JSON with {known}") from error


class OverPlan(ValueError):
    """A request goes beyond a plan."""


PLUS = Plan("plus", max_seconds=5, max_height=720, films_per_month=50)
PRO = Plan("pro", max_seconds=20, max_height=1080, films_per_month=500)
PLANS = {plan.name: plan for plan in (PLUS, PRO)}


@dataclass(frozen=True)
class Ledger:
    """Films counted in a file of JSON lines, each with its time (UTC), user and size. Several processes may share it.

    >>> pipe.limits = Ledger("films.jsonl", PLUS, user="ada")                             # doctest: +SKIP
    >>> pipe("a black cat walks in the snow"); pipe.limits.left()                         # doctest: +SKIP
    49

    A film that is refused, fails or is cancelled is not counted.
    """

    path: str | Path
    plan: Plan
    user: str = ""

    def __post_init__(self):
        object.__setattr__(self, "path", Path(self.path).expanduser())

    def check(self, **size) -> None:
        """Raises OverPlan for what the plan does not allow, or if the month's films are used up; see `Plan.check`."""
        self.plan.check(**size)
        self._check_left(self._lines(), self.user, size.get("films", 1))

    @contextlib.contextmanager
    def film(self, *, user: str | None = None, seconds: float = 0, height: int = 0, width: int | None = None,
             films: int = 1) -> Iterator[None]:
        """Take a film's place, make it, and keep it; given back if making it fails.

        Raises OverPlan for what the plan does not allow, or if the month's films are used up.
        """
        self.plan.check(seconds=seconds, height=height, width=width, films=films)
        user, number = self.user if user is None else user, uuid.uuid4().hex
        entry = {"id": number, "at": now().isoformat(timespec="seconds"), "user": user, "plan": self.plan.name,
                 "films": films, "seconds": seconds, "height": height}
        with self._locked():
            lines = self._lines()
            self._check_left(lines, user, films)
            self._write([*lines, {**entry, "at_work": True}])
        made = False
        try:
            yield
            made = True
        finally:
            with self._locked():
                others = [line for line in self._lines() if line.get("id") != number]
                self._write([*others, entry] if made else others)

    def used(self, user: str | None = None) -> int:
        """Films of a user (by default the ledger's own) this month, those that are being made included."""
        return self._used(self._lines(), self.user if user is None else user)

    def left(self, user: str | None = None) -> int | None:
        """Films that a user has left this month; None without a limit."""
        return self._left(self._lines(), self.user if user is None else user)

    def _used(self, lines, user):
        month, past = now().strftime("%Y-%m"), (now() - AT_WORK).isoformat(timespec="seconds")
        return sum(line["films"] for line in lines if line["user"] == user and line["at"].startswith(month)
                   and not (line.get("at_work") and line["at"] < past))

    def _left(self, lines, user):
        most = self.plan.films_per_month
        return None if most is None else max(0, most - self._used(lines, user))

    def _check_left(self, lines, user, films):
        left = self._left(lines, user)
        if left is not None and films > left:
            raise OverPlan(f"films={films} is more than is left of plan {self.plan.name!r} for {user or 'everyone'} "
                           f"this month: {left} of {self.plan.films_per_month}")

    def _lines(self) -> list[dict]:
        path, lines = Path(self.path), []
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        try:
            for line in text.splitlines():
                entry = json.loads(line)
                lines.append({**entry, "films": int(entry["films"]), "user": str(entry["user"]),
                              "at": str(entry["at"])})
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"path={str(path)!r} is no ledger: line {len(lines) + 1} is damaged") from error
        return lines

    def _write(self, lines: list[dict]) -> None:
        with whole(Path(self.path)) as beside:
            beside.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")

    @contextlib.contextmanager
    def _locked(self):
        """One process at a time, by a file that only one can make."""
        path, waited = Path(f"{self.path}.lock"), time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                break
            except FileExistsError:
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime > STALE:         # whoever made it is gone
                        path.unlink(missing_ok=True)
                if time.monotonic() - waited > WAIT:
                    raise OSError(f"path={str(self.path)!r} is locked by another process; if there is none, remove "
                                  f"{str(path)!r}") from None
                time.sleep(0.02)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def now() -> datetime:
    return datetime.now(timezone.utc)
