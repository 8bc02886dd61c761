"""Stage 6: may a request be made, and is what was made marked as such."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from sorakit.safety.classifier import Classifier
from sorakit.safety.mark import marked
from sorakit.safety.names import ARTISTS, CHARACTERS, PEOPLE, Named, Names, replaced
from sorakit.safety.policy import Consent, Policy, picture_hash, read_policy, write_audit
from sorakit.safety.rules import HIDDEN, RULES, Rules
from sorakit.safety.text import readings, to_the_end
from sorakit.types import Brief, Reason, Verdict, Video

LIKENESS = "likeness"                                     # the category of faces and of people who should look real
REALISTIC = re.compile(r"\b(photo-?realistic|realistic|lifelike|photographic|photograph of|real footage|documentary)\b",
                       re.IGNORECASE)
PERSON = re.compile(r"\b(man|men|woman|women|person|people|child|children|boys?|girls?|dancers?|actors?|portrait|crowd|"
                    r"somebody|someone|lady|ladies|couple|famil(?:y|ies))\b", re.IGNORECASE)


class Safety:
    """Judges requests by rules, names and a classifier that anybody can look into, and marks every film that leaves.

    Args:
        rules: the file of rules.
        policy: "classroom", "strict", "research", the path of a file of your own, or a `Policy`.
        words: a `sorakit.prompt.words.Words`, for the classifier; without it only rules and names are used.
        read: reads an altered prompt to a `Brief`, as `sorakit.prompt.reader.Reader` does; without it the altered
            brief is the old one with its prompt replaced and its reading left out.
        consent: who has agreed to be shown: a `Consent` or the path of its file.
        audit: file to which every decision is added, if the policy asks for an audit.
    """

    def __init__(self, rules: str | Path = RULES, *, policy: str | Path | Policy = "classroom", words=None,
                 read: Callable[[str], Brief] | None = None, consent: Consent | str | Path | None = None,
                 audit: str | Path | None = None):
        self.rules, self.names = Rules.read(rules), Names()
        self.policy = policy if isinstance(policy, Policy) else read_policy(policy)
        self.classifier = Classifier(words) if words is not None else None
        if self.classifier:
            self.classifier.thresholds.update(self.policy.thresholds)
        self.read = read
        self.consent = Consent.read(consent) if isinstance(consent, (str, Path)) else consent or Consent()
        self.audit = audit
        if self.policy.audit != "off" and audit is None:
            raise ValueError(f"policy={self.policy.name!r} asks for an audit; pass audit= and the path of its file")

    def judge(self, brief: Brief | str) -> Verdict:
        """What the stage makes of a request; raises nothing. The negative prompt is not judged: it says what should
        stay away. A category that the policy allows is reported and does not change the decision."""
        brief = Brief(brief) if isinstance(brief, str) else brief
        names = [name for name in self.find_names(brief.prompt)
                 if not self.consent.covers(brief.prompt[slice(*name.span)])]
        reasons = (*self.by_rules(brief.prompt), *self.by_names(brief.prompt, names))
        reasons += self.by_classifier(brief.prompt, {reason.category for reason in reasons})
        reasons += self.by_likeness(brief)
        changes, altered = (), brief
        if any(reason.action == "alter" for reason in reasons):
            chosen = [name for name in names if self.policy.action(name.category) == "alter"]
            prompt, changes = replaced(brief.prompt, chosen)
            altered = self.altered(brief, prompt)
        actions = {reason.action for reason in reasons}
        decision = "refuse" if "refuse" in actions else "alter" if changes else "allow"
        return Verdict(decision, brief if decision == "refuse" else altered, reasons, brief.prompt,
                       () if decision == "refuse" else changes, self.policy.name)

    def screen(self, brief: Brief | str) -> Verdict:
        """Like `judge`, but raises `Refused` where it refuses; adds a line to the audit, if there is one."""
        verdict = self.judge(brief)
        if self.audit is not None and self.policy.audit != "off":
            write_audit(self.audit, verdict, self.policy)
        if verdict.decision == "refuse":
            raise Refused(verdict)
        return verdict

    def screen_frames(self, frames: UInt8[np.ndarray, "t h w 3"], *, most: int = 4) -> tuple[Reason, ...]:
        """What is found in the frames of a film, of which `most` are looked at, evenly from first to last."""
        chosen = frames[np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int)]
        return next((found for found in map(self._faces, chosen) if found), ())

    def release(self, video: Video, *, model: str, seed: int) -> Video:
        """The film with a mark that can be seen, and a title and comment that are written into its file."""
        comment = f"AI-generated video, made with sorakit (model {model}, seed {seed})"
        return dataclasses.replace(video, frames=marked(video.frames),
                                   metadata={"title": video.prompt, "comment": comment})

    def by_rules(self, prompt: str) -> tuple[Reason, ...]:
        """One reason for each category of `rules.cfg` that is in the prompt."""
        found = {}
        for hit in self.rules.hits(readings(prompt)):
            found.setdefault(hit.category, []).append(hit)
        return tuple(Reason(category, _words(prompt, [span for hit in hits for span in hit.spans]),
                            f"rule {hits[0].rule!r}", action=self.policy.action(category))
                     for category, hits in found.items())

    def find_names(self, prompt: str) -> tuple[Named, ...]:
        """The people, protected characters and living artists that a prompt names."""
        return self.names.find(prompt, readings(prompt), self.rules.hide)

    def by_names(self, prompt: str, names: list[Named]) -> tuple[Reason, ...]:
        found = {}
        for name in names:
            found.setdefault(name.category, []).append(name)
        return tuple(Reason(category, _words(prompt, [name.span for name in named]), f"name {named[0].rule!r}",
                            action=self.policy.action(category)) for category, named in found.items())

    def by_classifier(self, prompt: str, known: set[str]) -> tuple[Reason, ...]:
        """What the classifier finds in categories that are not known yet. It has no say about names, which it cannot
        know. What cannot be changed, as there is no name to put another word for, is refused where the policy says
        alter."""
        if self.classifier is None:
            return ()
        best, known = {}, known | {PEOPLE, CHARACTERS, ARTISTS}
        for reading in readings(prompt):
            text = self.names.hide_free(self.rules.hide(reading.text)).replace(HIDDEN, " ")
            for score in self.classifier(text):
                if score.category not in known and score.score > best.get(score.category, score).score - 1e-9:
                    best[score.category] = score
        return tuple(Reason(score.category, (score.words,), "classifier", score.score, score.threshold,
                            "allow" if self.policy.action(score.category) == "allow" else "refuse")
                     for score in best.values() if score.score >= score.threshold)

    def by_likeness(self, brief: Brief) -> tuple[Reason, ...]:
        """Faces in a given picture, and prompts for people who should look real."""
        reasons = self._faces(brief.image) if brief.image is not None else ()
        realistic, person = REALISTIC.search(brief.prompt), PERSON.search(brief.prompt)
        if self.policy.realistic_people == "refuse" and realistic and person:
            words = (realistic.group(), person.group())
            reasons += (Reason(LIKENESS, words, "realistic people"),)
        return reasons

    def altered(self, brief: Brief, prompt: str) -> Brief:
        """The brief with another prompt, read anew."""
        if self.read is None:
            return dataclasses.replace(brief, prompt=prompt, tokens=(), subjects=(), elements=(), relations=())
        fresh = self.read(prompt)
        return dataclasses.replace(fresh, negative=brief.negative, image=brief.image,
                                   image_reference=brief.image_reference, video_reference=brief.video_reference)

    def _faces(self, image: UInt8[np.ndarray, "h w 3"]) -> tuple[Reason, ...]:
        agreed = self.policy.faces == "consent" and picture_hash(image) in self.consent.pictures
        if self.policy.faces == "allow" or agreed:
            return ()
        from sorakit.safety.faces import find_faces
        faces = find_faces(image)
        if not faces:
            return ()
        return (Reason(LIKENESS, (), f"faces: {len(faces)} in the picture"),)


class Refused(ValueError):
    """The request breaks a rule. `category` and `words` say which and where; `verdict` is the whole judgement."""

    def __init__(self, verdict: Verdict):
        self.verdict = verdict
        reasons = [reason for reason in verdict.reasons if reason.action == "refuse"]
        self.category, self.words = reasons[0].category, reasons[0].words
        found = "; ".join(f"{reason.category} ({', '.join(map(repr, reason.words)) or reason.fired})"
                          for reason in reasons)
        super().__init__(f"prompt is refused: {found}; the rules are in sorakit/safety/rules.cfg, what is done about "
                         f"them in sorakit/safety/policies/{verdict.policy}.cfg")


def _words(prompt: str, spans) -> tuple[str, ...]:
    return tuple(dict.fromkeys(prompt[start:to_the_end(prompt, end)] for start, end in sorted(set(spans))))
