"""Animals as articulated rigs. Each builder paints one animal from far to near; the helpers above them give it
legs that really step (the feet are placed, the joints follow), wings that beat and tails that trail behind."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import skia

from sorakit.world.paint import PACE, RGB, Rig, blob, ellipse, limb, mix, polygon, scale, sway

Motion = Callable[[float], float]                # phase -> a number
Path2D = Callable[[float], tuple[float, float]]  # phase -> a point

INK = (0.10, 0.08, 0.09)
WHITE = (1.0, 1.0, 1.0)
CREAM = (1.0, 0.95, 0.85)
AMBER = (1.0, 0.80, 0.30)
ROSE = (0.93, 0.50, 0.54)
SCARF = (0.13, 0.42, 0.90)


# --- colour -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tones:
    """One coat colour as a painter uses it."""

    coat: RGB
    far: RGB    # limbs on the far side, in shadow
    light: RGB  # belly, muzzle, paws
    mark: RGB   # stripes, patches, ears: always visible on the coat
    eye: RGB
    spark: RGB  # the point inside the eye


def _tones(colour: RGB) -> Tones:
    brightness = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]
    if brightness < 0.2:
        coat = mix(colour, (0.32, 0.35, 0.46), 0.45)
        return Tones(coat, colour, mix(coat, (0.80, 0.83, 0.92), 0.50), mix(coat, WHITE, 0.30), AMBER, INK)
    if brightness > 0.85:
        return Tones(colour, (0.66, 0.68, 0.77), WHITE, (0.60, 0.62, 0.70), INK, WHITE)
    return Tones(colour, scale(colour, 0.60), mix(colour, CREAM, 0.65), scale(colour, 0.66), INK, WHITE)


# --- paths --------------------------------------------------------------------------------------


def _curve(x: float, y: float, *bends: tuple[float, float, float, float]) -> skia.Path:
    """A closed path with sharp corners: from (x, y), each bend (cx, cy, x, y) curves to (x, y), pulled by (cx, cy)."""
    builder = skia.PathBuilder()
    builder.moveTo(x, y)
    for bend in bends:
        builder.quadTo(*bend)
    builder.close()
    return builder.detach()


# --- motion -------------------------------------------------------------------------------------


def _loop(*keys: float) -> Motion:
    """A smooth closed curve through evenly spaced key values: _loop(0, 1) rises and falls once a cycle."""
    n = len(keys)

    def at(p):
        i, u = divmod(p * n % n, 1.0)
        a, b, c, d = (keys[(int(i) + k) % n] for k in (-1, 0, 1, 2))
        return b + 0.5 * u * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a)))

    return at


def _stride(x: float, step: float, duty: float, lift: float, offset: float, reach: float = 0.0) -> Path2D:
    """A foot that stays on the ground for `duty` of a cycle, moving back by `step`, then swings forward through
    the air; reach throws it further back and forward on its way."""

    def at(p):
        u = (p - offset) % 1.0
        if u < duty:
            return x + step * (0.5 - u / duty), 0.0
        v = (u - duty) / (1 - duty)
        return x - step * math.cos(math.pi * v) / 2 - reach * math.sin(2 * math.pi * v), -lift * math.sin(math.pi * v)

    return at


@dataclass(frozen=True)
class Build:
    """A four-legged body, standing: where its legs begin and how long and thick they are."""

    hip: float                             # x of the hind legs
    shoulder: float                        # x of the forelegs
    stand: float                           # height of both
    thigh: tuple[float, float, float]      # width of a hind leg at hip, hock, foot
    arm: tuple[float, float, float]        # width of a foreleg at shoulder, knee, foot
    foot: tuple[float, float]              # length and height of a paw or hoof


@dataclass(frozen=True)
class Gait:
    """How a four-legged body moves: the trunk as a whole, and each foot (far hind, far fore, near hind, near fore)."""

    cycles: float
    shift: Path2D
    pitch: Motion
    flex: Motion            # length of the trunk: above 1 extended, below 1 gathered
    feet: tuple[Path2D, ...]
    knees_forward: bool = False


def _gait(action: str, build: Build) -> Gait:
    hip, shoulder, stand = build.hip, build.shoulder, build.stand
    wave = lambda size, offset, rate=1.0: sway(size, 0.25 - offset * rate, rate)  # highest at p = offset
    if action == "walk":  # four beats, three feet on the ground
        duty, step = 0.62, 0.78 * stand
        feet = [_stride(x, step, duty, 0.20 * stand, offset)
                for x, offset in ((hip, 0.5), (shoulder, 0.75), (hip, 0.0), (shoulder, 0.25))]
        return Gait(PACE["walk"] * duty / step, lambda p: (0.0, wave(0.014, 0.05, 2)(p)), wave(1.5, 0.3, 2),
                    lambda p: 1.0, tuple(feet))
    if action in ("run", "fly"):  # a gallop: hind feet, extended flight, forefeet, gathered flight
        duty, step = 0.30, 0.66 * stand
        lift, reach = 0.42 * stand, 0.22 * stand
        feet = [_stride(x, step, duty, lift, offset, reach)
                for x, offset in ((hip, 0.10), (shoulder + 0.03, 0.58), (hip, 0.0), (shoulder + 0.03, 0.47))]
        bob = wave(0.035, 0.17, 2)
        return Gait(1.1 if action == "fly" else PACE["run"] * duty / step, lambda p: (0.0, bob(p) - 0.02),
                    wave(7, 0.66), lambda p: 1.0 + wave(0.07, 0.40)(p), tuple(feet))
    if action == "jump":  # crouch at 0, push off, tuck at 0.5, reach down; the renderer lifts the whole animal
        hind = _loop(0.0, -0.42, -0.55, -0.40, -0.20, 0.12, 0.20, 0.10), _loop(0, 0, -.10, -.28, -.38, -.30, -.12, 0)
        fore = _loop(0.0, 0.12, 0.22, 0.15, 0.20, 0.38, 0.34, 0.12), _loop(0, -.22, -.50, -.55, -.42, -.22, -.05, 0)
        feet = [lambda p, x=x, path=path: (x + path[0](p) * stand, path[1](p) * stand)
                for x, path in ((hip + 0.06, hind), (shoulder + 0.08, fore), (hip, hind), (shoulder, fore))]
        drop = _loop(0.26, 0.02, 0.0, 0.0, 0.0, 0.0, 0.02, 0.12)
        return Gait(1.0, lambda p: (0.0, drop(p) * stand), _loop(-4, -20, -18, -8, 2, 10, 12, 4),
                    _loop(0.95, 1.06, 1.07, 1.02, 0.98, 1.0, 1.02, 0.97), tuple(feet))
    # sit: the rump on the ground, forelegs straight
    pitch, flex = 50.0, 0.85
    turn = math.radians(pitch)
    drop = 0.70 * stand + hip * flex * math.sin(turn)
    rump, chest = hip * flex * math.cos(turn), shoulder * flex * math.cos(turn)
    spots = (rump + 0.28, chest + 0.08, rump + 0.23, chest + 0.02)
    return Gait(0.7, lambda p: (0.0, drop), lambda p: -pitch + sway(0.8)(p), lambda p: flex,
                tuple(lambda p, x=x: (x, 0.0) for x in spots), knees_forward=True)


def _trunk(rig: Rig, gait: Gait, build: Build) -> int:
    """The bone of the body; its joint is the middle of the back half-way between the hips and the shoulders."""
    rig.cycles = gait.cycles
    return rig.bone(0, 0.0, -build.stand, shift=gait.shift, swing=gait.pitch, stretch=lambda p: (gait.flex(p), 1.0))


def _leg(rig: Rig, gait: Gait, build: Build, number: int, colour: RGB, foot_colour: RGB) -> None:
    """One leg of the four, hung on the moving trunk: its foot follows the gait, hip and knee bend to reach it."""
    fore = number % 2 == 1
    root = build.shoulder if fore else build.hip
    w0, w1, w2 = build.arm if fore else build.thigh
    length, height = build.foot
    bend = 1.0 if fore or gait.knees_forward else -1.0
    bone = 0.54 * (build.stand - height)

    def joint(p):
        turn, (dx, dy) = math.radians(gait.pitch(p)), gait.shift(p)
        along = root * gait.flex(p)
        return dx + along * math.cos(turn), dy - build.stand + along * math.sin(turn)

    def angles(p):
        (jx, jy), (fx, fy) = joint(p), gait.feet[number](p)
        x, y = fx - jx, fy - height - jy
        distance = min(math.hypot(x, y), 1.999 * bone)
        towards = math.atan2(-x, y)
        half = math.acos(distance / (2 * bone))
        return math.degrees(towards - bend * half), math.degrees(towards + bend * half), min(55.0, -fy * 240)

    upper = rig.bone(0, 0.0, 0.0, shift=joint, swing=lambda p: angles(p)[0])
    lower = rig.bone(upper, 0.0, bone, swing=lambda p: angles(p)[1] - angles(p)[0])
    foot = rig.bone(lower, 0.0, bone, swing=lambda p: angles(p)[2] - angles(p)[1])
    back = 0.0 if fore else -0.1 * w0
    rig.shape(lower, limb(0, 0, 0, bone, w1, w2), colour, shade=0.45)
    rig.shape(foot, blob((-0.35 * length, -0.02), (0.1 * length, -0.04), (0.6 * length, 0.45 * height),
                         (0.58 * length, height), (-0.35 * length, height)), foot_colour, shade=0.5)
    rig.shape(upper, limb(back, 0, 0, bone, w0, w1), colour, shade=0.45)


def _chain(rig: Rig, parent: int, x: float, y: float, rest: float, lengths: tuple[float, ...], curl: float,
           swing: float, lag: float = 0.12) -> list[int]:
    """Bones one after the other (a tail, a lock of hair): the first points at `rest` degrees, each next one bends
    by `curl` more and swings a little later. Shapes on them run along +x."""
    bones = []
    for i, length in enumerate(lengths):
        wave = sway(swing, -lag * i)
        bones.append(rig.bone(parent, x, y, swing=lambda p, wave=wave, base=curl if i else rest: base + wave(p)))
        parent, x, y = bones[-1], length, 0.0
    return bones


def _wing(rig: Rig, parent: int, x: float, y: float, span: float, tilt: float, beat: float = 52.0) -> tuple[int, int]:
    """A wing of two segments seen from the side: paths point up (-y), the arm ends and the hand begins at a span.

    Beating turns it towards and away from the viewer, so it only gets shorter and longer; `tilt` shows the near
    wing lower than the far one, so that never both are seen edge on."""
    arm = lambda p: _seen(tilt + beat * math.cos(2 * math.pi * p))
    hand = lambda p: _seen(tilt + 1.15 * beat * math.cos(2 * math.pi * (p - 0.10)))
    return (rig.bone(parent, x, y, stretch=lambda p: (1.0, arm(p))),
            rig.bone(parent, x, y, shift=lambda p: (0.0, -span * arm(p)), stretch=lambda p: (1.0, hand(p))))


def _seen(degrees: float) -> float:
    """How much of a wing shows at an angle: never quite nothing, so that its bone's matrix can be inverted."""
    share = math.sin(math.radians(degrees))
    return math.copysign(max(abs(share), 0.06), share)


FEATHERED_ARM = _curve(0.18, 0.06, (0.26, -0.12, 0.18, -0.25), (0.0, -0.25, -0.20, -0.25),
                       (-0.36, -0.20, -0.26, -0.10), (-0.30, 0.02, -0.12, 0.07))
FEATHERED_HAND = _curve(0.18, 0.02, (0.18, -0.34, -0.14, -0.54), (-0.32, -0.50, -0.20, -0.36),
                        (-0.38, -0.36, -0.24, -0.21), (-0.42, -0.16, -0.20, 0.02))


def _eye(rig: Rig, head: int, x: float, y: float, radius: float, tones: Tones) -> None:
    """An eye that looks alive: it has a spark of light, and blinks."""
    blink = lambda p: (1.0, 0.12 if (p * 0.5 + 0.3) % 1.0 < 0.05 else 1.0)
    lid = rig.bone(head, x, y, stretch=blink)
    rig.shape(lid, ellipse(0, 0, 0.85 * radius, radius), tones.eye, shade=0.0)
    rig.shape(lid, ellipse(0.25 * radius, -0.3 * radius, 0.38 * radius, 0.42 * radius), tones.spark, shade=0.0)


def _big(p: float) -> tuple[float, float]:
    """The stretch of a pet's head: a big one is dearer."""
    return 1.12, 1.12


def _steady(gait: Gait, share: float, nod: Motion) -> Motion:
    """A neck that makes up for a share of the trunk's pitch, and nods."""
    return lambda p: -share * gait.pitch(p) + nod(p)


# --- dogs ---------------------------------------------------------------------------------------

DOG = Build(hip=-0.31, shoulder=0.27, stand=0.50, thigh=(0.26, 0.12, 0.09), arm=(0.17, 0.11, 0.09), foot=(0.15, 0.07))


def golden_retriever(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    tones, gait, rig = _tones(colour), _gait(action, DOG), Rig()
    feather = mix(colour, CREAM, 0.45)
    tuft = mix(colour, CREAM, 0.25)
    deep = scale(colour, 0.62)
    trunk = _trunk(rig, gait, DOG)
    _leg(rig, gait, DOG, 0, tones.far, tones.far)
    _leg(rig, gait, DOG, 1, tones.far, tones.far)

    rest = {"run": 192, "walk": 196, "jump": 196, "sit": 240}[action]
    first, second = _chain(rig, trunk, -0.38, -0.10, rest, (0.22, 0.3), 16, 12 if action != "sit" else 8)
    rig.shape(first, blob((-0.06, 0.05), (0.14, 0.06), (0.28, 0.04), (0.30, -0.08), (0.20, -0.11), (0.14, -0.17),
                          (0.08, -0.12), (-0.04, -0.10)), tuft, shade=0.2)
    rig.shape(second, blob((-0.08, 0.04), (0.12, 0.07), (0.34, 0.02), (0.26, -0.05), (0.25, -0.13), (0.15, -0.11),
                           (0.10, -0.19), (0.02, -0.13), (-0.08, -0.06)), feather, shade=0.2)
    rig.shape(first, limb(0, 0, 0.28, 0.01, 0.14, 0.04), colour, shade=0.2)

    rig.shape(trunk, blob((-0.36, 0.02), (-0.24, 0.12), (-0.16, 0.09), (-0.10, 0.18), (-0.01, 0.14), (0.06, 0.22),
                          (0.16, 0.17), (0.26, 0.24), (0.38, 0.10), (0.30, -0.05), (-0.2, -0.05)), feather, shade=0.6)
    rig.shape(trunk, blob((-0.43, -0.05), (-0.35, -0.20), (-0.10, -0.20), (0.14, -0.21), (0.34, -0.24), (0.43, -0.06),
                          (0.36, 0.13), (0.14, 0.15), (-0.14, 0.10), (-0.36, 0.09)), colour, shade=0.8)
    _leg(rig, gait, DOG, 2, colour, tones.light)
    _leg(rig, gait, DOG, 3, colour, tones.light)

    look = sway(6, 0.3, 0.5) if action == "sit" else sway(3, 0.3)
    neck = rig.bone(trunk, 0.32, -0.12, swing=_steady(gait, 0.75, sway(4, 0.1)))
    head = rig.bone(neck, 0.15, -0.25, swing=_steady(gait, 0.2, look), stretch=_big)
    far_ear = rig.bone(head, 0.03, -0.10, swing=sway(12, 0.6))
    rig.shape(far_ear, limb(0, 0, -0.02, 0.14, 0.10, 0.11), tones.far, shade=0.4)
    rig.shape(neck, blob((-0.14, 0.02), (-0.06, -0.18), (0.04, -0.32), (0.22, -0.28), (0.22, -0.10), (0.15, 0.16),
                         (0.02, 0.12)), colour, shade=0.6)
    rig.shape(neck, blob((0.08, -0.10), (0.22, -0.14), (0.24, 0.02), (0.19, 0.06), (0.17, 0.18), (0.09, 0.16),
                         (0.04, 0.26), (-0.02, 0.12)), feather, shade=0.5)
    rig.shape(neck, blob((-0.13, -0.06), (0.02, -0.10), (0.22, -0.19), (0.25, -0.08), (0.19, 0.06), (0.14, 0.24),
                         (0.04, 0.10), (-0.10, 0.06)), SCARF, shade=0.5)
    rig.shape(head, blob((0.08, 0.04), (0.24, 0.04), (0.27, 0.10), (0.18, 0.15), (0.06, 0.13)), deep, shade=0.3)
    tongue = rig.bone(head, 0.19, 0.08, swing=sway(14, 0.35))
    rig.shape(tongue, blob((-0.03, 0), (0.04, 0), (0.05, 0.10), (0.01, 0.14), (-0.03, 0.10)), ROSE, shade=0.3)
    rig.shape(head, blob((-0.15, 0.02), (-0.12, -0.13), (0.02, -0.17), (0.11, -0.09), (0.26, -0.06), (0.33, 0.0),
                         (0.28, 0.07), (0.10, 0.10), (-0.06, 0.13)), colour, shade=0.5)
    rig.shape(head, blob((0.12, 0.0), (0.25, -0.05), (0.33, 0.01), (0.28, 0.075), (0.12, 0.09)), tones.light, shade=0.3)
    rig.shape(head, ellipse(0.305, -0.03, 0.045, 0.038), INK, shade=0.2)
    _eye(rig, head, 0.08, -0.055, 0.038, tones)
    ear = rig.bone(head, -0.06, -0.10, swing=sway(16, 0.55))
    size = rng.uniform(0.95, 1.1)
    rig.shape(ear, blob((-0.06, -0.03), (0.04, -0.02), (0.06 * size, 0.12), (0.0, 0.24 * size), (-0.09, 0.18 * size),
                        (-0.10, 0.06)), deep, shade=0.5)
    return rig


def dog(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    tones, gait, rig = _tones(colour), _gait(action, DOG), Rig()
    collar = (0.88, 0.22, 0.22) if colour[0] < 0.8 or colour[1] > 0.4 else (0.15, 0.45, 0.85)
    trunk = _trunk(rig, gait, DOG)
    _leg(rig, gait, DOG, 0, tones.far, tones.far)
    _leg(rig, gait, DOG, 1, tones.far, tones.far)

    rest = {"run": 205, "walk": 232, "jump": 215, "sit": 245}[action]
    first, second = _chain(rig, trunk, -0.36, -0.10, rest, (0.17, 0.2), 22, 12 if action != "sit" else 22)
    rig.shape(second, limb(0, 0, 0.19, 0, 0.075, 0.05), tones.light, shade=0.3)
    rig.shape(first, limb(0, 0, 0.17, 0, 0.10, 0.075), tones.coat, shade=0.3)

    rig.shape(trunk, blob((-0.40, -0.06), (-0.33, -0.18), (-0.08, -0.16), (0.16, -0.19), (0.33, -0.20), (0.40, -0.04),
                          (0.32, 0.12), (0.12, 0.12), (-0.12, 0.04), (-0.34, 0.06)), tones.coat, shade=0.8)
    rig.shape(trunk, blob((0.38, -0.06), (0.34, 0.10), (0.14, 0.13), (-0.10, 0.05), (0.10, 0.05), (0.28, 0.0)),
              tones.light, shade=0.3)
    saddle = rng.uniform(0.12, 0.18)
    rig.shape(trunk, blob((-0.08 - saddle, -0.165), (-0.08, -0.165), (-0.06 + saddle, -0.175), (0.02, -0.05),
                          (-0.14, -0.04)), tones.mark, shade=0.4)
    _leg(rig, gait, DOG, 2, tones.coat, tones.light)
    _leg(rig, gait, DOG, 3, tones.coat, tones.light)

    look = sway(6, 0.3, 0.5) if action == "sit" else sway(3, 0.3)
    neck = rig.bone(trunk, 0.30, -0.10, swing=_steady(gait, 0.75, sway(4, 0.1)))
    head = rig.bone(neck, 0.15, -0.28, swing=_steady(gait, 0.2, look), stretch=_big)
    far_ear = rig.bone(head, 0.04, -0.12, swing=sway(10, 0.6))
    rig.shape(far_ear, limb(0, 0, 0.03, 0.10, 0.10, 0.07), tones.far, shade=0.4)
    rig.shape(neck, limb(0.0, 0.02, 0.13, -0.26, 0.27, 0.20), tones.coat, shade=0.4)
    rig.shape(neck, limb(0.01, -0.19, 0.19, -0.12, 0.06, 0.06), collar, shade=0.3)
    rig.shape(neck, ellipse(0.18, -0.08, 0.035, 0.035), AMBER, shade=0.3)
    rig.shape(head, blob((-0.14, 0.03), (-0.12, -0.12), (0.02, -0.17), (0.11, -0.10), (0.25, -0.06), (0.31, 0.01),
                         (0.26, 0.09), (0.08, 0.12), (-0.06, 0.12)), tones.coat, shade=0.5)
    rig.shape(head, blob((0.10, 0.02), (0.24, -0.05), (0.31, 0.01), (0.26, 0.09), (0.10, 0.11)), tones.light, shade=0.3)
    rig.shape(head, ellipse(0.29, -0.03, 0.042, 0.036), INK, shade=0.2)
    rig.shape(head, ellipse(0.07, -0.06, 0.07, 0.065), tones.mark, shade=0.2)
    _eye(rig, head, 0.08, -0.055, 0.038, tones)
    ear = rig.bone(head, -0.04, -0.13, swing=sway(14, 0.55))
    size = rng.uniform(0.95, 1.15)
    rig.shape(ear, blob((-0.05, -0.03), (0.03, -0.03), (0.05, 0.08), (0.02, 0.17 * size), (-0.07, 0.15 * size),
                        (-0.10, 0.04)), tones.mark, shade=0.4)
    return rig


# --- the cat ------------------------------------------------------------------------------------

CAT = Build(hip=-0.30, shoulder=0.25, stand=0.37, thigh=(0.23, 0.10, 0.08), arm=(0.14, 0.09, 0.08), foot=(0.13, 0.06))


def cat(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    tones, gait, rig = _tones(colour), _gait(action, CAT), Rig()
    trunk = _trunk(rig, gait, CAT)
    _leg(rig, gait, CAT, 0, tones.far, tones.far)
    _leg(rig, gait, CAT, 1, tones.far, tones.far)

    rest, curl = {"run": (200, 18), "walk": (232, 22), "jump": (208, 20), "sit": (238, 30)}[action]
    tail = _chain(rig, trunk, -0.35, -0.07, rest, (0.18, 0.18, 0.17, 0.15), curl, 7, lag=0.14)
    for bone, width, paint in zip(tail[::-1], (0.085, 0.09, 0.095, 0.10),
                                  (tones.mark, tones.coat, tones.coat, tones.coat)):
        rig.shape(bone, limb(0, 0, 0.17, 0, width, width), paint, shade=0.2)

    rig.shape(trunk, blob((-0.39, -0.03), (-0.33, -0.15), (-0.10, -0.14), (0.12, -0.13), (0.30, -0.16), (0.36, -0.03),
                          (0.28, 0.08), (0.08, 0.08), (-0.14, 0.05), (-0.34, 0.06)), tones.coat, shade=0.8)
    rig.shape(trunk, blob((0.34, -0.02), (0.28, 0.08), (0.08, 0.085), (-0.14, 0.055), (0.08, 0.03), (0.24, -0.01)),
              tones.light, shade=0.2)
    for x in (-0.14, 0.0, 0.14):
        rig.shape(trunk, blob((x - 0.035, -0.15), (x + 0.03, -0.15), (x + 0.01, -0.04), (x - 0.02, -0.01)),
                  tones.mark, shade=0.2)
    _leg(rig, gait, CAT, 2, tones.coat, tones.light)
    _leg(rig, gait, CAT, 3, tones.coat, tones.light)

    look = sway(7, 0.3, 0.5) if action == "sit" else sway(3, 0.3)
    neck = rig.bone(trunk, 0.28, -0.08, swing=_steady(gait, 0.8, sway(3, 0.1)))
    head = rig.bone(neck, 0.14, -0.22, swing=_steady(gait, 0.2, look), stretch=lambda p: (1.42, 1.36))
    size = rng.uniform(0.95, 1.12)
    rig.shape(neck, limb(0.0, 0.02, 0.12, -0.17, 0.20, 0.18), tones.coat, shade=0.3)
    far_ear = rig.bone(head, 0.11, -0.11, swing=sway(4, 0.6))
    rig.shape(far_ear, polygon((-0.07, 0.02), (0.05, -0.21 * size), (0.08, 0.05)), tones.far, shade=0.3)
    rig.shape(head, blob((-0.18, 0.02), (-0.15, -0.12), (0.0, -0.17), (0.15, -0.12), (0.20, 0.01), (0.16, 0.10),
                         (0.0, 0.15), (-0.14, 0.11)), tones.coat, shade=0.6)
    ear = rig.bone(head, -0.07, -0.10, swing=sway(5, 0.5))
    rig.shape(ear, polygon((-0.09, 0.04), (-0.08, -0.23 * size), (0.09, -0.02)), tones.coat, shade=0.3)
    rig.shape(ear, polygon((-0.06, 0.01), (-0.06, -0.15 * size), (0.045, -0.02)), ROSE, shade=0.2)
    rig.shape(head, ellipse(0.12, 0.07, 0.10, 0.065), tones.light, shade=0.3)
    rig.shape(head, ellipse(0.16, 0.03, 0.03, 0.022), ROSE, shade=0.2)
    _eye(rig, head, 0.07, -0.03, 0.048, tones)
    return rig


# --- the horse and the unicorn -------------------------------------------------------------------

HORSE = Build(hip=-0.32, shoulder=0.27, stand=0.54, thigh=(0.24, 0.10, 0.06), arm=(0.16, 0.09, 0.06),
              foot=(0.09, 0.07))


def horse(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    tones = _tones(colour)
    hair = tones.mark if sum(colour) > 2.4 or sum(colour) < 0.6 else scale(colour, 0.38)
    return _equine(tones, action, (hair, hair, mix(hair, WHITE, 0.10)), hoof=(0.20, 0.16, 0.15),
                   blaze=rng.uniform(0.7, 1.0))[0]


def unicorn(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    tones = _tones(colour)
    pastel = ((0.98, 0.58, 0.78), (0.70, 0.60, 0.98), (0.48, 0.85, 0.93))
    rig, trunk, head = _equine(tones, action, pastel, hoof=(0.96, 0.78, 0.35), blaze=0.0)
    tall = rng.uniform(0.30, 0.34)
    rig.shape(head, polygon((0.0, -0.04), (0.10 + 0.5 * tall, -tall), (0.10, 0.0)), (1.0, 0.82, 0.30), emissive=True,
              shade=0.3)
    rig.shape(head, polygon((0.06, -0.08), (0.12, -0.10), (0.13, -0.07), (0.08, -0.04)), (1.0, 0.95, 0.70),
              emissive=True, shade=0.0)
    if action == "fly":
        arm, hand = _wing(rig, trunk, 0.06, -0.14, 0.24, 6, 56)
        rig.shape(hand, FEATHERED_HAND, mix(pastel[1], WHITE, 0.40), shade=0.3)
        rig.shape(arm, FEATHERED_ARM, mix(pastel[1], WHITE, 0.50), shade=0.3)
    return rig


def _equine(tones: Tones, action: str, hair: tuple[RGB, RGB, RGB], hoof: RGB, blaze: float) -> tuple[Rig, int, int]:
    """A horse, its trunk's bone and its head's."""
    gait, rig = _gait(action, HORSE), Rig()
    trunk = _trunk(rig, gait, HORSE)
    if action == "fly":
        arm, hand = _wing(rig, trunk, 0.12, -0.16, 0.24, 36, 50)
        rig.shape(hand, FEATHERED_HAND, mix(hair[1], (0.6, 0.6, 0.7), 0.5), shade=0.3)
        rig.shape(arm, FEATHERED_ARM, mix(hair[1], (0.7, 0.7, 0.8), 0.6), shade=0.3)
    _leg(rig, gait, HORSE, 0, tones.far, scale(hoof, 0.7))
    _leg(rig, gait, HORSE, 1, tones.far, scale(hoof, 0.7))

    rest = {"run": 185, "walk": 112, "jump": 170, "fly": 180}[action]
    curl = -22 if action == "walk" else -10
    tail = _chain(rig, trunk, -0.40, -0.14, rest + 30, (0.16, 0.2, 0.2), curl, 9, lag=0.16)
    rig.shape(tail[2], blob((-0.06, -0.06), (0.10, -0.07), (0.28, 0.02), (0.12, 0.07), (-0.06, 0.06)), hair[2],
              shade=0.3)
    rig.shape(tail[1], blob((-0.06, -0.06), (0.10, -0.08), (0.24, -0.06), (0.24, 0.05), (0.10, 0.09), (-0.05, 0.06)),
              hair[1], shade=0.3)
    rig.shape(tail[0], blob((-0.05, -0.04), (0.08, -0.06), (0.20, -0.06), (0.20, 0.05), (0.08, 0.05), (-0.05, 0.03)),
              hair[0], shade=0.3)

    rig.shape(trunk, blob((-0.43, -0.06), (-0.36, -0.20), (-0.16, -0.19), (0.04, -0.16), (0.24, -0.20), (0.38, -0.16),
                          (0.40, 0.0), (0.28, 0.12), (0.06, 0.14), (-0.16, 0.10), (-0.36, 0.08)), tones.coat, shade=0.8)
    rig.shape(trunk, blob((0.24, 0.13), (0.06, 0.145), (-0.16, 0.105), (0.06, 0.085)), tones.light, shade=0.2)
    _leg(rig, gait, HORSE, 2, tones.coat, hoof)
    _leg(rig, gait, HORSE, 3, tones.coat, hoof)

    neck = rig.bone(trunk, 0.29, -0.08, swing=_steady(gait, 0.5, sway(4, 0.1)))
    head = rig.bone(neck, 0.25, -0.40, swing=_steady(gait, 0.3, sway(4, 0.3)))
    for y, offset, paint in ((-0.14, 0.5, hair[2]), (-0.26, 0.6, hair[1]), (-0.38, 0.7, hair[0])):
        lock = rig.bone(neck, 0.02 - 0.5 * (y + 0.14), y, swing=sway(13, offset))
        rig.shape(lock, blob((0.06, -0.08), (-0.08, -0.08), (-0.22, 0.0), (-0.24, 0.10), (-0.12, 0.08), (0.05, 0.08)),
                  paint, shade=0.3)
    rig.shape(head, polygon((0.02, -0.04), (0.06, -0.16), (0.10, -0.02)), tones.far, shade=0.3)
    rig.shape(neck, blob((-0.16, 0.04), (-0.04, -0.14), (0.10, -0.36), (0.22, -0.46), (0.32, -0.36), (0.24, -0.18),
                         (0.14, 0.04), (0.04, 0.14)), tones.coat, shade=0.6)
    rig.shape(neck, blob((0.03, -0.18), (0.08, -0.36), (0.20, -0.50), (0.24, -0.42), (0.14, -0.30), (0.10, -0.12),
                         (0.0, 0.0), (-0.06, -0.04)), hair[0], shade=0.3)
    rig.shape(head, blob((-0.08, -0.02), (0.0, -0.09), (0.11, -0.06), (0.24, 0.08), (0.30, 0.17), (0.25, 0.24),
                         (0.16, 0.20), (0.06, 0.13), (-0.05, 0.12)), tones.coat, shade=0.5)
    rig.shape(head, blob((0.22, 0.08), (0.30, 0.17), (0.25, 0.24), (0.17, 0.20)), tones.light, shade=0.3)
    if blaze:
        rig.shape(head, limb(0.12, -0.04, 0.22, 0.07, 0.04 * blaze, 0.03), tones.light, shade=0.0)
    rig.shape(head, ellipse(0.265, 0.17, 0.018, 0.018), tones.far, shade=0.0)
    _eye(rig, head, 0.09, 0.02, 0.034, tones)
    rig.shape(head, polygon((-0.04, -0.04), (-0.02, -0.18), (0.05, -0.05)), tones.coat, shade=0.3)
    forelock = rig.bone(head, 0.02, -0.08, swing=sway(8, 0.6))
    rig.shape(forelock, blob((-0.04, -0.03), (0.06, -0.01), (0.09, 0.09), (0.02, 0.05)), hair[1], shade=0.2)
    return rig, trunk, head


# --- the dragon ---------------------------------------------------------------------------------

DRAGON = Build(hip=-0.24, shoulder=0.18, stand=0.40, thigh=(0.24, 0.12, 0.09), arm=(0.16, 0.10, 0.08),
               foot=(0.15, 0.06))


def dragon(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    tones, rig = _tones(colour), Rig()
    gait = _hover() if action == "fly" else _gait(action, DRAGON)
    belly = mix(tones.light, AMBER, 0.45)
    horn = (0.98, 0.92, 0.72)
    skin = mix(tones.coat, (1.0, 0.62, 0.22) if colour[0] < 0.6 else (0.42, 0.12, 0.38), 0.72)
    near_tilt, far_tilt, beat = (8, 38, 54) if action == "fly" else (52, 66, 10)
    trunk = _trunk(rig, gait, DRAGON)
    arm_path = _curve(0.10, 0.06, (0.16, -0.16, 0.12, -0.34), (-0.05, -0.33, -0.24, -0.34),
                      (-0.16, -0.22, -0.32, -0.10), (-0.18, -0.08, -0.14, 0.06))
    hand_path = _curve(0.12, 0.02, (0.14, -0.28, -0.08, -0.52), (-0.14, -0.38, -0.32, -0.40),
                       (-0.28, -0.26, -0.48, -0.16), (-0.30, -0.12, -0.24, 0.02))
    fingers = polygon((0.11, 0.0), (-0.29, -0.36), (0.07, -0.02), (-0.42, -0.14), (0.03, 0.02))

    arm, hand = _wing(rig, trunk, 0.10, -0.12, 0.33, far_tilt, beat)
    rig.shape(hand, hand_path, scale(skin, 0.65), shade=0.3)
    rig.shape(arm, arm_path, scale(skin, 0.65), shade=0.3)
    _leg(rig, gait, DRAGON, 0, tones.far, tones.far)
    _leg(rig, gait, DRAGON, 1, tones.far, tones.far)

    tail = _chain(rig, trunk, -0.30, -0.02, 160, (0.24, 0.22, 0.2), 20, 8, lag=0.16)
    rig.shape(tail[2], polygon((0.14, 0.0), (0.18, -0.11), (0.36, 0.0), (0.18, 0.11)), skin, shade=0.3)
    rig.shape(tail[2], limb(0, 0, 0.2, 0, 0.08, 0.04), tones.coat, shade=0.2)
    rig.shape(tail[1], polygon((0.02, 0.02), (0.10, 0.12), (0.17, 0.02)), skin, shade=0.2)
    rig.shape(tail[1], limb(0, 0, 0.22, 0, 0.14, 0.08), tones.coat, shade=0.2)
    rig.shape(tail[0], limb(0, 0, 0.24, 0, 0.22, 0.14), tones.coat, shade=0.2)

    rig.shape(trunk, polygon((-0.32, -0.10), (-0.30, -0.24), (-0.18, -0.14), (-0.13, -0.26), (-0.02, -0.15),
                             (0.02, -0.26), (0.14, -0.13)), skin, shade=0.2)
    rig.shape(trunk, blob((-0.36, -0.03), (-0.28, -0.15), (-0.06, -0.17), (0.16, -0.16), (0.28, -0.08), (0.26, 0.08),
                          (0.10, 0.14), (-0.14, 0.11), (-0.32, 0.08)), tones.coat, shade=0.8)
    rig.shape(trunk, blob((0.30, -0.02), (0.26, 0.09), (0.10, 0.145), (-0.14, 0.115), (-0.02, 0.05), (0.18, 0.02)),
              belly, shade=0.3)
    _leg(rig, gait, DRAGON, 2, tones.coat, tones.mark)
    _leg(rig, gait, DRAGON, 3, tones.coat, tones.mark)

    neck = rig.bone(trunk, 0.20, -0.06, swing=_steady(gait, 0.5, sway(5, 0.1)))
    head = rig.bone(neck, 0.28, -0.34, swing=_steady(gait, 0.5, sway(5, 0.4)))
    rig.shape(neck, polygon((-0.04, -0.14), (-0.05, -0.28), (0.06, -0.24), (0.09, -0.40), (0.18, -0.30)), skin,
              shade=0.2)
    rig.shape(neck, blob((-0.12, 0.02), (0.0, -0.16), (0.13, -0.30), (0.26, -0.42), (0.34, -0.32), (0.22, -0.16),
                         (0.14, 0.02), (0.04, 0.12)), tones.coat, shade=0.5)
    rig.shape(neck, blob((0.34, -0.30), (0.22, -0.15), (0.145, 0.02), (0.06, 0.11), (0.10, -0.06), (0.18, -0.20)),
              belly, shade=0.2)
    flame = rig.bone(head, 0.28, 0.08, stretch=_flicker())
    rig.shape(flame, blob((0.0, -0.02), (0.12, -0.08), (0.34, 0.02), (0.14, 0.08), (0.0, 0.03)), (1.0, 0.50, 0.12),
              emissive=True, shade=0.2)
    rig.shape(flame, blob((0.0, -0.01), (0.08, -0.04), (0.20, 0.01), (0.08, 0.04)), (1.0, 0.90, 0.40), emissive=True,
              shade=0.0)
    rig.shape(head, blob((-0.10, 0.04), (-0.08, -0.10), (0.06, -0.12), (0.16, -0.04), (0.28, -0.03), (0.30, 0.05),
                         (0.14, 0.12), (-0.02, 0.12)), tones.coat, shade=0.5)
    rig.shape(head, polygon((-0.06, -0.06), (-0.22, -0.20), (0.02, -0.11)), horn, shade=0.3)
    rig.shape(head, ellipse(0.25, 0.0, 0.018, 0.014), tones.far, shade=0.0)
    _eye(rig, head, 0.08, -0.03, 0.042, Tones(**{**vars(tones), "eye": AMBER, "spark": INK}))

    arm, hand = _wing(rig, trunk, 0.04, -0.10, 0.33, near_tilt, beat)
    rig.shape(hand, hand_path, skin, shade=0.4)
    rig.shape(arm, arm_path, skin, shade=0.4)
    rig.shape(hand, fingers, scale(skin, 0.8), shade=0.0)
    rig.shape(arm, limb(0.08, 0.02, 0.11, -0.33, 0.10, 0.06), tones.coat, shade=0.3)
    rig.shape(hand, limb(0.11, 0.0, 0.0, -0.42, 0.06, 0.03), tones.coat, shade=0.3)
    return rig


def _hover() -> Gait:
    """In the air: the body rises with each beat, the legs hang back."""
    bob = sway(0.045, 0.30)
    feet = ((-0.42, -0.24), (0.06, -0.24), (-0.46, -0.22), (0.02, -0.22))
    return Gait(1.4, lambda p: (0.0, bob(p) - 0.20), lambda p: -6 + sway(3, 0.1)(p), lambda p: 1.0,
                tuple(lambda p, x=x, y=y: (x + sway(0.03, x)(p), y + bob(p)) for x, y in feet))


def _flicker() -> Path2D:
    return lambda p: (0.8 + sway(0.2, 0.0, 3)(p) + sway(0.1, 0.2, 2)(p), 0.9 + sway(0.15, 0.4, 3)(p))


# --- birds --------------------------------------------------------------------------------------


def bird(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    tones, rig = _tones(colour), Rig(cycles=2.2)
    body = rig.bone(0, 0.0, -0.45, shift=lambda p: (0.0, sway(0.05, 0.30)(p)), swing=sway(4, 0.1))
    arm, hand = _wing(rig, body, 0.08, -0.06, 0.24, 36)
    rig.shape(hand, FEATHERED_HAND, tones.far, shade=0.2)
    rig.shape(arm, FEATHERED_ARM, tones.far, shade=0.2)
    tail = rig.bone(body, -0.30, 0.0, swing=sway(10, 0.5))
    rig.shape(tail, polygon((0.06, -0.09), (-0.34, -0.13), (-0.28, -0.02), (-0.36, 0.09), (0.06, 0.08)), tones.mark,
              shade=0.4)
    rig.shape(body, blob((-0.36, 0.0), (-0.16, -0.15), (0.14, -0.19), (0.34, -0.06), (0.26, 0.14), (0.02, 0.20),
                         (-0.20, 0.12)), tones.coat, shade=0.7)
    rig.shape(body, blob((0.36, 0.02), (0.26, 0.15), (0.02, 0.205), (-0.20, 0.125), (0.02, 0.09), (0.24, 0.0)),
              tones.light, shade=0.3)
    head = rig.bone(body, 0.30, -0.14, swing=sway(-4, 0.1))
    rig.shape(head, polygon((0.10, -0.06), (0.30, 0.03), (0.10, 0.08)), (0.98, 0.62, 0.15), shade=0.3)
    size = rng.uniform(0.165, 0.18)
    rig.shape(head, ellipse(0.0, 0.0, size, size), tones.coat, shade=0.6)
    rig.shape(head, ellipse(0.06, 0.07, 0.09, 0.07), tones.light, shade=0.3)
    _eye(rig, head, 0.07, -0.03, 0.05, tones)
    arm, hand = _wing(rig, body, 0.0, -0.03, 0.24, -4)
    rig.shape(hand, FEATHERED_HAND, tones.mark, shade=0.3)
    rig.shape(arm, FEATHERED_ARM, mix(tones.coat, tones.mark, 0.5), shade=0.4)
    return rig


def seagull(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    """Soaring, with a wing to either side of its body: the spread M by which everybody knows a gull, even at a few
    pixels, and which looks alike whichever way it goes."""
    tones, rig = _tones(colour), Rig(cycles=1.3)
    grey, tip, beak = (0.62, 0.66, 0.74), (0.13, 0.14, 0.17), (1.0, 0.70, 0.10)
    body = rig.bone(0, 0.0, -0.42, shift=lambda p: (0.0, sway(0.05, 0.30)(p)), swing=sway(3, 0.1))
    for side, dim in ((-1, 0.85), (1, 1.0)):                      # paths point to the right
        arm = rig.bone(body, 0.03 * side, -0.05, swing=lambda p, side=side: side * sway(6, 0.30)(p))
        hand = rig.bone(arm, 0.25 * side, -0.19, swing=lambda p, side=side: side * sway(8, 0.18)(p))
        out = lambda *points, side=side: [(side * x, y, *(v * (1 if k % 2 else side) for k, v in enumerate(rest)))
                                          for x, y, *rest in points]
        wing = out((-0.05, 0.06), (0.06, -0.15, 0.24, -0.25), (0.36, -0.20, 0.27, -0.08), (0.17, 0.0, 0.10, 0.09))
        far = out((-0.04, -0.06), (0.13, -0.13, 0.26, -0.05), (0.34, 0.02, 0.42, 0.15), (0.22, 0.10, -0.02, 0.11))
        end = out((0.24, -0.07), (0.34, 0.02, 0.44, 0.17), (0.30, 0.12, 0.17, 0.11))
        rig.shape(hand, _curve(*far[0], *far[1:]), scale(grey, dim), shade=0.3)
        rig.shape(hand, _curve(*end[0], *end[1:]), tip, shade=0.0)
        rig.shape(arm, _curve(*wing[0], *wing[1:]), scale(mix(grey, WHITE, 0.25), dim), shade=0.3)
    rig.shape(body, polygon((-0.16, -0.05), (-0.34, -0.06), (-0.32, 0.06), (-0.16, 0.07)), tones.far, shade=0.3)
    rig.shape(body, blob((-0.26, 0.0), (-0.10, -0.11), (0.12, -0.13), (0.24, -0.05), (0.20, 0.08), (0.02, 0.14),
                         (-0.15, 0.10)), tones.coat, shade=0.7)
    head = rig.bone(body, 0.22, -0.10, swing=sway(-3, 0.1))
    rig.shape(head, blob((0.06, -0.03), (0.18, 0.0), (0.23, 0.06), (0.16, 0.06), (0.06, 0.06)), beak, shade=0.2)
    rig.shape(head, ellipse(0.0, 0.0, 0.115, 0.11), tones.light, shade=0.4)
    _eye(rig, head, 0.045, -0.02, 0.034 * rng.uniform(0.95, 1.1), tones)
    return rig


# --- the butterfly and the fish -----------------------------------------------------------------


def butterfly(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    tones, rig = _tones(colour), Rig(cycles=2.4)
    edge = mix(colour, INK, 0.78) if sum(colour) > 0.6 else (0.30, 0.36, 0.62)
    spot = mix(tones.light, WHITE, 0.5)
    body = rig.bone(0, 0.0, -0.48, shift=lambda p: (0.0, sway(0.06, 0.30)(p)), swing=lambda p: 22 + sway(5, 0.2)(p))
    upper = ((0.0, -0.06), (0.14, -0.34), (0.40, -0.50), (0.60, -0.42), (0.56, -0.14), (0.36, 0.06), (0.10, 0.06))
    lower = ((0.0, 0.0), (0.22, -0.02), (0.42, 0.10), (0.40, 0.32), (0.24, 0.44), (0.12, 0.36), (0.02, 0.16))
    for side, dim in ((-1, 0.80), (1, 1.0)):
        beat = lambda p, side=side: (side * (0.70 + 0.30 * math.cos(2 * math.pi * p)), 1.0)
        wing = rig.bone(body, 0.02 * side, 0.0, stretch=beat)
        for points, (cx, cy) in ((lower, (0.20, 0.18)), (upper, (0.28, -0.20))):
            inner = [(cx + 0.74 * (x - cx), cy + 0.74 * (y - cy)) for x, y in points]
            rig.shape(wing, blob(*points), scale(edge, dim), shade=0.2)
            rig.shape(wing, blob(*inner), scale(tones.coat, dim), shade=0.7)
        rig.shape(wing, ellipse(0.42, -0.28, 0.07 * rng.uniform(0.9, 1.2), 0.06), scale(spot, dim), shade=0.0)
        rig.shape(wing, ellipse(0.27, 0.24, 0.055, 0.06), scale(spot, dim), shade=0.0)
    for x in (-0.10, 0.10):
        rig.shape(body, limb(0.0, -0.20, x, -0.40, 0.025, 0.035), INK, shade=0.0)
    rig.shape(body, limb(0.0, -0.16, 0.0, 0.28, 0.12, 0.06), mix(edge, INK, 0.3), shade=0.4)
    rig.shape(body, ellipse(0.0, -0.21, 0.075, 0.075), mix(edge, INK, 0.2), shade=0.4)
    return rig


def fish(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    tones, rig = _tones(colour), Rig(cycles=1.6)
    fin = mix(tones.coat, AMBER, 0.45) if sum(colour) < 2.4 else (0.98, 0.70, 0.45)
    stripe = mix(tones.light, WHITE, 0.5) if sum(colour) < 2.4 else (0.98, 0.55, 0.25)
    front = rig.bone(0, 0.12, -0.5, shift=lambda p: (0.0, sway(0.02, 0.3)(p)), swing=sway(4, 0.0))
    middle = rig.bone(front, -0.12, 0.0, swing=sway(7, -0.12))
    back = rig.bone(middle, -0.24, 0.0, swing=sway(12, -0.24))
    tail = rig.bone(back, -0.20, 0.0, swing=sway(20, -0.36), stretch=lambda p: (0.9 + sway(0.14, -0.1)(p), 1.0))

    rig.shape(tail, blob((0.06, 0.0), (-0.12, -0.22), (-0.28, -0.30), (-0.22, 0.0), (-0.28, 0.30), (-0.12, 0.22)), fin,
              shade=0.5)
    rig.shape(middle, blob((0.16, -0.20), (0.06, -0.42), (-0.16, -0.40), (-0.24, -0.16)), fin, shade=0.4)
    rig.shape(middle, blob((0.06, 0.20), (-0.02, 0.38), (-0.18, 0.34), (-0.20, 0.14)), fin, shade=0.4)
    rig.shape(back, blob((0.10, -0.20), (-0.10, -0.11), (-0.24, -0.07), (-0.24, 0.07), (-0.10, 0.11), (0.10, 0.20)),
              tones.coat, shade=0.5)
    rig.shape(back, blob((0.03, -0.17), (-0.06, -0.13), (-0.09, 0.0), (-0.06, 0.13), (0.03, 0.17)), stripe, shade=0.3)
    rig.shape(middle, blob((0.20, -0.28), (0.0, -0.28), (-0.20, -0.19), (-0.27, 0.0), (-0.20, 0.19), (0.0, 0.27),
                           (0.20, 0.27)), tones.coat, shade=0.7)
    rig.shape(front, blob((-0.16, -0.285), (0.08, -0.28), (0.28, -0.17), (0.40, 0.0), (0.30, 0.15), (0.10, 0.25),
                          (-0.16, 0.275), (-0.30, 0.0)), tones.coat, shade=0.7)
    rig.shape(front, blob((0.38, 0.05), (0.30, 0.152), (0.10, 0.252), (-0.06, 0.27), (0.10, 0.17)),
              mix(tones.coat, tones.light, 0.45), shade=0.2)
    rig.shape(front, blob((-0.08, -0.29), (0.05, -0.285), (0.09, -0.12), (0.09, 0.12), (0.04, 0.262), (-0.10, 0.272),
                          (-0.04, 0.12), (-0.04, -0.12)), stripe, shade=0.3)
    pectoral = rig.bone(front, -0.06, 0.09, swing=sway(24, 0.3))
    rig.shape(pectoral, blob((0.03, -0.05), (-0.14, -0.04), (-0.22, 0.10), (-0.06, 0.10), (0.03, 0.05)), fin, shade=0.4)
    rig.shape(front, ellipse(0.21, -0.06, 0.085, 0.09), WHITE, shade=0.1)
    rig.shape(front, ellipse(0.23, -0.055, 0.055, 0.06), INK, shade=0.0)
    rig.shape(front, ellipse(0.245, -0.08, 0.02, 0.022), WHITE, shade=0.0)
    rig.shape(front, limb(0.29, 0.085, 0.36, 0.075, 0.022, 0.022), tones.far, shade=0.0)
    return rig


BUILDERS: dict[str, Callable[[RGB, str, np.random.Generator], Rig]] = {
    "golden retriever": golden_retriever, "dog": dog, "cat": cat, "horse": horse, "unicorn": unicorn,
    "dragon": dragon, "bird": bird, "seagull": seagull, "butterfly": butterfly, "fish": fish,
}
"""(colour, action, rng) -> the rig, for every action `scene.KINDS` lists; rng varies small things only."""
