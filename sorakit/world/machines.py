"""Machines and a planet: wheels that roll, sails that flap, flames that flicker and a globe that turns."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import skia

from sorakit.world.paint import PACE, RGB, Rig, blob, box, ellipse, limb, mix, polygon, rgb, scale, sway
from sorakit.world.people import HAIRS, INK, SKINS, WHITE, choose, is_dark, trim

GLASS, TYRE, STEEL, WOOD = rgb("#8fc4dc"), rgb("#26252b"), rgb("#c3c9d2"), rgb("#9a6638")
LAMP, TAIL, FLAME, EMBER = rgb("#fff3b8"), rgb("#ff4a3d"), rgb("#fff0a0"), rgb("#ff9a2e")


def tint(colour: RGB) -> RGB:
    """A lighter relative of the paint, for stripes and sails; of white, a light grey."""
    return scale(colour, 0.92) if sum(colour) > 2.6 else mix(colour, WHITE, 0.55)


def union(*paths: skia.Path) -> skia.Path:
    """Several pieces as one shape."""
    return _combine(skia.PathOp.kUnion_PathOp, *paths)


def minus(*paths: skia.Path) -> skia.Path:
    """The first piece with the others cut out."""
    return _combine(skia.PathOp.kDifference_PathOp, *paths)


def common(*paths: skia.Path) -> skia.Path:
    """Only what all pieces share."""
    return _combine(skia.PathOp.kIntersect_PathOp, *paths)


def _combine(operation: skia.PathOp, first: skia.Path, *others: skia.Path) -> skia.Path:
    for other in others:
        first = skia.Op(first, other, operation)
    return first


def ring(radius: float, width: float) -> skia.Path:
    """A wheel's rim."""
    return minus(ellipse(0, 0, radius, radius), ellipse(0, 0, radius - width, radius - width))


def bar(x0: float, y0: float, x1: float, y1: float, width: float) -> skia.Path:
    """A straight rod with round ends."""
    r, length = width / 2, math.hypot(x1 - x0, y1 - y0)
    x, y = -(y1 - y0) / length * r, (x1 - x0) / length * r
    side = polygon((x0 + x, y0 + y), (x1 + x, y1 + y), (x1 - x, y1 - y), (x0 - x, y0 - y))
    return union(side, ellipse(x0, y0, r, r), ellipse(x1, y1, r, r))


def star(spokes: int, radius: float, width: float) -> skia.Path:
    """Spokes around a hub."""
    angles = [2 * math.pi * i / spokes for i in range(spokes)]
    return union(ellipse(0, 0, 1.6 * width, 1.6 * width),
                 *(bar(0, 0, radius * math.cos(a), radius * math.sin(a), width) for a in angles))


def roll(turns: float = 1.0) -> Callable[[float], float]:
    """The angle of a wheel that rolls to the right."""
    return lambda p: 360 * turns * p


def flicker(p: float) -> tuple[float, float]:
    """The size of a flame."""
    return (1 + 0.08 * math.sin(2 * math.pi * (5 * p + 0.3)),
            1 + 0.16 * math.sin(2 * math.pi * 3 * p) + 0.10 * math.sin(2 * math.pi * 7 * p))


def car(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    """A sleek coupe with its driver, bright turning rims and lights at both ends."""
    radius = 0.215
    rig = Rig(cycles=PACE["drive"] / (2 * math.pi * radius))
    shape = rig.shape
    line, rim = trim(colour), rgb("#dfe5ec")
    body = rig.bone(0, 0, -0.3, swing=sway(0.5, rate=2), shift=lambda p: (0, 0.010 * math.sin(4 * math.pi * p)))

    shape(body, box(-1.05, -0.02, 1.08, 0.18, 0.06), TYRE, shade=0)
    shape(body, blob((-0.95, -0.27), (-0.6, -0.55), (-0.25, -0.68), (0.15, -0.68), (0.45, -0.52), (0.72, -0.27),
                     (0.0, -0.2)), scale(colour, 0.9) if not is_dark(colour) else mix(colour, WHITE, 0.1))
    shape(body, blob((-0.76, -0.28), (-0.52, -0.5), (-0.22, -0.61), (-0.1, -0.62), (-0.1, -0.27), (-0.4, -0.26)),
          scale(GLASS, 0.55), shade=0.8)
    shape(body, blob((-0.03, -0.62), (0.14, -0.61), (0.38, -0.48), (0.6, -0.28), (0.3, -0.26), (-0.03, -0.27)),
          scale(GLASS, 0.62), shade=0.8)
    shape(body, ellipse(0.1, -0.44, 0.08, 0.095), scale(choose(rng, SKINS), 0.85), shade=0.4)
    shape(body, minus(ellipse(0.09, -0.45, 0.09, 0.105), ellipse(0.14, -0.41, 0.095, 0.105)), choose(rng, HAIRS),
          shade=0)
    shape(body, common(ellipse(0.07, -0.27, 0.13, 0.11), box(-1, -1, 1, -0.27)), scale(GLASS, 0.3), shade=0)
    shape(body, polygon((0.3, -0.515), (0.37, -0.48), (0.3, -0.3), (0.2, -0.3)), mix(GLASS, WHITE, 0.5), shade=0)
    shape(body, polygon((-0.44, -0.52), (-0.37, -0.55), (-0.47, -0.3), (-0.54, -0.3)), mix(GLASS, WHITE, 0.4), shade=0)
    shape(body, blob((-1.16, -0.2), (-1.08, -0.31), (-0.7, -0.33), (0.0, -0.31), (0.6, -0.31), (1.0, -0.24),
                     (1.19, -0.1), (1.2, 0.06), (1.1, 0.14), (0.0, 0.15), (-1.08, 0.14), (-1.18, 0.02)), colour)
    shape(body, blob((0.94, -0.2), (1.14, -0.17), (1.2, -0.04), (0.98, -0.08)), scale(colour, 0.5), shade=0)
    shape(body, blob((-1.08, -0.24), (-0.5, -0.285), (0.5, -0.275), (0.98, -0.2), (0.4, -0.235), (-0.5, -0.24)),
          mix(colour, WHITE, 0.4), shade=0)
    shape(body, bar(-0.45, 0.07, 0.42, 0.07, 0.05), line, shade=0)
    shape(body, bar(-0.06, -0.26, -0.03, 0.06, 0.012), line, shade=0)
    shape(body, bar(-0.24, -0.15, -0.13, -0.155, 0.025), line, shade=0)
    shape(body, blob((-1.2, -0.32), (-0.98, -0.4), (-0.86, -0.385), (-0.94, -0.3)), line, shade=0.4)
    shape(body, blob((1.0, -0.17), (1.12, -0.15), (1.17, -0.06), (1.02, -0.09)), LAMP, emissive=True, shade=0)
    shape(body, blob((-1.17, -0.17), (-0.98, -0.2), (-0.98, -0.14), (-1.17, -0.1)), TAIL, emissive=True, shade=0)
    for x in (-0.68, 0.7):
        shape(body, common(ellipse(x, 0.085, 0.25, 0.25), box(-2, -1, 2, 0.145)), scale(TYRE, 0.6), shade=0)
        wheel = rig.bone(0, x, -radius, swing=roll())
        shape(wheel, ellipse(0, 0, radius, radius), TYRE, shade=0.3)
        shape(wheel, ring(0.15, 0.022), rim, shade=0)
        shape(wheel, star(5, 0.135, 0.034), rim, shade=0)
    return rig


def boat(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    """A sailing boat with two full sails and a pennant."""
    rig = Rig(cycles=0.45 if action == "sail" else 0.35)
    shape = rig.shape
    rock = 4.0 if action == "sail" else 3.0
    cloth, line = tint(colour), trim(colour)
    jib_cloth = rgb("#c9c9cf") if is_dark(colour) else mix(cloth, WHITE, 0.45)
    pennant = rgb("#2f6fd0") if colour[0] > 0.8 else TAIL
    mainsail = _sail((0.0, -0.93), (0.0, -0.235), (-0.43, -0.25), -0.07)
    deck = rig.bone(0, 0, -0.02, swing=sway(rock), shift=lambda p: (0, 0.012 * math.sin(4 * math.pi * p + 1)))
    belly = lambda p: (1 + 0.05 * math.sin(2 * math.pi * p + 1.5), 1.0)
    main = rig.bone(deck, -0.015, 0, stretch=belly)
    jib = rig.bone(deck, 0.03, 0, stretch=belly)
    wave = lambda offset: (lambda p: 14 * math.sin(2 * math.pi * (3 * p - offset)))
    flag = rig.bone(deck, 0.005, -0.955, swing=wave(0.0))
    tip = rig.bone(flag, -0.075, 0.0, swing=wave(0.25))

    shape(tip, polygon((0.004, -0.026), (0.004, 0.026), (-0.085, 0.004)), pennant, shade=0)
    shape(flag, polygon((0, -0.035), (0, 0.035), (-0.08, 0.026), (-0.08, -0.026)), pennant, shade=0)
    shape(jib, _sail((0.0, -0.86), (0.035, -0.21), (0.39, -0.2), 0.03), jib_cloth, shade=0.7)
    shape(main, mainsail, cloth, shade=0.7)
    shape(main, common(mainsail, box(-1, -0.62, 1, -0.5)), colour, shade=0)
    shape(main, common(mainsail, box(-1, -0.385, 1, -0.375)), scale(cloth, 0.78), shade=0)
    shape(deck, bar(0.0, -0.1, 0.004, -0.98, 0.02), WOOD, shade=0.4)
    shape(deck, bar(0.01, -0.22, -0.44, -0.235, 0.018), WOOD, shade=0.3)
    shape(deck, box(-0.3, -0.19, -0.07, -0.1, 0.025), rgb("#f3eee2"), shade=0.6)
    shape(deck, union(*(ellipse(x, -0.145, 0.02, 0.02) for x in (-0.24, -0.185, -0.13))), LAMP, emissive=True, shade=0)
    shape(deck, blob((-0.47, -0.13), (0.0, -0.108), (0.3, -0.125), (0.53, -0.175), (0.4, -0.02), (0.3, 0.045),
                     (0.0, 0.06), (-0.3, 0.05), (-0.42, 0.02)), colour)
    shape(deck, blob((-0.465, -0.125), (0.0, -0.1), (0.3, -0.115), (0.515, -0.165), (0.3, -0.08), (0.0, -0.068),
                     (-0.455, -0.09)), rgb("#f3eee2") if sum(colour) < 2.5 else rgb("#5a8fb8"), shade=0)
    shape(deck, blob((-0.42, 0.005), (0.0, 0.02), (0.405, -0.01), (0.3, 0.045), (0.0, 0.06), (-0.3, 0.05)), line,
          shade=0.4)
    foam = rig.bone(0, 0, 0.035, shift=lambda p: (0.012 * math.sin(4 * math.pi * p), 0),
                    stretch=lambda p: (1.0, 1 + 0.25 * math.sin(4 * math.pi * p)))
    shape(foam, blob((-0.52, 0.0), (-0.3, -0.018), (-0.1, 0.0), (0.1, -0.016), (0.3, -0.004), (0.42, -0.04), (0.5, 0.0),
                     (0.3, 0.022), (0.0, 0.015), (-0.3, 0.022)), rgb("#eef7fa"), shade=0)
    return rig


def _sail(top: tuple[float, float], tack: tuple[float, float], clew: tuple[float, float], belly: float) -> skia.Path:
    """A triangle of cloth: straight along the mast, a little full at the foot and at the free edge."""
    path = skia.PathBuilder().moveTo(*top).lineTo(*tack)
    path.quadTo((tack[0] + clew[0]) / 2, tack[1] + 0.03, *clew)
    path.quadTo((clew[0] + top[0]) / 2 + belly, (clew[1] + top[1]) / 2 - 0.03, *top)
    return path.close().detach()


def train(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    """A steam locomotive with its tender and two carriages with lit windows."""
    radius, small, front = 0.17, 0.085, 1.14
    rig = Rig(cycles=PACE["drive"] / (2 * math.pi * radius))
    shape = rig.shape
    line, roof, brass = trim(colour), rgb("#3c3f4b"), rgb("#e6b84e")
    spoke = brass if is_dark(colour) or colour[0] > 0.8 else TAIL
    iron = mix(colour, rgb("#20222b"), 0.72) if not is_dark(colour) else rgb("#3a3b45")
    tyre = minus(ellipse(0, 0, small, small), *(ellipse(0.045 * math.cos(a), 0.045 * math.sin(a), 0.018, 0.018)
                                                for a in (0, 2.1, 4.2)))
    for i, x in enumerate((-2.14, -0.76)):
        jolt = rig.bone(0, x, 0, shift=lambda p, i=i: (0, 0.006 * math.sin(2 * math.pi * (2 * p + 0.4 * i))))
        shape(jolt, box(-0.7, -0.2, 0.7, -0.13), scale(TYRE, 0.8), shade=0)
        shape(jolt, box(-0.64, -0.78, 0.64, -0.16, 0.05), colour)
        shape(jolt, box(-0.67, -0.87, 0.67, -0.75, 0.06), roof, shade=0.7)
        shape(jolt, union(box(-0.64, -0.37, 0.64, -0.335), box(-0.64, -0.74, 0.64, -0.72)), line, shade=0)
        shape(jolt, union(*(box(w, -0.67, w + 0.16, -0.44, 0.03) for w in (-0.57, -0.37, -0.17, 0.03, 0.23, 0.43))),
              rgb("#ffe29a"), emissive=True, shade=0)
        for w in (-0.45, -0.25, 0.25, 0.45):
            shape(rig.bone(0, x + w, -small, swing=roll(radius / small)), tyre, rgb("#7d838f"), shade=0.3)

    engine = rig.bone(0, front, 0, shift=lambda p: (0.006 * math.sin(4 * math.pi * p),
                                                    0.005 * math.sin(4 * math.pi * p)))
    for i in range(3):
        puff = rig.bone(engine, 1.15, -0.98, shift=_drift(i / 3), stretch=_swell(i / 3))
        shape(puff, union(ellipse(0, 0, 0.13, 0.12), ellipse(-0.12, 0.02, 0.1, 0.09), ellipse(0.1, 0.03, 0.09, 0.08)),
              rgb("#eceaf0"), shade=0.7)
    shape(engine, box(-1.2, -0.2, 1.45, -0.13), scale(TYRE, 0.8), shade=0)
    shape(engine, box(-1.12, -0.6, -0.3, -0.16, 0.03), colour)
    shape(engine, blob((-1.09, -0.59), (-0.95, -0.67), (-0.7, -0.65), (-0.5, -0.68), (-0.34, -0.59)), rgb("#44434d"),
          shade=0.6)
    shape(engine, union(box(1.08, -0.95, 1.22, -0.6), polygon((1.03, -0.96), (1.27, -0.96), (1.23, -0.86),
                                                              (1.07, -0.86))), iron)
    shape(engine, box(0.2, -0.68, 1.4, -0.24, 0.12), colour)
    shape(engine, union(box(0.42, -0.69, 0.46, -0.24), box(0.8, -0.69, 0.84, -0.24),
                        box(0.52, -0.79, 0.74, -0.6, 0.09)), brass, shade=0.6)
    shape(engine, box(1.0, -0.7, 1.42, -0.22, 0.08), iron)
    shape(engine, polygon((-0.26, -0.86), (0.28, -0.86), (0.28, -0.16), (-0.26, -0.16)), colour)
    shape(engine, box(-0.32, -0.93, 0.35, -0.84, 0.045), roof, shade=0.6)
    shape(engine, box(-0.12, -0.75, 0.16, -0.5, 0.04), rgb("#ffe29a"), emissive=True, shade=0)
    shape(engine, polygon((1.3, -0.22), (1.45, -0.22), (1.66, -0.03), (1.28, -0.03)), TAIL if colour[0] < 0.8 else iron)
    shape(engine, ellipse(1.45, -0.56, 0.06, 0.075), LAMP, emissive=True, shade=0)
    for w in (-0.95, -0.57):
        shape(rig.bone(0, front + w, -small, swing=roll(radius / small)), tyre, rgb("#7d838f"), shade=0.3)
    for w in (-0.02, 0.38, 0.78):
        wheel = rig.bone(0, front + w, -radius, swing=roll())
        shape(wheel, union(ring(radius, 0.035), star(6, radius - 0.02, 0.026)), spoke, shade=0.2)
    shape(rig.bone(0, front + 1.17, -small, swing=roll(radius / small)), tyre, rgb("#7d838f"), shade=0.3)
    crank = lambda p: (0.09 * math.cos(2 * math.pi * p), 0.09 * math.sin(2 * math.pi * p))
    shape(rig.bone(0, front, -radius, shift=crank), bar(-0.02, 0, 0.78, 0, 0.045), STEEL, shade=0.3)
    return rig


def _drift(start: float) -> Callable[[float], tuple[float, float]]:
    """Smoke rises and falls behind."""
    return lambda p: (-1.5 * ((p / 2 + start) % 1.0), -0.32 * math.sqrt((p / 2 + start) % 1.0))


def _swell(start: float) -> Callable[[float], tuple[float, float]]:
    """A puff of smoke grows, then dissolves."""
    size = lambda p: 1.5 * math.sin(math.pi * ((p / 2 + start) % 1.0) ** 0.7) + 0.01
    return lambda p: (size(p), size(p))


def bicycle(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    """A bicycle and its rider, whose feet follow the pedals."""
    radius, crank, leg = 0.19, 0.07, 0.24
    rig = Rig(cycles=PACE["drive"] / (2 * math.pi * radius) / 2)  # two turns of the wheels to one of the pedals
    shape = rig.shape
    skin, hair, line, jeans = choose(rng, SKINS), choose(rng, HAIRS), trim(colour), rgb("#39415c")
    hub, hips = (-0.03, -0.2), (-0.14, -0.555)
    frame = mix(colour, WHITE, 0.22) if is_dark(colour) else colour

    def draw_leg(side: float, cloth: RGB, shoe: RGB) -> None:
        angle = lambda p: 2 * math.pi * (p + side)
        hip_angle, knee_angle = _reach(lambda p: hub[0] + crank * math.cos(angle(p)) - hips[0] - 0.01,
                                       lambda p: hub[1] + crank * math.sin(angle(p)) - hips[1] - 0.03, leg)
        thigh = rig.bone(0, *hips, swing=hip_angle)
        shin = rig.bone(thigh, 0, leg, swing=knee_angle)
        foot = rig.bone(shin, 0, leg, swing=lambda p: -hip_angle(p) - knee_angle(p) + 8 * math.sin(angle(p)))
        shape(rig.bone(0, *hub, swing=lambda p: 360 * (p + side)), bar(0, 0, crank, 0, 0.02), scale(STEEL, 0.7),
              shade=0)
        shape(foot, blob((-0.035, -0.01), (0.02, -0.025), (0.085, 0.02), (0.08, 0.034), (-0.035, 0.034)), shoe,
              shade=0.4)
        shape(shin, limb(0, 0, 0, leg, 0.062, 0.042), cloth, shade=0.3)
        shape(thigh, limb(0, 0, 0, leg, 0.09, 0.066), cloth, shade=0.3)

    draw_leg(0.5, scale(jeans, 0.66), rgb("#a9a6a0"))
    for x in (-0.31, 0.31):
        wheel = rig.bone(0, x, -radius, swing=roll(2))
        shape(wheel, union(ring(radius - 0.02, 0.016), star(8, radius - 0.02, 0.008)), STEEL, shade=0)
        shape(wheel, ring(radius, 0.026), rgb("#33323b"), shade=0)
    shape(0, union(bar(-0.31, -radius, *hub, 0.026), bar(-0.31, -radius, -0.11, -0.44, 0.024),
                   bar(*hub, -0.13, -0.49, 0.03), bar(*hub, 0.21, -0.42, 0.034), bar(-0.11, -0.43, 0.2, -0.46, 0.032),
                   bar(0.19, -0.52, 0.31, -radius, 0.03)), frame, shade=0.4)
    shape(0, blob((-0.22, -0.515), (-0.12, -0.52), (-0.04, -0.505), (-0.12, -0.485), (-0.2, -0.49)), INK, shade=0)
    shape(0, bar(0.19, -0.53, 0.255, -0.55, 0.026), INK, shade=0)
    shape(0, ellipse(0.255, -0.47, 0.025, 0.025), LAMP, emissive=True, shade=0)
    shape(0, ellipse(-0.205, -0.48, 0.02, 0.02), TAIL, emissive=True, shade=0)
    shape(rig.bone(0, *hub, swing=roll()), union(ring(0.05, 0.014), star(5, 0.045, 0.01)), scale(STEEL, 0.75), shade=0)

    spine = rig.bone(0, *hips, swing=lambda p: 24 + 1.5 * math.sin(4 * math.pi * p))
    head = rig.bone(spine, 0.01, -0.285, swing=lambda p: -16 - 1.5 * math.sin(4 * math.pi * p))
    arm = rig.bone(spine, 0.005, -0.225, swing=lambda p: -94 - 2 * math.sin(4 * math.pi * p))
    shape(spine, blob((-0.075, 0.03), (-0.08, -0.1), (-0.07, -0.22), (-0.02, -0.27), (0.04, -0.255), (0.07, -0.18),
                      (0.06, -0.06), (0.06, 0.03)), colour)
    shape(spine, bar(-0.07, 0.015, 0.055, 0.015, 0.02), line, shade=0)
    draw_leg(0.0, jeans, rgb("#f2efe8"))
    shape(head, limb(-0.012, 0.03, 0, -0.03, 0.055, 0.05), scale(skin, 0.82), shade=0)
    shape(head, blob((0, -0.16), (0.055, -0.14), (0.07, -0.09), (0.092, -0.066), (0.07, -0.05), (0.06, -0.01),
                     (0.01, 0.0), (-0.045, -0.03), (-0.075, -0.09), (-0.05, -0.14)), skin, shade=0.5)
    shape(head, blob((0.0, -0.12), (-0.08, -0.12), (-0.085, -0.05), (-0.05, -0.01), (-0.015, -0.05)), hair, shade=0.4)
    shape(head, ellipse(0.045, -0.08, 0.008, 0.013), INK, shade=0)
    shape(head, blob((0.03, -0.045), (0.05, -0.038), (0.072, -0.043), (0.066, -0.031), (0.05, -0.027)),
          scale(skin, 0.5), shade=0)
    shape(head, blob((0.085, -0.115), (0.05, -0.17), (-0.02, -0.185), (-0.085, -0.155), (-0.1, -0.1), (0.0, -0.12)),
          mix(colour, WHITE, 0.45) if sum(colour) < 2.2 else rgb("#4a84c4"), shade=0.7)
    shape(arm, limb(0, 0, 0, 0.15, 0.068, 0.056), mix(colour, WHITE, 0.1), shade=0.3)
    forearm = rig.bone(arm, 0, 0.15, swing=lambda p: 14 + 2 * math.sin(4 * math.pi * p))
    shape(forearm, ellipse(0, 0.165, 0.024, 0.026), skin, shade=0)
    shape(forearm, limb(0, 0, 0, 0.145, 0.054, 0.044), mix(colour, WHITE, 0.1), shade=0.3)
    return rig


def _reach(x: Callable[[float], float], y: Callable[[float], float], length: float) -> tuple[Callable, Callable]:
    """The swings of hip and knee that put the end of a leg (two bones of one length) at (x, y) from the hip."""
    bend = lambda p: math.degrees(math.acos(min(1.0, math.hypot(x(p), y(p)) / (2 * length))))
    return lambda p: math.degrees(math.atan2(-x(p), y(p))) - bend(p), lambda p: 2 * bend(p)


def balloon(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    """A striped hot-air balloon, its basket on ropes and a flame in between."""
    rig = Rig(cycles=0.3, shadow=False)
    shape = rig.shape
    light, line = tint(colour), trim(colour)
    envelope = rig.bone(0, 0, -0.62, swing=sway(3), shift=lambda p: (0, 0.008 * math.sin(2 * math.pi * p)))
    basket = rig.bone(envelope, 0, 0.33, swing=sway(4, -0.12))
    flame = rig.bone(envelope, 0, 0.42, stretch=flicker)

    shape(basket, union(bar(-0.085, 0.0, -0.062, 0.19, 0.008), bar(0.085, 0.0, 0.062, 0.19, 0.008),
                        bar(-0.03, 0.0, -0.02, 0.19, 0.006), bar(0.03, 0.0, 0.02, 0.19, 0.006)), rgb("#5b4634"),
          shade=0)
    shape(flame, blob((-0.022, 0.03), (-0.026, -0.01), (0, -0.085), (0.026, -0.01), (0.022, 0.03)), EMBER,
          emissive=True, shade=0)
    shape(flame, blob((-0.012, 0.03), (-0.013, 0.0), (0, -0.045), (0.013, 0.0), (0.012, 0.03)), FLAME, emissive=True,
          shade=0)
    for i, width in enumerate((1.0, 0.8, 0.52, 0.2)):
        shape(envelope, _gore(width), (colour, light)[i % 2], shade=1.0)
    shape(envelope, minus(_gore(1.0), ellipse(-0.09, -0.06, 0.37, 0.46)), scale(colour, 0.74), shade=0.6)
    shape(envelope, blob((-0.25, -0.13), (-0.2, -0.24), (-0.11, -0.32), (-0.15, -0.24), (-0.2, -0.14)),
          mix(colour, WHITE, 0.7), shade=0)
    shape(envelope, common(_gore(1.0), blob((-0.5, -0.05), (0.0, 0.07), (0.5, -0.05), (0.5, 0.01), (0.0, 0.13),
                                            (-0.5, 0.01))), line, shade=0.5)
    shape(envelope, blob((-0.09, 0.315), (0.0, 0.335), (0.09, 0.315), (0.085, 0.345), (0.0, 0.365), (-0.085, 0.345)),
          line, shade=0)
    shape(basket, box(-0.085, 0.185, 0.085, 0.29, 0.025), rgb("#b07a41"))
    shape(basket, union(box(-0.095, 0.176, 0.095, 0.2, 0.012), box(-0.085, 0.235, 0.085, 0.245)), rgb("#6e4724"),
          shade=0)
    for x, cloth in ((-0.035, rgb("#3f6fa8")), (0.03, rgb("#c04a4a"))):
        shape(basket, ellipse(x, 0.14, 0.018, 0.02), choose(rng, SKINS), shade=0)
        shape(basket, box(x - 0.022, 0.156, x + 0.022, 0.18, 0.01), cloth, shade=0)
    return rig


def _gore(width: float) -> skia.Path:
    """A stripe of the envelope: the whole outline, narrowed."""
    half = ((0.13, -0.36), (0.27, -0.27), (0.345, -0.11), (0.335, 0.06), (0.24, 0.2), (0.085, 0.335))
    return blob((0, -0.38), *((x * width, y) for x, y in half), *((-x * width, y) for x, y in reversed(half)))


def rocket(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    """A plump space rocket on its flame."""
    rig = Rig(cycles=1.0, shadow=False)
    shape = rig.shape
    line = trim(colour)
    nose = mix(colour, WHITE, 0.75) if sum(colour) < 2.2 else rgb("#d8413b")
    shadow = mix(colour, WHITE, 0.12) if is_dark(colour) else scale(colour, 0.74)
    hull = blob((0, -0.5), (0.085, -0.38), (0.145, -0.2), (0.155, 0.0), (0.12, 0.15), (0.08, 0.2), (-0.08, 0.2),
                (-0.12, 0.15), (-0.155, 0.0), (-0.145, -0.2), (-0.085, -0.38))
    ship = rig.bone(0, 0, -0.5, swing=sway(1.2), shift=lambda p: (0.004 * math.sin(6 * math.pi * p), 0))
    flame = rig.bone(ship, 0, 0.21, stretch=flicker)

    for width, length, paint in ((0.11, 0.3, TAIL), (0.08, 0.22, EMBER), (0.045, 0.14, FLAME)):
        shape(flame, blob((-0.7 * width, 0.0), (-width, 0.25 * length), (-0.45 * width, 0.65 * length), (0, length),
                          (0.45 * width, 0.65 * length), (width, 0.25 * length), (0.7 * width, 0.0)), paint,
              emissive=True, shade=0)
    shape(ship, polygon((-0.07, 0.15), (0.07, 0.15), (0.095, 0.235), (-0.095, 0.235)), rgb("#4a4d5a"))
    for side in (-1, 1):
        shape(ship, blob((side * 0.1, -0.06), (side * 0.2, 0.06), (side * 0.25, 0.2), (side * 0.24, 0.27),
                         (side * 0.16, 0.2), (side * 0.08, 0.17)), nose if side < 0 else scale(nose, 0.78))
    shape(ship, hull, colour, shade=0.6)
    shape(ship, minus(hull, ellipse(-0.1, -0.12, 0.185, 0.5)), shadow, shade=0.4)
    shape(ship, common(hull, ellipse(0, -0.52, 0.3, 0.19)), nose)
    shape(ship, common(hull, blob((-0.3, 0.06), (0.0, 0.11), (0.3, 0.06), (0.3, 0.1), (0.0, 0.15), (-0.3, 0.1))), line,
          shade=0)
    shape(ship, blob((-0.115, -0.2), (-0.08, -0.3), (-0.07, -0.29), (-0.09, -0.15), (-0.1, 0.03), (-0.12, 0.03)),
          mix(colour, WHITE, 0.5), shade=0)
    shape(ship, ellipse(0, -0.14, 0.078, 0.078), STEEL)
    shape(ship, ellipse(0, -0.14, 0.057, 0.057), rgb("#7fe0ff"), emissive=True, shade=0)
    shape(ship, blob((-0.035, -0.15), (-0.01, -0.18), (0.005, -0.178), (-0.02, -0.14)), WHITE, emissive=True, shade=0)
    shape(ship, blob((-0.012, 0.0), (0.012, 0.0), (0.022, 0.2), (0.0, 0.27), (-0.022, 0.2)), scale(nose, 0.9))
    return rig


def planet(colour: RGB, action: str, rng: np.random.Generator) -> Rig:
    """A ringed planet: its spots follow the turning sphere, narrow at the edge and gone behind it."""
    rig = Rig(cycles=0.16, shadow=False)
    shape = rig.shape
    base = mix(colour, WHITE, 0.14) if is_dark(colour) else colour
    light, dark = mix(base, WHITE, 0.5), scale(base, 0.72)
    dusk, night = mix(dark, rgb("#10122c"), 0.35), mix(dark, rgb("#10122c"), 0.75)
    ball, behind, before = ellipse(0, 0, 0.488, 0.488), box(-1, -1, 1, 0), box(-1, 0, 1, 1)
    rings, gap = minus(_disc(0.82), _disc(0.62)), minus(_disc(0.735), _disc(0.705))
    tilted = rig.bone(0, 0, -0.5, swing=lambda p: -16)

    shape(tilted, common(rings, behind), scale(light, 0.7), shade=0)
    shape(tilted, common(gap, behind), scale(dark, 0.8), shade=0)
    shape(tilted, ellipse(0, 0, 0.5, 0.5), light, shade=0)
    shape(tilted, ball, base, shade=0.8)
    for y, height, paint in ((-0.37, 0.045, light), (-0.12, 0.07, dark), (0.13, 0.05, light), (0.3, 0.045, dark)):
        shape(tilted, common(ball, _belt(y, height)), mix(base, paint, 0.5), shade=0)
    first = rng.random()
    spots = ((-0.28, 0.13, 0.06), (-0.06, 0.17, 0.08), (0.17, 0.14, 0.07), (0.02, 0.10, 0.05), (-0.2, 0.10, 0.05),
             (0.3, 0.09, 0.035), (-0.36, 0.09, 0.035), (0.08, 0.18, 0.06), (-0.14, 0.12, 0.07))
    for i, (y, width, height) in enumerate(spots):
        start = first + i * 0.382
        spot = rig.bone(tilted, 0, y, shift=_around(start, y, width, height), stretch=_facing(start))
        shape(spot, blob((-width, 0), (-0.4 * width, -height), (0.5 * width, -0.8 * height), (width, 0.1 * height),
                         (0.3 * width, height), (-0.5 * width, 0.7 * height)), (light, dark)[i % 2], shade=0.2)
    shape(tilted, minus(ball, ellipse(-0.09, -0.03, 0.5, 0.5)), dusk, shade=0)
    shape(tilted, minus(ball, ellipse(-0.1, -0.03, 0.55, 0.55)), night, shade=0)
    shape(tilted, common(rings, before), light, shade=0)
    shape(tilted, common(gap, before), dark, shade=0)
    return rig


DROOP = 0.08  # how far the planet's front bends down: it is seen a little from above


def _disc(radius: float) -> skia.Path:
    """The edge of a ring, seen nearly from the side."""
    return ellipse(0, 0, radius, radius * 0.22)


def _belt(y: float, height: float) -> skia.Path:
    """A band of clouds around the ball."""
    middle = [(x, y + DROOP * (1 - 4 * x * x)) for x in np.linspace(-0.5, 0.5, 9).tolist()]
    return polygon(*((x, y - height) for x, y in middle), *((x, y + height) for x, y in reversed(middle)))


def _around(start: float, y: float, width: float, height: float) -> Callable[[float], tuple[float, float]]:
    """Where a spot at height y is; its reach keeps it on the ball."""
    reach = math.sqrt(0.488 ** 2 - (abs(y) + height) ** 2 - width ** 2)
    angle = lambda p: 2 * math.pi * (p + start)
    return lambda p: (reach * math.sin(angle(p)), DROOP * math.cos(angle(p)) ** 2)


def _facing(start: float) -> Callable[[float], tuple[float, float]]:
    """How wide a spot looks: nothing on the far side."""
    return lambda p: (max(0.0, math.cos(2 * math.pi * (p + start))), 1.0)


BUILDERS: dict[str, Callable[[RGB, str, np.random.Generator], Rig]] = {
    "car": car, "boat": boat, "train": train, "bicycle": bicycle, "hot-air balloon": balloon, "rocket": rocket,
    "planet": planet,
}
