"""Creative tools: short functions over the pipeline, all on one mechanism, known latents with a mask.

Each takes a pipeline (`sorakit.load("nano")`) first and gives a `Take`: the film, and the `Run` of each window that the
model was at work on. A Take goes into the next tool as it is, with its latents: nothing is decoded in between.
"""

from sorakit.formats import Format
from sorakit.tools.animate import animate
from sorakit.tools.blend import CURVES, blend
from sorakit.tools.extend import Reel, extend, reel
from sorakit.tools.finish import finish
from sorakit.tools.loop import loop, repeated
from sorakit.tools.plans import PLUS, PRO, Ledger, Plan
from sorakit.tools.recut import pace, recut
from sorakit.tools.remix import STRENGTHS, STYLES, Style, remix
from sorakit.tools.shot import Take
from sorakit.tools.storyboard import Card, Storyboard
from sorakit.tools.variations import grid, variations

__all__ = ["CURVES", "PLUS", "PRO", "STRENGTHS", "STYLES", "Card", "Format", "Ledger", "Plan", "Reel", "Storyboard",
           "Style", "Take", "animate", "blend", "extend", "finish", "grid", "loop", "pace", "recut", "reel", "remix",
           "repeated", "variations"]
