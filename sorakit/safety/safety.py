"""Stage 6: may a request be made, and is what was made marked as such."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from sorakit.provenance import Origin
from sorakit.safety.classifier import Classifier
from sorakit.safety.faces import AGREEING, ALONE, SURELY, find_faces
from sorakit.safety.mark import Style, marked
from sorakit.safety.names import ARTISTS, CHARACTERS, PEOPLE, Named, Names, replaced
from sorakit.safety.policy import Consent, Policy, picture_hash, read_policy, shipped, write_audit
from sorakit.safety.rules import HIDDEN, RULES, Rules
from sorakit.safety.text import readings, to_the_end
from sorakit.safety.verify import Payload
from sorakit.safety.watermark import added, detect, embed, fitted
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
        audit: file to which every decision is added, with the words of prompts only if the policy says `audit = text`.
        weights: sha256 of the model's weights, which manifest and watermark name.
        style: how the mark that can be seen looks.
    """

    def __init__(self, rules: str | Path = RULES, *, policy: str | Path | Policy = "classroom", words=None,
                 read: Callable[[str], Brief] | None = None, consent: Consent | str | Path | None = None,
                 audit: str | Path | None = None, weights: str = "", style: Style = Style()):
        self.rules_path, self.rules, self.names = rules, Rules.read(rules), Names()
        self.policy = policy if isinstance(policy, Policy) else read_policy(policy)
        self.classifier = Classifier(words) if words is not None else None
        if self.classifier:
            self.classifier.thresholds.update(self.policy.thresholds)
        self.read = read
        self.consent = Consent.read(consent) if isinstance(consent, (str, Path)) else consent or Consent()
        self.audit, self.weights, self.style = audit, weights, style
        if self.policy.audit != "off" and audit is None:
            raise ValueError(f"policy={self.policy.name!r} asks for an audit; pass audit= and the path of its file")

    def under(self, policy: str, *, consent: str | Path | None = None, audit: str | Path | None = None) -> Safety:
        """The same stage under another policy that ships. Raises ValueError for another name: what a policy of your
        own lets through is for code to say, `Safety(policy=path)`, and not for a flag."""
        if policy not in shipped():
            raise ValueError(f"policy={policy!r} is not one of {', '.join(shipped())}")
        return Safety(self.rules_path, policy=policy, words=self.classifier and self.classifier.words, read=self.read,
                      consent=consent, audit=audit, weights=self.weights, style=self.style)

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
        return self._decided(self.judge(brief))

    def screen_frames(self, frames: UInt8[np.ndarray, "t h w 3"], *, most: int = 3, drawn: bool = False
                      ) -> tuple[Reason, ...]:
        """What is found in the frames of a film, of which `most` are looked at, evenly from first to last. Of three or
        more two must show it, and of fewer one, all the more surely: a face in one frame is more often a meadow. In a
        film that is drawn from words alone all must, as its cars have wheels that look like eyes."""
        chosen = frames[np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int)]
        least, agreeing = (len(chosen) if drawn else 2, SURELY) if len(chosen) > 2 else (1, ALONE)
        found = [reasons for frame in chosen if (reasons := self._faces(frame, agreeing))]
        return found[0] if len(found) >= least else ()

    def screen_film(self, frames: UInt8[np.ndarray, "t h w 3"], prompt: str = "", film: str = "") -> None:
        """Like `screen`, for a film that is given; film is the `film_hash` of its file, which consent goes by."""
        if not self._agreed(film=film):
            self._let_out(self.screen_frames(frames), prompt)

    def release(self, video: Video, *, model: str, seed: int, verdict: Verdict | None = None,
                actions: tuple[str, ...] = ("c2pa.created",), made_from: tuple[str, ...] = (),
                cut: bool = False) -> Video:
        """The film with a mark that can be seen and one that cannot, and with what its file is to say of it.

        Its frames are screened first, by the policy for given pictures. Saving then encodes and signs it.

        Args:
            verdict: of the request. Frames are not screened that go on from a picture or film to which consent was
                given.
            actions, made_from: C2PA's words for what was done, and paths of the films that it was done to.
            cut: the frames are a film's own. Where they have a watermark already, they stay as they are.

        Raises Refused for frames that the policy does not let out.
        """
        if not self.vouched(verdict):
            self._let_out(self.screen_frames(video.frames, drawn=drawn(verdict) and not made_from), video.prompt)
        origin, frames = self.origin(video.prompt, model, seed, actions, made_from), video.frames
        own = detect(frames, thorough=False).payload if cut else None
        if own is None:
            frames = embed(marked(frames, video.fps, self.style), origin.watermark)
        else:
            origin = dataclasses.replace(origin, watermark=own)
        return dataclasses.replace(video, frames=frames, metadata=self.said(origin), origin=origin)

    def vouched(self, verdict: Verdict | None) -> bool:
        """Does a film go on from a picture or film to which consent was given?"""
        return verdict is not None and self._agreed(verdict.brief.image, verdict.brief.film)

    def released(self, frames: Iterable[UInt8[np.ndarray, "h w 3"]], fps: float, count: int, origin: Origin,
                 verdict: Verdict | None = None, has_marks: bool = False) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Like `release`, for films that are too long to be held: one of `count` frames after the other, screened every
        second and three times or more, and marked unless they are already."""
        sheet, row, vouched, few = None, 0, self.vouched(verdict), count < 3
        every = max(1, min(round(fps), (count - 1) // 2))
        enough = 1 if few else 3 if drawn(verdict) and not origin.made_from else 2
        for k, frame in enumerate(frames):
            if not vouched and k % every == 0:
                seen = self._faces(frame, ALONE if few else SURELY)
                row = row + 1 if seen else 0
                self._let_out(seen if row >= enough else (), origin.prompt)
            if has_marks:
                yield frame
                continue
            frame = marked(frame[None], fps, self.style, k / fps)
            sheet = fitted(frame, origin.watermark) if sheet is None else sheet
            yield added(frame, sheet)[0]

    def origin(self, prompt: str, model: str, seed: int, actions: tuple[str, ...] = ("c2pa.created",),
               made_from: tuple[str, ...] = ()) -> Origin:
        """What the file of a film is to say of where it comes from; the same for the same film."""
        digest, seed = hashlib.sha256(prompt.encode()).hexdigest(), int(seed)
        return Origin(model, seed, digest, prompt if self.policy.prompt_in_files == "text" else "", self.weights,
                      Payload.of(self.weights, seed, digest).number, actions, made_from)

    def said(self, origin: Origin) -> dict[str, str]:
        """Title and comment, for players that show them."""
        comment = f"AI-generated video, made with sorakit (model {origin.model}, seed {origin.seed})"
        return ({"title": origin.prompt} if origin.prompt else {}) | {"comment": comment}

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
        unread = dataclasses.replace(brief, prompt=prompt, tokens=(), subjects=(), elements=(), relations=())
        if self.read is None:
            return unread
        try:
            fresh = self.read(prompt)
        except ValueError:                                  # the rest of it says nothing that can be drawn
            return unread
        return dataclasses.replace(fresh, negative=brief.negative, image=brief.image, film=brief.film,
                                   image_reference=brief.image_reference, video_reference=brief.video_reference)

    def _decided(self, verdict: Verdict) -> Verdict:
        """Written down, if there is an audit; raises Refused if that is the decision."""
        if self.audit is not None:
            write_audit(self.audit, verdict, self.policy)
        if verdict.decision == "refuse":
            raise Refused(verdict)
        return verdict

    def _let_out(self, reasons: tuple[Reason, ...], prompt: str) -> None:
        """Raises Refused where the finished frames give reasons to."""
        if reasons:
            self._decided(Verdict("refuse", Brief(prompt), reasons, prompt, (), self.policy.name))

    def _agreed(self, image: UInt8[np.ndarray, "h w 3"] | None = None, film: str = "") -> bool:
        """Whether the people of a picture or film have agreed, as far as the policy lets them."""
        if self.policy.faces != "consent":
            return self.policy.faces == "allow"
        return (film != "" and film in self.consent.films
                or image is not None and picture_hash(image) in self.consent.pictures)

    def _faces(self, image: UInt8[np.ndarray, "h w 3"], agreeing: int = AGREEING) -> tuple[Reason, ...]:
        if self._agreed(image):
            return ()
        faces = find_faces(image, agreeing)
        if not faces:
            return ()
        without = ", without consent" if self.policy.faces == "consent" else ""
        return (Reason(LIKENESS, (), f"faces: {len(faces)} in the picture{without}"),)


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


def drawn(verdict: Verdict | None) -> bool:
    """Is the film made from words alone?"""
    return verdict is not None and verdict.brief.image is None and not verdict.brief.film


def _words(prompt: str, spans) -> tuple[str, ...]:
    return tuple(dict.fromkeys(prompt[start:to_the_end(prompt, end)] for start, end in sorted(set(spans))))
