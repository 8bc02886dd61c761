"""Limits with a name, and a small local ledger that counts what was made: for a classroom's shared machine."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

WAIT, STALE = 10.0, 60.0         # seconds for which a lock is waited for, and after which it is of nobody


@dataclass(frozen=True)
class Plan:
    """What may be made; None is without a limit.

    >>> Plan("lesson", max_seconds=5, max_height=480, films_per_month=20).check(seconds=8)
    Traceback (most recent call last):
    ValueError: seconds=8 is more than plan 'lesson' allows: up to 5
    """

    name: str
    max_seconds: float | None = None
    max_height: int | None = None        # of the film's short side, as in 720p
    films_per_month: int | None = None
    max_films_at_once: int | None = None

    def __post_init__(self):
        for name in ("max_seconds", "max_height", "films_per_month", "max_films_at_once"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0):
                raise ValueError(f"{name}={value!r} does not fit; it takes a number above 0, or None for no limit")

    def check(self, *, seconds: float = 0, height: int = 0, width: int | None = None, films: int = 1) -> None:
        """Raises OverPlan (a ValueError) naming what is too much."""
        side = min(height, width) if width else height
        for name, value, most in (("seconds", seconds, self.max_seconds), ("height", side, self.max_height),
                                  ("films", films, self.max_films_at_once)):
            if most is not None and value > most:
                raise OverPlan(f"{name}={value!r} is more than plan {self.name!r} allows: up to {most:g}")


class OverPlan(ValueError):
    """A request goes beyond a plan."""


PLUS = Plan("plus", max_seconds=5, max_height=720, films_per_month=50)
PRO = Plan("pro", max_seconds=20, max_height=1080, films_per_month=500)


@dataclass(frozen=True)
class Ledger:
    """Films counted in a file of JSON lines, each with its time (UTC), user and size. Several processes may share it.

    >>> ledger = Ledger("films.jsonl", PLUS)                                              # doctest: +SKIP
    >>> with ledger.film(user="ada", seconds=2, height=432):                              # doctest: +SKIP
    ...     video = pipe("a black cat walks in the snow")

    A film that fails is given back.
    """

    path: str | Path
    plan: Plan

    @contextlib.contextmanager
    def film(self, *, user: str = "", seconds: float = 0, height: int = 0, width: int | None = None, films: int = 1
             ) -> Iterator[None]:
        """Take a film's place, make it, and keep it; given back if making it fails.

        Raises OverPlan for what the plan does not allow, or if the month's films are used up.
        """
        self.plan.check(seconds=seconds, height=height, width=width, films=films)
        number = f"{time.time_ns():x}-{os.getpid():x}"
        with self._locked():
            lines = self._lines()
            left = self._left(lines, user)
            if left is not None and films > left:
                raise OverPlan(f"films={films} is more than is left of plan {self.plan.name!r} for "
                               f"{user or 'everyone'} this month: {left} of {self.plan.films_per_month}")
            entry = {"id": number, "at": now().isoformat(timespec="seconds"), "user": user, "plan": self.plan.name,
                     "films": films, "seconds": seconds, "height": height}
            self._write([*lines, entry])
        try:
            yield
        except BaseException:
            with self._locked():
                self._write([line for line in self._lines() if line.get("id") != number])
            raise

    def used(self, user: str = "") -> int:
        """Films of a user this month."""
        return self._used(self._lines(), user)

    def left(self, user: str = "") -> int | None:
        """Films that a user has left this month; None without a limit."""
        return self._left(self._lines(), user)

    def _used(self, lines, user):
        month = now().strftime("%Y-%m")
        return sum(line["films"] for line in lines if line["user"] == user and line["at"].startswith(month))

    def _left(self, lines, user):
        most = self.plan.films_per_month
        return None if most is None else max(0, int(most) - self._used(lines, user))

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
        path = Path(self.path)
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            beside.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

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
