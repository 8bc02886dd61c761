"""Stage 6: may a request be made, and is what was made marked as such."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sorakit.safety.mark import marked
from sorakit.safety.rules import RULES, matches, read_rules
from sorakit.types import Brief, Reason, Verdict, Video


class Safety:
    """Judges prompts by rules that anybody can read, and marks every film that leaves."""

    def __init__(self, rules: str | Path = RULES):
        self.rules = read_rules(rules)                   # category: words and phrases

    def judge(self, brief: Brief) -> Verdict:
        """What the rules make of a brief. The negative prompt is not judged: it says what should stay away."""
        found = {category: matches(brief.prompt, rules) for category, rules in self.rules.items()}
        reasons = tuple(Reason(category, words) for category, words in found.items() if words)
        return Verdict("refuse" if reasons else "allow", brief, reasons)

    def screen(self, brief: Brief) -> Verdict:
        """Like `judge`, but raises `Refused` where it refuses."""
        verdict = self.judge(brief)
        if verdict.decision == "refuse":
            raise Refused(verdict)
        return verdict

    def release(self, video: Video, *, model: str, seed: int) -> Video:
        """The film with a mark that can be seen, and a title and comment that are written into its file."""
        comment = f"AI-generated video, made with sorakit (model {model}, seed {seed})"
        return dataclasses.replace(video, frames=marked(video.frames),
                                   metadata={"title": video.prompt, "comment": comment})


class Refused(ValueError):
    """The request breaks a rule. `category` and `words` say which and where; `verdict` is the whole judgement."""

    def __init__(self, verdict: Verdict):
        self.verdict = verdict
        self.category, self.words = verdict.reasons[0].category, verdict.reasons[0].words
        found = "; ".join(f"{reason.category} ({', '.join(map(repr, reason.words))})" for reason in verdict.reasons)
        super().__init__(f"prompt is refused: {found}; the rules are in sorakit/safety/rules.cfg")
