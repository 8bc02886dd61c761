"""Settings away from any landscape: outer space and the stage of a theatre."""

from __future__ import annotations

import math

import skia

from .paint import Backdrop, Frame, blob, ellipse, flat, gradient, polygon, radial, rgb, stroke
from .settings_parts import FLOOR, MARGIN, band, in_view, joined, moving, ridge, soft, span, still


def outer_space(frame: Frame) -> Backdrop:
    rng, layers = frame.rng, []
    half, place = frame.aspect / 2, frame.rng.choice((-1, 1))

    with still(layers, 0.0) as canvas:
        band(canvas, frame, -0.2, FLOOR, [rgb("#060818"), rgb("#12103a"), rgb("#1d1048")])
        clouds = [rgb(c) for c in ("#7a2fb8", "#d0397f", "#1f7fc4", "#3a35c0", "#e8743b")]
        for i, x in enumerate(span(frame, 0.13, 0.4)):
            y, r = 0.42 - place * 0.35 * x + rng.uniform(-0.10, 0.10), rng.uniform(0.18, 0.36)
            tint = clouds[(i // 2 + rng.integers(2)) % 5]
            canvas.drawCircle(x, y, r, radial((x, y), r, [tint] * 3, [0.50, 0.22, 0.0], [0.0, 0.5, 1.0]))
    with still(layers, 0.05) as canvas:
        dots = [ellipse(x, rng.uniform(-0.05, 0.95), r, r) for x in span(frame, 0.016, 0.5)
                for r in [rng.choice((0.0022, 0.003, 0.0045))]]
        canvas.drawPath(joined(dots), flat((0.93, 0.95, 1.0), 0.9))
    moving(layers, 0.05, _twinkles(frame))
    with still(layers, 0.15) as canvas:
        _far_planet(canvas, -place * 0.78 * half, 0.16, 0.075, rgb("#e0a06a"), rgb("#6a2f4a"), ring=True)
        _far_planet(canvas, place * 0.84 * half, 0.30, 0.040, rgb("#79c7e8"), rgb("#1d3a80"))
    with still(layers, 0.9) as canvas:  # a moon to stand on
        crest = ridge(frame, 0.865, 0.03, 2.6)
        x = [i * 0.05 - frame.reach - MARGIN for i in range(int(40 * frame.reach) + 6)]
        canvas.drawPath(polygon((x[0], FLOOR), *[(a, float(crest(a))) for a in x], (x[-1], FLOOR)),
                        gradient((0, 0.83), (0, 1.05), [rgb("#8f86b5"), rgb("#2b2550")]))
        for x in span(frame, 0.42, 0.35):
            w, y = rng.uniform(0.05, 0.10), rng.uniform(0.91, 0.98)
            canvas.drawPath(ellipse(x, y, w, 0.24 * w), flat(rgb("#9d93c4")))
            canvas.drawPath(ellipse(x, y - 0.05 * w, 0.88 * w, 0.18 * w), flat(rgb("#3a3365")))
    return Backdrop(layers, ground=0.90, horizon=0.85, sky=False)


def _far_planet(canvas, x, y, radius, bright, dark, ring=False):
    """A small planet in the distance, half in shadow."""
    sunny = (x - 0.4 * radius, y - 0.4 * radius)
    canvas.drawCircle(x, y, radius, radial(sunny, 1.5 * radius, [bright, dark], [1.0, 1.0]))
    if ring:
        canvas.save()
        canvas.translate(x, y)
        canvas.rotate(-18)
        canvas.drawArc(skia.Rect.MakeLTRB(-1.8 * radius, -0.42 * radius, 1.8 * radius, 0.42 * radius), -28, 236, False,
                       stroke(rgb("#f0d2a8"), 0.014, 0.9))
        canvas.restore()


def _twinkles(frame):
    """A dozen bright stars with four points that wax and wane."""
    stars = [(x, frame.rng.uniform(0.02, 0.72), frame.rng.uniform(0.014, 0.026), frame.rng.uniform(0, 6))
             for x in span(frame, 0.2, 0.5)]
    cross = polygon((0, -1), (0.16, -0.16), (1, 0), (0.16, 0.16), (0, 1), (-0.16, 0.16), (-1, 0), (-0.16, -0.16))
    paint = flat((1.0, 0.98, 0.92))

    def draw(canvas, t):
        for x, y, size, phase in in_view(canvas, stars, 0.05):
            r = size * (0.75 + 0.35 * math.sin(2.0 * t + phase))
            canvas.save()
            canvas.translate(x, y)
            canvas.scale(r, r)
            canvas.drawPath(cross, paint)
            canvas.restore()

    return draw


def stage(frame: Frame) -> Backdrop:
    rng, layers = frame.rng, []
    half = frame.aspect / 2

    with still(layers, 0.3) as canvas:
        band(canvas, frame, -0.2, 0.72, [rgb("#160a24"), rgb("#3a1550"), rgb("#6a2560")])
        canvas.drawCircle(0, 0.55, 0.6, radial((0, 0.55), 0.6, [rgb("#ff9a6a")] * 2, [0.55, 0.0]))
    with still(layers, 0.8) as canvas:
        band(canvas, frame, 0.70, FLOOR, [rgb("#6b3a20"), rgb("#b8703a"), rgb("#8a4f2a")], [0.0, 0.35, 1.0])
        for x in span(frame, 0.24, 0.0):
            canvas.drawPath(polygon((0.55 * x - 0.003, 0.70), (0.55 * x + 0.003, 0.70), (1.35 * x + 0.009, FLOOR),
                                    (1.35 * x - 0.009, FLOOR)), flat(rgb("#5a2d18"), 0.7))
        band(canvas, frame, 0.70, 0.725, [rgb("#3a1a18")] * 2)
        canvas.drawPath(ellipse(0, 0.85, 0.62 * half, 0.075), soft(rgb("#ffe2a0"), 0.55, 0.03))
    moving(layers, 0.6, _spotlights(frame))
    with still(layers, 0.9) as canvas:
        for direction in (-1, 1):
            for i in range(int((frame.reach + 0.2) / 0.09)):
                x = direction * (0.70 * half + 0.08 * i)
                _fold(canvas, x, -0.1, 0.80, 0.05, direction, gather=max(0.0, 0.10 - 0.04 * i) * direction)
        for x in span(frame, 0.26, 0.0):
            swag = skia.PathBuilder()
            swag.moveTo(x - 0.14, -0.2)
            swag.lineTo(x - 0.14, 0.07)
            swag.quadTo(x, 0.20, x + 0.14, 0.07)
            swag.lineTo(x + 0.14, -0.2)
            path = swag.detach()
            canvas.drawPath(path, gradient((0, -0.05), (0, 0.15), [rgb("#7a0f22"), rgb("#d3263a")]))
            fringe = skia.PathBuilder()
            fringe.moveTo(x - 0.14, 0.07)
            fringe.quadTo(x, 0.20, x + 0.14, 0.07)
            canvas.drawPath(fringe.detach(), stroke(rgb("#f2c04e"), 0.016))
    with still(layers, 1.25) as canvas:
        for x in span(frame, 0.145, 0.18):
            r, y = rng.uniform(0.044, 0.055), 0.985 + rng.uniform(-0.012, 0.012)
            canvas.drawPath(blob((x - 1.9 * r, y + 3 * r), (x - 1.4 * r, y + 1.2 * r), (x, y + 0.9 * r),
                                 (x + 1.4 * r, y + 1.2 * r), (x + 1.9 * r, y + 3 * r)), flat(rgb("#1a0d1e")))
            canvas.drawPath(ellipse(x, y - 0.003, 0.85 * r, r), flat(rgb("#7a4a3a")))
            canvas.drawPath(ellipse(x, y + 0.008, 0.85 * r, r), flat(rgb("#1a0d1e")))
    return Backdrop(layers, ground=0.86, horizon=0.70, mirror=0.15, sky=False)


def _fold(canvas, x, top, bottom, width, direction, gather):
    """One fold of a red curtain, drawn back a little at half height."""
    path = skia.PathBuilder()
    path.moveTo(x - width - gather, top)
    path.cubicTo(x - width - gather, 0.3, x - width + gather, 0.4, x - width + 0.8 * gather, 0.55)
    path.lineTo(x - width, bottom)
    path.lineTo(x + width, bottom)
    path.lineTo(x + width + 0.8 * gather, 0.55)
    path.cubicTo(x + width + gather, 0.4, x + width - gather, 0.3, x + width - gather, top)
    path.close()
    canvas.drawPath(path.detach(), gradient((x - width, 0), (x + width, 0), [
        rgb("#6d0a1c"), rgb("#d8283c"), rgb("#6d0a1c")]))


def _spotlights(frame):
    """Three cones of light from above that slowly sweep the floor."""
    half = frame.aspect / 2
    cones = [(-0.55 * half, rgb("#ffd9f0"), 0.0), (0.55 * half, rgb("#bfe6ff"), 2.1), (0.0, rgb("#fff0c0"), 4.2)]
    reach = 0.20 * half
    shapes = [polygon((-0.02, 0), (0.02, 0), (0.17, 0.95), (-0.17, 0.95)) for _ in cones]

    def draw(canvas, t):
        for (x, tint, phase), shape in zip(cones, shapes):
            lean = (-0.6 * x + reach * math.sin(0.9 * t + phase)) / 0.95
            canvas.save()
            canvas.translate(x, -0.1)
            canvas.skew(lean, 0)
            canvas.drawPath(shape, gradient((0, 0), (0, 0.95), [tint, tint], None, [0.55, 0.10]))
            canvas.restore()

    return draw
