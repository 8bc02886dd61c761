"""People and a robot: figures with two-jointed arms and legs that stroll, walk, run, dance, jump and pirouette.

A `Body` gives the lengths, a `Motion` the angles of the joints over time, a `Figure` is the rig made of both; each
builder then dresses one. Angles are degrees from hanging straight down: negative is forward, positive backward.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import skia

from sorakit.world.paint import PACE, RGB, Rig, blob, box, ellipse, limb, mix, polygon, rgb, scale

Curve = Callable[[float], float]  # the phase to an angle or an offset
Pair = tuple[Curve, Curve]        # one for the near limb, one for the far limb
NEAR, FAR = 0, 1

WHITE, INK = rgb("#ffffff"), rgb("#2a2230")
SKINS = tuple(map(rgb, ("#f6cfae", "#eab48a", "#d2935f", "#b0703f", "#8a5636")))
HAIRS = tuple(map(rgb, ("#2b2024", "#4a2c20", "#7d4524", "#c98d3f", "#a33f24", "#1f1d2b")))
LEATHERS = tuple(map(rgb, ("#8a4b2a", "#3a2c30", "#b0303a", "#d9a441")))


def choose(rng: np.random.Generator, options: tuple) -> RGB:
    return options[rng.integers(len(options))]


def is_dark(colour: RGB) -> bool:
    return sum(colour) < 0.9


def trim(colour: RGB) -> RGB:
    """The seams, cuffs and collars of clothes: clearly lighter on dark cloth, clearly darker on light cloth."""
    return mix(colour, WHITE, 0.44) if is_dark(colour) else scale(colour, 0.66)


def tone(colour: RGB, side: int) -> RGB:
    """The far side lies in shadow."""
    return scale(colour, 0.66) if side == FAR else colour


# --- motion ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Body:
    """The lengths of a figure that is about 1 high."""

    thigh: float = 0.235
    shin: float = 0.215
    ankle: float = 0.04      # height of the ankle above the sole
    torso: float = 0.30      # hips to shoulders
    neck: float = 0.035      # shoulders to the chin
    arm: float = 0.15
    forearm: float = 0.14
    head: float = 0.085      # radius
    toe: float = 0.085       # length of the foot in front of the ankle


@dataclass(frozen=True)
class Motion:
    """The angles of the joints, and how the hips move."""

    cycles: float
    thigh: Pair
    knee: Pair
    arm: Pair
    elbow: Pair
    lean: Curve = lambda p: 0.0
    hips: Curve = lambda p: 0.0      # sideways
    hop: Curve = lambda p: 0.0       # how far the feet are off the ground
    facing: Curve = lambda p: 1.0    # width of the figure: -1 is turned to the left
    wind: float = 0.0                # how far hair and coat are blown back, in degrees
    pointe: float = 0.0              # how far the toes point down


def cos(p: float) -> float:
    return math.cos(2 * math.pi * p)


def sin(p: float) -> float:
    return math.sin(2 * math.pi * p)


def lift(p: float) -> float:
    """Up to 1 and down again in the first half of a cycle, 0 in the second."""
    return max(0.0, sin(p))


def pair(curve: Curve) -> Pair:
    """The far limb does what the near one does, half a cycle later."""
    return curve, lambda p: curve(p + 0.5)


def turning(angle: float) -> float:
    """The width of a body turned by an angle: it never gets as thin as paper."""
    return math.copysign(max(0.38, abs(math.cos(angle))), math.cos(angle))


def gait(action: str, body: Body) -> Motion:
    """Stroll, walk or run: as many strides a second as keep the feet from sliding."""
    swing, bend, late, arm, elbow, lean, wind = {
        "stroll": (18, 36, -0.02, 15, 14, 0, 4),
        "walk": (24, 48, -0.02, 25, 22, 2, 8),
        "run": (39, 96, 0.07, 46, 84, 13, 42),
    }[action]
    running = action == "run"
    stride = 4 * (body.thigh + body.shin + body.ankle) * math.sin(math.radians(swing)) * (1.12 if running else 1.0)
    return Motion(
        cycles=PACE[action] / stride,
        thigh=pair(lambda p: swing * (cos(p) - 0.16)),
        knee=pair(lambda p: 5 + bend * lift(p - late) ** 1.3),
        arm=pair(lambda p: -arm * cos(p) + arm * 0.1),
        elbow=pair(lambda p: -elbow * (1 + 0.3 * cos(p))),
        lean=lambda p: lean + 1.5 * cos(2 * p),
        hop=lambda p: 0.11 * cos(p) ** 2 if running else 0.0,
        wind=wind,
    )


def dance(cycles: float, raised: float = 119) -> Motion:
    """Arms raised and swaying, the knees lifted in turn, a quick turn every other bar."""
    return Motion(
        cycles=cycles,
        thigh=pair(lambda p: -58 * lift(p) - 6 - 6 * cos(2 * p)),
        knee=pair(lambda p: 82 * lift(p) + 14 + 12 * cos(2 * p)),
        arm=(lambda p: -raised + 22 * sin(p), lambda p: raised + 22 * sin(p)),
        elbow=(lambda p: -30 - 30 * sin(p - 0.06), lambda p: 30 - 30 * sin(p - 0.06)),
        lean=lambda p: 8 * sin(p),
        hips=lambda p: -0.03 * sin(p),
        facing=lambda p: turning(math.pi / 2 * (1 - max(-1.0, min(1.0, 3 * sin(p / 4 + 0.06))))),
        wind=3,
    )


def jump() -> Motion:
    """Crouch (phase 0), then knees and arms up in the air (phase 0.5); the renderer adds the arc."""
    air = lambda p: math.sin(math.pi * p) ** 2
    return Motion(
        cycles=1.1,
        thigh=(lambda p: -52 + 2 * air(p), lambda p: -46 + 62 * air(p)),
        knee=(lambda p: 88 - 20 * air(p), lambda p: 84 - 30 * air(p)),
        arm=(lambda p: 35 - 152 * air(p), lambda p: 30 + 96 * air(p)),
        elbow=(lambda p: -24, lambda p: -24 + 44 * air(p)),
        lean=lambda p: 16 - 14 * air(p),
        hop=lambda p: 0.12 * air(p),
        wind=12,
    )


class Figure:
    """A rig with the skeleton of a body in motion; the bones of limbs are pairs (near, far)."""

    def __init__(self, body: Body, motion: Motion):
        self.body, self.motion, self.rig = body, motion, Rig(cycles=motion.cycles)
        bone = self.rig.bone
        self.floor = bone(0, 0, 0, shift=lambda p: (motion.hips(p), -self.reach(p) - motion.hop(p)))
        self.hips = bone(self.floor, 0, 0, stretch=lambda p: (motion.facing(p), 1.0))
        self.spine = bone(self.hips, 0, 0, swing=motion.lean)
        self.head = bone(self.spine, 0.005, -body.torso - body.neck,
                         swing=lambda p: -0.7 * motion.lean(p) + 2 * sin(2 * p))
        self.thigh = [bone(self.hips, x, 0, swing=motion.thigh[i]) for i, x in ((NEAR, -0.008), (FAR, 0.012))]
        self.shin = [bone(self.thigh[i], 0, body.thigh, swing=motion.knee[i]) for i in (NEAR, FAR)]
        self.foot = [bone(self.shin[i], 0, body.shin, swing=self.ankle(i)) for i in (NEAR, FAR)]
        self.arm = [bone(self.spine, x, -body.torso, swing=motion.arm[i]) for i, x in ((NEAR, -0.012), (FAR, 0.022))]
        self.forearm = [bone(self.arm[i], 0, body.arm, swing=motion.elbow[i]) for i in (NEAR, FAR)]
        front = lambda p: min(thigh(p) for thigh in motion.thigh)
        back = lambda p: max(thigh(p) for thigh in motion.thigh)
        self.front = bone(self.hips, 0, 0, swing=lambda p: 0.55 * front(p - 0.03))
        self.back = bone(self.hips, 0, 0, swing=lambda p: 0.55 * back(p - 0.03) + 0.35 * motion.wind)
        self.hair = bone(self.head, -0.45 * body.head, -1.2 * body.head,
                         swing=lambda p: motion.wind + (3 + motion.wind / 8) * sin(2 * p - 0.2) - 0.3 * motion.lean(p))

    def ankle(self, side: int) -> Curve:
        """Keep the sole nearly level, or the toes pointed."""
        leg = lambda p: self.motion.thigh[side](p) + self.motion.knee[side](p)
        return lambda p: self.motion.pointe or -0.65 * leg(p)

    def reach(self, p: float) -> float:
        """How far the lower foot is below the hips, so that it always stands on the ground."""
        lowest = []
        for side in (NEAR, FAR):
            thigh = math.radians(self.motion.thigh[side](p))
            shin = thigh + math.radians(self.motion.knee[side](p))
            foot = shin + math.radians(self.ankle(side)(p))
            ankle = self.body.thigh * math.cos(thigh) + self.body.shin * math.cos(shin)
            lowest.append(ankle + self.body.ankle * math.cos(foot) + self.body.toe * max(0.0, math.sin(foot)))
        return max(lowest)

    def draw_leg(self, side: int, cloth: RGB, skin: RGB, shoe: RGB, width: float, sole: skia.Path) -> None:
        body, shape = self.body, self.rig.shape
        shape(self.foot[side], sole, tone(shoe, side), shade=0.5)
        shape(self.shin[side], limb(0, 0, 0, body.shin, width * 0.8, width * 0.5), tone(skin, side), shade=0.35)
        shape(self.thigh[side], limb(0, 0, 0, body.thigh, width * 1.15, width * 0.8), tone(cloth, side), shade=0.35)

    def draw_arm(self, side: int, sleeve: RGB, cuff: RGB, skin: RGB, width: float) -> None:
        body, shape = self.body, self.rig.shape
        shape(self.forearm[side], ellipse(0.004, body.forearm + 0.016, width * 0.38, 0.026), tone(skin, side),
              shade=0.3)
        shape(self.forearm[side], limb(0, 0, 0, body.forearm, width * 0.82, width * 0.66), tone(cuff, side), shade=0.35)
        shape(self.arm[side], limb(0, 0, 0, body.arm, width, width * 0.82), tone(sleeve, side), shade=0.35)

    def draw_face(self, skin: RGB, *, lips: RGB | None = None, brow: RGB = INK) -> None:
        """A head in profile, on its neck."""
        r, shape = self.body.head, self.rig.shape
        at = lambda *points: tuple((x * r, (y - 1) * r) for x, y in points)
        shape(self.head, limb(-0.12 * r, -0.5 * r, -0.01, self.body.neck + 0.005, r * 0.72, r * 0.72),
              scale(skin, 0.82), shade=0.5)
        shape(self.head, blob(*at((0, -1), (0.6, -0.8), (0.87, -0.3), (0.86, -0.05), (1.06, 0.2), (0.88, 0.32),
                                  (0.9, 0.52), (0.74, 0.88), (0.2, 0.96), (-0.5, 0.6), (-0.95, -0.1), (-0.66, -0.76))),
              skin, shade=0.6)
        shape(self.head, ellipse(0.36 * r, -0.66 * r, 0.19 * r, 0.13 * r), mix(skin, rgb("#e8505a"), 0.35), shade=0)
        shape(self.head, ellipse(0.56 * r, -1.0 * r, 0.095 * r, 0.16 * r), INK, shade=0)
        shape(self.head, limb(0.34 * r, -1.28 * r, 0.72 * r, -1.36 * r, 0.1 * r, 0.08 * r), brow, shade=0)
        shape(self.head, blob(*at((0.46, 0.42), (0.68, 0.5), (0.92, 0.46), (0.86, 0.6), (0.68, 0.63))),
              lips or scale(skin, 0.55), shade=0)


# --- the cast -------------------------------------------------------------------------------------


def woman(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    """A belted coat, long hair, heels and a bag."""
    body = Body()
    figure = Figure(body, dance(0.95) if action == "dance" else gait(action, body))
    rig, shape, r = figure.rig, figure.rig.shape, body.head
    skin, hair, leather, line = choose(rng, SKINS), choose(rng, HAIRS), choose(rng, LEATHERS), trim(colour)
    tights = INK if not is_dark(colour) else skin
    heels = polygon((-0.034, -0.03), (0.022, -0.03), (0.05, 0.006), (0.098, 0.03), (0.096, 0.04), (0.045, 0.04),
                    (0.0, 0.012), (-0.016, 0.04), (-0.028, 0.04))

    figure.draw_arm(FAR, colour, colour, skin, 0.062)
    figure.draw_leg(FAR, tights, tights, leather, 0.07, heels)
    shape(figure.back, blob((-0.062, -0.06), (0.04, -0.06), (0.05, 0.22), (-0.02, 0.26), (-0.115, 0.25), (-0.09, 0.1)),
          scale(colour, 0.72), shade=0.8)
    figure.draw_leg(NEAR, tights, tights, leather, 0.07, heels)
    shape(figure.front, blob((-0.062, -0.06), (0.052, -0.06), (0.085, 0.08), (0.1, 0.25), (0.02, 0.265), (-0.06, 0.255),
                             (-0.075, 0.08)), colour, shade=0.8)
    shape(figure.front, limb(0.032, -0.02, 0.066, 0.23, 0.01, 0.013), line, shade=0)
    shape(figure.spine, blob((-0.07, -0.02), (-0.05, -0.12), (-0.064, -0.25), (-0.045, -0.32), (0.01, -0.335),
                             (0.055, -0.3), (0.078, -0.23), (0.052, -0.12), (0.066, -0.02), (0.0, 0.01)), colour)
    shape(figure.spine, box(-0.058, -0.115, 0.06, -0.085, 0.01), line, shade=0.3)
    shape(figure.spine, polygon((0.0, -0.335), (0.055, -0.31), (0.07, -0.26), (0.045, -0.16)), line, shade=0.3)
    figure.draw_face(skin, lips=rgb("#c22a3c"), brow=scale(hair, 0.8))
    shape(figure.hair, blob((-0.3 * r, -0.6 * r), (0.65 * r, -0.3 * r), (0.5 * r, 1.0 * r), (0.35 * r, 2.2 * r),
                            (-0.15 * r, 2.9 * r), (-0.75 * r, 2.7 * r), (-0.85 * r, 1.6 * r), (-0.8 * r, 0.3 * r)),
          hair, shade=0.9)
    shape(figure.hair, limb(-0.2 * r, 0.3 * r, -0.35 * r, 2.2 * r, 0.3 * r, 0.1 * r), mix(hair, WHITE, 0.16), shade=0.2)
    shape(figure.head, blob((0.78 * r, -1.5 * r), (0.55 * r, -1.98 * r), (-0.1 * r, -2.2 * r), (-0.8 * r, -1.9 * r),
                            (-1.08 * r, -1.1 * r), (-0.8 * r, -0.3 * r), (-0.25 * r, -0.5 * r), (0.05 * r, -1.2 * r)),
          hair, shade=0.5)
    figure.draw_arm(NEAR, mix(colour, WHITE, 0.06), mix(colour, WHITE, 0.06), skin, 0.066)
    if action != "dance":
        _draw_bag(figure, leather)
    return rig


def _draw_bag(figure: Figure, leather: RGB) -> None:
    """A bag in the crook of the near arm; it hangs straight down."""
    arm, elbow, shape = figure.motion.arm[NEAR], figure.motion.elbow[NEAR], figure.rig.shape
    bag = figure.rig.bone(figure.forearm[NEAR], 0, 0.06, swing=lambda p: -arm(p - 0.05) - elbow(p - 0.05))
    handle = skia.Op(ellipse(0, 0.05, 0.036, 0.052), ellipse(0, 0.05, 0.028, 0.044), skia.PathOp.kDifference_PathOp)
    shape(bag, handle, scale(leather, 0.75), shade=0)
    shape(bag, blob((-0.055, 0.085), (0.055, 0.085), (0.066, 0.165), (-0.066, 0.165)), leather)
    shape(bag, box(-0.012, 0.08, 0.012, 0.105, 0.004), rgb("#f0cd6a"), shade=0)


def man(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    """A jacket over a shirt, long trousers, short hair, sometimes a hat."""
    body = Body(torso=0.31, thigh=0.23, head=0.082)
    figure = Figure(body, dance(0.9) if action == "dance" else gait(action, body))
    rig, shape, r = figure.rig, figure.rig.shape, body.head
    skin, hair, leather, line = choose(rng, SKINS), choose(rng, HAIRS), choose(rng, LEATHERS[:2]), trim(colour)
    trousers = rgb("#7d7f88") if is_dark(colour) else choose(rng, (rgb("#3a4a6e"), rgb("#4b4753")))
    hat = rng.random() < 0.4
    shoes = blob((-0.04, 0.0), (0.02, -0.03), (0.055, 0.008), (0.1, 0.026), (0.09, 0.042), (-0.04, 0.042))

    figure.draw_arm(FAR, colour, colour, skin, 0.07)
    figure.draw_leg(FAR, trousers, trousers, leather, 0.088, shoes)
    figure.draw_leg(NEAR, trousers, trousers, leather, 0.088, shoes)
    shape(figure.spine, blob((-0.084, 0.06), (-0.078, -0.08), (-0.09, -0.25), (-0.06, -0.33), (0.02, -0.345),
                             (0.078, -0.31), (0.096, -0.23), (0.08, -0.08), (0.088, 0.055), (0.0, 0.075)), colour)
    shape(figure.spine, polygon((0.02, -0.345), (0.07, -0.325), (0.09, -0.24), (0.062, -0.14)), rgb("#f4f1ea"),
          shade=0.3)
    shape(figure.spine, polygon((0.056, -0.315), (0.076, -0.31), (0.078, -0.21), (0.068, -0.17)), rgb("#a8323a"),
          shade=0)
    shape(figure.spine, polygon((-0.01, -0.35), (0.025, -0.345), (0.066, -0.13), (0.034, -0.2)), line, shade=0.2)
    shape(figure.spine, limb(0.064, -0.13, 0.056, 0.06, 0.008, 0.008), line, shade=0)
    shape(figure.spine, box(-0.045, -0.02, 0.03, -0.004, 0.004), line, shade=0)
    figure.draw_face(skin, brow=hair)
    shape(figure.head, blob((0.8 * r, -1.62 * r), (0.5 * r, -2.12 * r), (-0.3 * r, -2.14 * r), (-1.0 * r, -1.7 * r),
                            (-1.02 * r, -0.8 * r), (-0.62 * r, -0.4 * r), (-0.42 * r, -0.9 * r), (-0.1 * r, -1.0 * r),
                            (0.1 * r, -1.5 * r)), hair, shade=0.6)
    shape(figure.head, ellipse(-0.22 * r, -0.86 * r, 0.15 * r, 0.22 * r), scale(skin, 0.86), shade=0.3)
    if hat:
        felt = scale(colour, 0.8) if not is_dark(colour) else rgb("#5a5560")
        shape(figure.head, blob((-0.95 * r, -1.5 * r), (-0.85 * r, -2.35 * r), (-0.1 * r, -2.5 * r),
                                (0.62 * r, -2.38 * r), (0.8 * r, -1.5 * r)), felt)
        shape(figure.head, ellipse(0.02 * r, -1.54 * r, 1.32 * r, 0.14 * r), felt, shade=0.4)
        shape(figure.head, polygon((-0.9 * r, -1.84 * r), (0.74 * r, -1.88 * r), (0.77 * r, -1.64 * r),
                                   (-0.92 * r, -1.6 * r)), trim(felt), shade=0)
    figure.draw_arm(NEAR, mix(colour, WHITE, 0.07), mix(colour, WHITE, 0.07), skin, 0.074)
    shape(figure.forearm[NEAR], box(-0.026, 0.118, 0.026, 0.138, 0.006), line, shade=0)
    return rig


def child(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    """A big head, a hoodie, a backpack and trainers."""
    body = Body(thigh=0.16, shin=0.155, ankle=0.05, torso=0.235, neck=0.02, arm=0.115, forearm=0.105, head=0.14,
                toe=0.1)
    motion = {"dance": dance(1.1, raised=105), "jump": jump()}.get(action) or gait(action, body)
    figure = Figure(body, motion)
    rig, shape, r = figure.rig, figure.rig.shape, body.head
    skin, hair, line = choose(rng, SKINS), choose(rng, HAIRS), trim(colour)
    jeans = rgb("#8d93a8") if is_dark(colour) else rgb("#33496e")
    pack = rgb("#f0b33c") if colour[2] > 0.3 or is_dark(colour) else rgb("#2f7fa8")
    trainers = blob((-0.05, 0.0), (0.01, -0.03), (0.06, 0.004), (0.115, 0.022), (0.108, 0.052), (-0.048, 0.052))

    figure.draw_arm(FAR, colour, colour, skin, 0.08)
    figure.draw_leg(FAR, jeans, jeans, rgb("#f2efe8"), 0.1, trainers)
    backpack = rig.bone(figure.spine, -0.07, -0.22, swing=lambda p: 4 * sin(2 * p - 0.15) + 0.15 * motion.wind)
    shape(backpack, box(-0.115, -0.005, 0.03, 0.2, 0.05), pack)
    shape(backpack, box(-0.125, 0.1, -0.03, 0.185, 0.025), scale(pack, 0.78), shade=0.5)
    figure.draw_leg(NEAR, jeans, jeans, rgb("#f2efe8"), 0.1, trainers)
    shape(figure.spine, blob((-0.088, 0.05), (-0.092, -0.08), (-0.085, -0.21), (-0.03, -0.26), (0.05, -0.25),
                             (0.092, -0.18), (0.1, -0.06), (0.094, 0.045), (0.0, 0.062)), colour)
    shape(figure.spine, box(-0.088, 0.026, 0.094, 0.056, 0.012), line, shade=0.3)
    shape(figure.spine, blob((0.03, -0.07), (0.092, -0.075), (0.094, 0.0), (0.02, 0.0)), line, shade=0.2)
    shape(figure.spine, limb(-0.03, -0.245, -0.045, -0.06, 0.026, 0.024), scale(pack, 0.7), shade=0)
    figure.draw_face(skin, brow=hair)
    shape(figure.hair, blob((-0.5 * r, -0.35 * r), (0.35 * r, -0.3 * r), (0.4 * r, 0.7 * r), (-0.1 * r, 1.0 * r),
                            (-0.62 * r, 0.7 * r)), hair, shade=0.6)
    shape(figure.head, blob((0.82 * r, -1.42 * r), (0.95 * r, -1.8 * r), (0.45 * r, -2.02 * r), (0.2 * r, -2.3 * r),
                            (-0.15 * r, -2.1 * r), (-0.8 * r, -1.9 * r), (-1.08 * r, -1.1 * r), (-0.75 * r, -0.45 * r),
                            (-0.3 * r, -0.9 * r), (0.0, -1.5 * r)), hair, shade=0.6)
    shape(figure.head, ellipse(-0.2 * r, -0.8 * r, 0.15 * r, 0.2 * r), scale(skin, 0.86), shade=0.3)
    shape(figure.spine, blob((-0.1, -0.235), (-0.02, -0.24), (0.07, -0.25), (0.05, -0.205), (-0.03, -0.185),
                             (-0.105, -0.195)), scale(colour, 0.8) if not is_dark(colour) else line, shade=0.4)
    figure.draw_arm(NEAR, mix(colour, WHITE, 0.08), mix(colour, WHITE, 0.08), skin, 0.084)
    return rig


def dancer(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    """A ballerina: bun, bodice, tutu and pointe shoes."""
    body = Body(thigh=0.235, shin=0.21, ankle=0.02, torso=0.26, arm=0.14, forearm=0.14, head=0.076, toe=0.07)
    figure = Figure(body, {"dance": _adagio, "jump": _leap, "rotate": _pirouette}[action]())
    motion, rig, shape, r = figure.motion, figure.rig, figure.rig.shape, body.head
    skin, hair, line = choose(rng, SKINS), choose(rng, HAIRS), trim(colour)
    tights = mix(skin, rgb("#ffe6e2"), 0.55)
    shoes = blob((-0.022, -0.02), (0.016, -0.025), (0.05, 0.0), (0.088, 0.016), (0.07, 0.026), (-0.02, 0.022))

    figure.draw_arm(FAR, skin, skin, skin, 0.044)
    figure.draw_leg(FAR, tights, tights, line, 0.072, shoes)
    figure.draw_leg(NEAR, tights, tights, line, 0.072, shoes)
    lean = lambda p: motion.lean(p) * motion.facing(p)
    trunk = rig.bone(figure.floor, 0, 0, swing=lean)  # bodice and tutu look the same from all sides: they never thin
    flutter = rig.bone(figure.floor, 0, -0.03, swing=lambda p: lean(p) + 4 * sin(p + 0.1),
                       stretch=lambda p: (1.0 + 0.04 * sin(2 * p), 1.0 + 0.18 * sin(2 * p + 0.2)))
    under, over = _tutu(0.21, 0.075), _tutu(0.195, 0.045)
    shape(flutter, under, scale(mix(colour, WHITE, 0.3), 0.82), shade=0.6)
    shape(flutter, over, mix(colour, WHITE, 0.3), shade=0.6)
    shape(flutter, blob((-0.13, -0.004), (0.0, -0.045), (0.13, -0.004), (0.09, 0.022), (0.0, 0.028), (-0.09, 0.022)),
          colour)
    shape(trunk, blob((-0.05, -0.02), (-0.042, -0.1), (-0.06, -0.19), (-0.035, -0.25), (0.035, -0.25), (0.062, -0.19),
                      (0.042, -0.1), (0.05, -0.02)), colour)
    shape(trunk, blob((-0.03, -0.275), (0.03, -0.275), (0.05, -0.225), (0.0, -0.205), (-0.048, -0.225)), skin, shade=0)
    shape(trunk, box(-0.044, -0.085, 0.046, -0.062, 0.008), line, shade=0)
    figure.draw_face(skin, lips=rgb("#c22a4c"), brow=hair)
    shape(figure.head, ellipse(-0.82 * r, -1.85 * r, 0.52 * r, 0.48 * r), hair)
    shape(figure.head, blob((0.78 * r, -1.55 * r), (0.5 * r, -2.02 * r), (-0.2 * r, -2.1 * r), (-0.95 * r, -1.6 * r),
                            (-0.95 * r, -0.8 * r), (-0.45 * r, -0.5 * r), (-0.1 * r, -1.1 * r)), hair, shade=0.6)
    shape(figure.head, limb(-0.75 * r, -1.45 * r, -0.35 * r, -2.0 * r, 0.2 * r, 0.2 * r), line, shade=0)
    figure.draw_arm(NEAR, skin, skin, skin, 0.046)
    return rig


def _tutu(width: float, drop: float) -> skia.Path:
    """A flat skirt with a scalloped edge."""
    edge = [(x * width, drop * (0.55 + 0.45 * (i % 2)) * (1 - 0.35 * x * x))
            for i, x in enumerate(np.linspace(0.96, -0.96, 11).tolist())]
    return blob((-width, 0.012), (-0.4 * width, -0.035), (0.4 * width, -0.035), (width, 0.012), *edge)


def _adagio() -> Motion:
    """An arabesque that opens and closes while the dancer slowly turns."""
    rise = lambda p: 0.5 - 0.5 * cos(p)
    return Motion(
        cycles=0.7,
        thigh=(lambda p: -4 * sin(p), lambda p: -38 + 118 * rise(p)),
        knee=(lambda p: 6, lambda p: 78 - 70 * rise(p)),
        arm=(lambda p: -168 + 62 * rise(p), lambda p: 168 - 58 * rise(p)),
        elbow=(lambda p: -32 + 24 * rise(p), lambda p: 32 - 20 * rise(p)),
        lean=lambda p: 18 * rise(p) - 4,
        hips=lambda p: 0.03 * sin(p),
        facing=lambda p: turning(math.pi / 2 * (1 - max(-1.0, min(1.0, 3.5 * sin(p / 2 + 0.02))))),
        wind=4, pointe=46,
    )


def _leap() -> Motion:
    """A grand jete: plie (phase 0), the splits in the air (phase 0.5)."""
    air = lambda p: math.sin(math.pi * p) ** 2
    return Motion(
        cycles=0.9,
        thigh=(lambda p: -34 - 44 * air(p), lambda p: -26 + 100 * air(p)),
        knee=(lambda p: 62 - 58 * air(p), lambda p: 62 - 54 * air(p)),
        arm=(lambda p: -20 - 104 * air(p), lambda p: 20 + 95 * air(p)),
        elbow=(lambda p: -24, lambda p: 18),
        lean=lambda p: 6 - 4 * air(p),
        hop=lambda p: 0.3 * air(p),
        wind=8, pointe=46,
    )


def _pirouette() -> Motion:
    """On the toes of one foot, the other at the knee, arms overhead."""
    return Motion(
        cycles=1.0,
        thigh=(lambda p: 0, lambda p: -66),
        knee=(lambda p: 3, lambda p: 118),
        arm=(lambda p: -158 + 4 * sin(p), lambda p: 158 - 4 * sin(p)),
        elbow=(lambda p: -42, lambda p: 42),
        hop=lambda p: 0.008 * sin(2 * p),
        facing=lambda p: turning(2 * math.pi * p),
        pointe=46,
    )


def robot(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    """A boxy head with an antenna and glowing eyes, armour on steel joints."""
    body = Body(thigh=0.19, shin=0.18, ankle=0.055, torso=0.3, neck=0.03, arm=0.14, forearm=0.13, head=0.12, toe=0.1)
    snap = lambda p: math.tanh(2.5 * sin(p))
    motion = gait(action, body) if action != "dance" else replace(
        dance(0.9),
        arm=(lambda p: -102 + 38 * snap(p), lambda p: 102 + 38 * snap(p)),
        elbow=(lambda p: -48 - 40 * snap(p), lambda p: 48 - 40 * snap(p)),
        lean=lambda p: 6 * snap(p),
    )
    figure = Figure(body, motion)
    rig, shape = figure.rig, figure.rig.shape
    line, plate = trim(colour), mix(colour, WHITE, 0.1)
    steel, lamp = rgb("#5a6272" if 0.45 < sum(colour) / 3 < 0.6 else "#8b93a3"), rgb("#5ff2ff")

    for side in (FAR, NEAR):
        if side == NEAR:
            shape(figure.spine, box(-0.07, -0.06, 0.07, 0.035, 0.02), steel)
        shape(figure.thigh[side], limb(0, 0, 0, body.thigh, 0.062, 0.056), tone(steel, side), shade=0.4)
        shape(figure.foot[side], blob((-0.07, 0.056), (-0.062, 0.0), (0.0, -0.03), (0.07, 0.0), (0.115, 0.03),
                                      (0.115, 0.056)), tone(line, side), shade=0.5)
        shape(figure.shin[side], polygon((-0.05, -0.02), (0.046, -0.02), (0.066, body.shin), (-0.066, body.shin)),
              tone(plate, side), shade=0.6)
        if side == FAR:
            _robot_arm(figure, side, plate, steel)
    shape(figure.spine, box(-0.03, -0.36, 0.03, -0.27), scale(steel, 0.7))
    shape(figure.spine, blob((-0.105, -0.1), (-0.13, -0.22), (-0.11, -0.315), (0.0, -0.33), (0.11, -0.315),
                             (0.135, -0.22), (0.105, -0.1), (0.07, -0.035), (-0.07, -0.035)), colour)
    shape(figure.spine, box(-0.03, -0.26, 0.095, -0.14, 0.025), line, shade=0.3)
    shape(figure.spine, ellipse(0.045, -0.2, 0.03, 0.03), rgb("#ffcf5a"), emissive=True, shade=0)
    antenna = rig.bone(figure.head, -0.03, -0.215, swing=lambda p: 8 * sin(2 * p - 0.2) + 0.3 * motion.wind)
    shape(antenna, limb(0, 0, 0, -0.075, 0.016, 0.01), steel, shade=0)
    shape(antenna, ellipse(0, -0.08, 0.022, 0.022), rgb("#ff5a4f"), emissive=True, shade=0)
    shape(figure.head, box(-0.13, -0.215, 0.13, 0.0, 0.045), colour)
    shape(figure.head, box(-0.03, -0.175, 0.135, -0.055, 0.035), rgb("#1b2233"), shade=0)
    shape(figure.head, ellipse(0.025, -0.118, 0.024, 0.032), lamp, emissive=True, shade=0)
    shape(figure.head, ellipse(0.095, -0.118, 0.02, 0.032), lamp, emissive=True, shade=0)
    shape(figure.head, box(-0.1, -0.035, 0.1, -0.022, 0.005), line, shade=0)
    shape(figure.head, ellipse(-0.1, -0.11, 0.03, 0.04), line, shade=0.6)
    _robot_arm(figure, NEAR, plate, steel)
    return rig


def _robot_arm(figure: Figure, side: int, plate: RGB, steel: RGB) -> None:
    arm, forearm, shape = figure.body.arm, figure.body.forearm, figure.rig.shape
    shape(figure.arm[side], limb(0, 0, 0, arm, 0.05, 0.046), tone(steel, side), shade=0.4)
    shape(figure.forearm[side], ellipse(0, forearm + 0.025, 0.034, 0.036), tone(steel, side))
    shape(figure.forearm[side], polygon((-0.034, -0.015), (0.034, -0.015), (0.046, forearm), (-0.046, forearm)),
          tone(plate, side), shade=0.5)
    shape(figure.arm[side], ellipse(0, 0.005, 0.056, 0.058), tone(plate, side))


BUILDERS: dict[str, Callable[[RGB, str, np.random.Generator], Rig]] = {
    "woman": woman, "man": man, "child": child, "dancer": dancer, "robot": robot,
}
