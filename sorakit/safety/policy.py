"""What is done about what was found: readable files in `policies/`, a consent list, and a log of what was decided."""

from __future__ import annotations

import configparser
import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sorakit.safety.text import folded
from sorakit.whole import whole

POLICIES = Path(__file__).with_name("policies")
ACTIONS = ("allow", "alter", "refuse")
FACES = ("allow", "consent", "refuse")
AUDITS = ("off", "text", "hash")
KEPT = ("text", "hash")


@dataclass(frozen=True)
class Policy:
    """What is done for each category, and about people and records."""

    name: str
    actions: dict[str, str]                    # category: allow, alter or refuse
    faces: str = "consent"                     # in given pictures: allow, refuse, or only with consent
    realistic_people: str = "allow"            # prompts that ask for people who look real: allow or refuse
    audit: str = "off"                         # "text" and "hash" ask for an audit, which keeps that of a prompt
    prompt_in_files: str = "text"              # what a film's file says of its prompt: the text or its hash
    thresholds: dict[str, float] = field(default_factory=dict)       # in place of the classifier's own

    def action(self, category: str) -> str:
        """What is done about a category; one that the policy does not name is refused."""
        return self.actions.get(category, "refuse")


def read_policy(policy: str | Path = "classroom") -> Policy:
    """A policy that ships, by its name, or one of your own, by its path.

    Raises ValueError for another name, or a file that says what no policy can say; FileNotFoundError for no file.
    """
    path = POLICIES / f"{policy}.cfg" if str(policy) in shipped() else Path(policy).expanduser()
    if not path.suffix:
        raise ValueError(f"policy={str(policy)!r} is not one of {', '.join(shipped())}; or pass the path of a .cfg "
                         "file")
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except configparser.Error as error:
        raise ValueError(f"policy={str(policy)!r} cannot be read: {error}") from error
    said, actions, thresholds = (dict(parser[name]) if parser.has_section(name) else {}
                                 for name in ("policy", "actions", "thresholds"))
    for category, action in actions.items():
        _one_of(policy, category, action, ACTIONS)
    try:
        thresholds = {category: float(value) for category, value in thresholds.items()}
    except ValueError as error:
        raise ValueError(f"policy={str(policy)!r} has a threshold that is no number: {error}") from error
    return Policy(path.stem, actions, _one_of(policy, "faces", said.get("faces", "consent"), FACES),
                  _one_of(policy, "realistic people", said.get("realistic people", "allow"), ("allow", "refuse")),
                  _one_of(policy, "audit", said.get("audit", "off"), AUDITS),
                  _one_of(policy, "prompt in files", said.get("prompt in files", "text"), KEPT), thresholds)


def shipped() -> list[str]:
    """The names of the policies that come with the package."""
    return sorted(path.stem for path in POLICIES.glob("*.cfg"))


@dataclass(frozen=True)
class Consent:
    """Who has agreed to be shown. Kept by whoever runs the package, who answers for it."""

    names: frozenset[str] = frozenset()        # folded: lower case, without accents
    pictures: frozenset[str] = frozenset()     # `picture_hash` of pictures whose people agreed
    films: frozenset[str] = frozenset()        # `film_hash` of films whose people agreed

    @classmethod
    def read(cls, path: str | Path) -> Consent:
        """From a text file: a name a line, or `picture: ` or `film: ` and a hash; # begins a comment."""
        names, pictures, films = set(), set(), set()
        for line in Path(path).expanduser().read_text(encoding="utf-8").splitlines():
            line = line.partition("#")[0].strip()
            if line.startswith("picture:"):
                pictures.add(line.removeprefix("picture:").strip())
            elif line.startswith("film:"):
                films.add(line.removeprefix("film:").strip())
            elif line:
                names.add(folded(line))
        return cls(frozenset(names), frozenset(pictures), frozenset(films))

    def covers(self, name: str) -> bool:
        return folded(name) in self.names


def picture_hash(image: np.ndarray) -> str:
    """What a consent list calls a picture: sha256 of its size and its pixels, uint8 (h, w, 3)."""
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def film_hash(path: str | Path) -> str:
    """What a consent list calls a film: sha256 of its file."""
    digest = hashlib.sha256()
    with Path(path).expanduser().open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def add_consent(path: str | Path, line: str) -> None:
    """Add a line to a consent list, which is made if it is not there; a whole list is there at any time."""
    path = Path(path).expanduser().absolute()
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    with whole(path) as beside:
        beside.write_text("".join(f"{kept}\n" for kept in dict.fromkeys([*lines, line])), encoding="utf-8")


def write_audit(path: str | Path, verdict, policy: Policy) -> None:
    """Add a line of JSON: when, what was decided and why. Words of the prompt are kept only with `audit = text`."""
    hashed = policy.audit != "text"
    digest = hashlib.sha256(verdict.original.encode()).hexdigest()
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "policy": policy.name,
            "decision": verdict.decision, "prompt sha256": digest,
            "reasons": [{"category": reason.category, "action": reason.action, "fired": reason.fired.split(" ")[0],
                         "score": round(reason.score, 4), "threshold": round(reason.threshold, 4),
                         **({} if hashed else {"words": list(reason.words)})} for reason in verdict.reasons]}
    if not hashed:
        line["prompt"] = verdict.original
    with Path(path).expanduser().open("a", encoding="utf-8") as log:
        log.write(json.dumps(line, ensure_ascii=False) + "\n")


def _one_of(policy, name, value, known):
    if value not in known:
        raise ValueError(f"policy={str(policy)!r} says {name} = {value!r}, which is not one of {', '.join(known)}")
    return value
