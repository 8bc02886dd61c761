"""Rain, snow and fog in front of a scene: smooth functions of time that wrap around, so they never run out."""

from __future__ import annotations

import math

import numpy as np
import skia

from .paint import Frame, Layer, ellipse, mix, radial, stroke

TOP, FALL = -0.15, 1.3      # where what falls begins, and how far it falls before it begins again


def weather_layers(frame: Frame) -> list[Layer]:
    """The layers of a scene's weather, from far to near; none in clear weather."""
    build = {"rain": _rain, "snow": _snow, "fog": _fog}.get(frame.weather)
    return build(frame) if build else []


def _width(frame):
    """The width that weather is made for; it repeats to the left and right of it."""
    return frame.aspect + 0.4


def _in_view(canvas, xs, width):
    """The same places, each moved by whole widths to where the camera is looking."""
    left = canvas.getLocalClipBounds().left() - 0.15
    return left + (xs - left) % width


def _points(xs, ys):
    return [skia.Point(x, y) for x, y in zip(xs.tolist(), ys.tolist())]


# --- rain -----------------------------------------------------------------------------------------


def _rain(frame):
    return [
        Layer(0.7, _streaks(frame, density=22, length=0.085, thick=0.006, speed=1.5, alpha=0.55), animated=True),
        Layer(1.0, _splashes(frame), animated=True),
        Layer(1.25, _streaks(frame, density=10, length=0.17, thick=0.011, speed=2.3, alpha=0.6), animated=True),
    ]


def _streaks(frame, density, length, thick, speed, alpha):
    """Slanted drops, `density` of them on a unit of width."""
    slant, width = 0.16, _width(frame)
    number = round(density * width)
    xs = (np.arange(number) + frame.rng.random(number)) / number * width
    ys = frame.rng.random(number) * FALL
    speeds = speed * frame.rng.uniform(0.9, 1.1, number)
    paint = stroke(_water(frame), thick, alpha)

    def draw(canvas, t):
        fallen = ys + speeds * t
        y = fallen % FALL + TOP
        x = _in_view(canvas, xs - slant * fallen, width)
        ends = np.stack([x, x - slant * length], 1).ravel(), np.stack([y, y + length], 1).ravel()
        canvas.drawPoints(skia.Canvas.PointMode.kLines_PointMode, _points(*ends), paint)

    return draw


def _splashes(frame):
    """Rings where drops hit the ground: three groups in turn, each time somewhere else."""
    groups, turns, width, rate = 3, 8, _width(frame), 2.2
    shape = (groups, turns, round(3 * width))
    xs, ys = frame.rng.uniform(0, width, shape), frame.rng.uniform(0.80, 0.99, shape)
    paint = stroke(_water(frame), 0.007)

    def draw(canvas, t):
        for group in range(groups):
            turn, age = divmod(rate * t + group / groups, 1.0)
            places = group, int(turn) % turns
            rings = skia.PathBuilder()
            for x, y in zip(_in_view(canvas, xs[places], width), ys[places]):
                size = (0.012 + 0.038 * age) * (y - 0.35) / 0.6
                rings.addOval(ellipse(x, y, size, size * 0.35).getBounds())
            paint.setAlphaf(0.7 * (1 - age))
            canvas.drawPath(rings.detach(), paint)

    return draw


def _water(frame):
    """The colour of drops: the air's own, but light."""
    return mix(frame.light.haze_colour, (0.92, 0.97, 1.0), 0.75)


# --- snow -----------------------------------------------------------------------------------------


def _snow(frame):
    return [
        Layer(0.7, _flakes(frame, density=30, radius=0.009, speed=0.16), animated=True),
        Layer(1.25, _flakes(frame, density=12, radius=0.016, speed=0.28), animated=True),
    ]


def _flakes(frame, density, radius, speed):
    """Round flakes with a soft rim that fall and sway."""
    width = _width(frame)
    number = round(density * width)
    xs = (np.arange(number) + frame.rng.random(number)) / number * width
    ys = frame.rng.random(number) * FALL
    speeds = speed * frame.rng.uniform(0.8, 1.2, number)
    phases = frame.rng.uniform(0, 2 * math.pi, number)
    white = mix((1.0, 1.0, 1.0), frame.light.ambient, 0.35)
    rim, core = stroke(white, 2.6 * radius, 0.45), stroke(white, 1.7 * radius, 0.9)

    def draw(canvas, t):
        y = (ys + speeds * t) % FALL + TOP
        x = _in_view(canvas, xs - 0.05 * t + 0.025 * np.sin(1.7 * t + phases), width)
        points = _points(x, y)
        canvas.drawPoints(skia.Canvas.PointMode.kPoints_PointMode, points, rim)
        canvas.drawPoints(skia.Canvas.PointMode.kPoints_PointMode, points, core)

    return draw


# --- fog ------------------------------------------------------------------------------------------


def _fog(frame):
    return [
        Layer(0.3, _bank(frame, y=0.55, thick=0.13, drift=0.03, alpha=0.5), animated=True),
        Layer(0.8, _bank(frame, y=0.74, thick=0.11, drift=-0.04, alpha=0.32), animated=True),
        Layer(1.25, _bank(frame, y=0.97, thick=0.15, drift=0.06, alpha=0.5), animated=True),
    ]


def _bank(frame, y, thick, drift, alpha):
    """A row of wide soft ellipses, painted once on a small picture that repeats and drifts sideways."""
    density, span, half = 48, 3.0, 0.75
    colour = mix(frame.light.haze_colour, (1.0, 1.0, 1.0), 0.25)
    paint = radial((0, 0), 1.0, [colour] * 3, [alpha, alpha * 0.6, 0.0], [0.0, 0.5, 1.0])
    surface = skia.Surface(round(span * density), math.ceil(2.8 * thick * density))
    canvas = surface.getCanvas()
    canvas.scale(density, density)
    for x in np.arange(0, span, 0.6) + frame.rng.uniform(0, 0.3, 5):
        rise = frame.rng.uniform(-0.4, 0.4)
        for turn in (-span, 0, span):
            canvas.save()
            canvas.translate(x + turn, (1.4 + rise) * thick)
            canvas.scale(half, thick)
            canvas.drawCircle(0, 0, 1.0, paint)
            canvas.restore()
    picture, top = surface.makeImageSnapshot(), y - 1.4 * thick

    def draw(canvas, t):
        place = skia.Matrix.Translate(drift * t, top).preScale(1 / density, 1 / density)
        shader = picture.makeShader(skia.TileMode.kRepeat, skia.TileMode.kDecal,
                                    skia.SamplingOptions(skia.FilterMode.kLinear), place)
        view = canvas.getLocalClipBounds()
        band = skia.Rect.MakeLTRB(view.left(), top, view.right(), top + 2.8 * thick)
        canvas.drawRect(band, skia.Paint(Shader=shader))

    return draw
