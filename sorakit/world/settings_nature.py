"""Settings on land without a street: field, forest, desert, snow and park."""

from __future__ import annotations

import math

import numpy as np
import skia

from .paint import Backdrop, Frame, blob, box, ellipse, flat, glow, gradient, mix, polygon, rgb, stroke
from .settings_parts import (
    FLOOR,
    band,
    below,
    cool,
    fir,
    flower,
    hill,
    in_view,
    joined,
    lamp_post,
    leaves,
    moving,
    peak,
    pole,
    ridge,
    rim,
    round_tree,
    shade,
    side,
    soft,
    span,
    still,
    stones,
    swaying,
    tuft,
    volume,
)

SNOW = rgb("#eef4fb")


def wildflower_field(frame: Frame) -> Backdrop:
    light, rng, layers = frame.light, frame.rng, []
    colours = [rgb(c) for c in ("#e8394a", "#f6c52c", "#8d5bd6", "#f48fb4", "#ffffff")]

    with still(layers, 0.1) as canvas:
        hill(canvas, frame, ridge(frame, 0.60, 0.20, 1.1), rgb("#7d8fc0"), 0.68)
    with still(layers, 0.25) as canvas:
        crest = ridge(frame, 0.64, 0.12, 1.4)
        for x in span(frame, 0.16, 0.6):
            volume(canvas, light, leaves(rng, x, float(crest(x)), 0.055, 0.045), rgb("#3f8a5a"), 0.07, 0.45)
        hill(canvas, frame, crest, rgb("#7fb556"), 0.4)
    with still(layers, 0.5) as canvas:
        crest = ridge(frame, 0.69, 0.06, 1.9)
        round_tree(canvas, frame, 0.62 * frame.aspect / 2 * rng.choice((-1, 1)), 0.665, 0.27, rgb("#3f9150"), 0.25)
        hill(canvas, frame, crest, rgb("#8cbf4e"), 0.22, foot=rgb("#5f9c3c"), depth=0.12)
        for x in span(frame, 0.30, 0.4):  # far flowers melt into drifts of colour
            tint = colours[rng.integers(5)]
            w, y = rng.uniform(0.10, 0.20), float(crest(x)) + rng.uniform(0.02, 0.06)
            canvas.drawPath(ellipse(x, y, w, 0.012), flat(light.far(tint, 0.15), 0.9))
    with still(layers, 0.9) as canvas:
        hill(canvas, frame, ridge(frame, 0.735, 0.03, 2.4), rgb("#78b843"), 0.0, foot=rgb("#2f6f2e"), depth=0.36)
        for y, r, wide, step in ((0.760, 0.010, 0.09, 0.26), (0.800, 0.014, 0.12, 0.46)):  # drifts of colour
            for x in span(frame, step, 0.4):
                places = [(x + wide * dx, y + r * rng.uniform(-0.5, 0.5)) for dx in np.linspace(-1, 1, 9)]
                canvas.drawPath(joined([ellipse(a, b + 0.9 * r, 1.9 * r, r) for a, b in places]),
                                flat(light.lit(rgb("#2f7030")), 0.55))
                canvas.drawPath(joined([ellipse(a, b, 1.9 * r, r) for a, b in places]),
                                flat(light.lit(colours[rng.integers(5)])))
        for x in span(frame, 0.26, 0.4):  # near ones are single flowers
            tint, y = colours[rng.integers(5)], rng.uniform(0.935, 0.96)
            for _ in range(4):
                flower(canvas, light, x + 0.11 * rng.uniform(-1, 1), y + 0.03 * rng.uniform(-1, 1), 0.024, tint)

    def bunch(canvas):
        canvas.drawPath(tuft(rng, 0, 0.02, 0.13, 7), flat(light.lit(rgb("#2b6a2f"))))
        tint = colours[rng.integers(5)]
        for x, y in ((-0.06, -0.09), (0.005, -0.125), (0.065, -0.08)):
            canvas.drawLine(0.3 * x, 0.02, x, y, stroke(light.lit(rgb("#35803a")), 0.012))
            flower(canvas, light, x, y, 0.034, tint)

    swaying(layers, 1.25, [(x, 1.03, bunch, 5.0, 3.0) for x in span(frame, 0.40)])
    return Backdrop(layers, ground=0.85, horizon=0.6)


def forest(frame: Frame) -> Backdrop:
    light, rng, layers = frame.light, frame.rng, []
    glade = rgb({"dawn": "#ffd9a8", "day": "#dff3b8", "sunset": "#ffb56b", "night": "#6f95c9"}[light.time])
    above = mix(light.far(rgb("#5f9a6a"), 0.4), light.sky[1], {"dawn": 0.75, "sunset": 0.5}.get(light.time, 0.0))

    with still(layers, 0.1) as canvas:  # the bright far end of the wood
        band(canvas, frame, -0.2, FLOOR, [above, mix(light.lit(glade), glade, 0.25),
                                          light.far(rgb("#7fae70"), 0.5)], [0.0, 0.55, 0.8])
        if light.time in ("dawn", "sunset"):
            _low_sun(canvas, frame)
        for x in span(frame, 0.11):
            canvas.drawPath(pole(x, 0.75, 0.87, 0.034, 0.024, rng.uniform(-0.02, 0.02)),
                            flat(light.far(rgb("#5a8478"), 0.62)))
        for x in span(frame, 0.26):
            canvas.drawPath(leaves(rng, x, rng.uniform(0.0, 0.10), 0.24, 0.13), flat(light.far(rgb("#4e8f63"), 0.5)))
            canvas.drawPath(leaves(rng, x, 0.70, 0.17, 0.06), flat(light.far(rgb("#6aa470"), 0.5)))
    _trunks(frame, layers, 0.35, 0.27, 0.065, 0.74, rgb("#5c6a58"), rgb("#3f8553"), 0.34)
    _light_shafts(frame, layers, glade)
    _trunks(frame, layers, 0.65, 0.50, 0.105, 0.79, rgb("#67503f"), rgb("#35793c"), 0.12)

    with still(layers, 0.95) as canvas:
        hill(canvas, frame, ridge(frame, 0.775, 0.025, 1.7), rgb("#6a9a48"), 0.0, foot=rgb("#33502c"), depth=0.34)
        for x in span(frame, 0.55):  # sun flecks on the path
            canvas.drawPath(ellipse(x, rng.uniform(0.83, 0.93), 0.13, 0.016),
                            soft(rim(light, rgb("#b9c765")), 0.55, 0.006))
        for x in span(frame, 0.19, 0.45):
            y, tall = 0.795 + rng.uniform(-0.01, 0.005), rng.uniform(0.06, 0.10)
            canvas.drawPath(tuft(rng, x, y, tall, 6), flat(light.lit(rgb("#3f8a43"))))
        for x in span(frame, 0.9, 0.45):
            canvas.drawPath(pole(x, 0.81, 0.05, 0.022), flat(light.lit(rgb("#efe3cf"))))
            canvas.drawPath(blob((x - 0.035, 0.768), (x, 0.728), (x + 0.035, 0.768), (x, 0.762)),
                            flat(light.lit(rgb("#d8402f"), 1.1)))

    if light.glow > 0.5:
        _fireflies(frame, layers)
    with still(layers, 1.25) as canvas:
        for x in span(frame, 0.52):
            canvas.drawPath(tuft(rng, x, 1.07, 0.16, 9), flat(light.lit(rgb("#1d4a2a"))))
    return Backdrop(layers, ground=0.865, horizon=0.62)


def _low_sun(canvas, frame):
    """The sun at the far end of the wood, just above the ground; in rain or fog, only its light."""
    x, y, radius, clear = 0.55 * frame.light.sun[0] * frame.aspect, 0.55, 0.13, frame.weather in ("clear", "snow")
    glow(canvas, x, y, 0.75, mix(frame.light.key, frame.light.sky[2], 0.5), 0.95 if clear else 0.5)
    if clear:
        canvas.drawCircle(x, y, radius, flat(mix(frame.light.key, (1.0, 1.0, 1.0), 0.6)))


def _trunks(frame, layers, depth, step, width, foot, bark, green, distance):
    """A row of trunks as tall as the frame, with bushes at their feet and leaves above."""
    light, rng, toward = frame.light, frame.rng, side(frame.light)
    with still(layers, depth) as canvas:
        for x in span(frame, step, 0.28):
            w, top = width * rng.uniform(0.8, 1.15), x + rng.uniform(-0.04, 0.04)
            trunk = polygon((x - 0.95 * w, foot + 0.03), (x - 0.5 * w, foot - 0.07), (top - 0.36 * w, -0.15),
                            (top + 0.36 * w, -0.15), (x + 0.5 * w, foot - 0.07), (x + 0.95 * w, foot + 0.03))
            canvas.drawPath(trunk, gradient((x - toward * w / 2, 0), (x + toward * w / 2, 0), [
                light.far(shade(bark, 0.62), distance), light.far(bark, distance), rim(light, bark, distance, 0.5)],
                [0.1, 0.6, 1.0]))
        for x in span(frame, 1.1 * step):
            volume(canvas, light, leaves(rng, x, rng.uniform(-0.06, 0.02), 0.75 * step, 0.13), green, 0.14, distance)
        for x in span(frame, 1.3 * step):
            bush = leaves(rng, x, foot, 0.5 * step, 0.05)
            volume(canvas, light, bush, green, 0.06, distance)


def _light_shafts(frame, layers, glade):
    """Beams that fall between the trees and slowly breathe."""
    light, toward = frame.light, side(frame.light)
    strength = {"dawn": 0.70, "day": 0.46, "sunset": 0.50, "night": 0.28}[light.time]
    beams = []
    for i, x in enumerate(span(frame, 0.42, 0.25)):
        w = frame.rng.uniform(0.05, 0.10)
        beam = polygon((x, -0.15), (x + w, -0.15), (x + 1.9 * w - toward * 0.32, 0.86),
                       (x - 0.6 * w - toward * 0.32, 0.86))
        beams.append((x, beam, gradient((x, 0), (x, 0.86), [glade, glade], None, [1.0, 0.0]), 1.7 * i))

    def draw(canvas, t):
        for _, beam, paint, phase in in_view(canvas, beams, 0.45):
            paint.setAlphaf(strength * (0.7 + 0.3 * math.sin(0.9 * t + phase)))
            canvas.drawPath(beam, paint)

    moving(layers, 0.5, draw)


def _fireflies(frame, layers):
    """A few warm points that wander above the undergrowth at night."""
    flies = [(x, frame.rng.uniform(0.5, 0.76), frame.rng.uniform(0, 6)) for x in span(frame, 0.3, 0.5)]

    def draw(canvas, t):
        for x, y, phase in in_view(canvas, flies, 0.1):
            glow(canvas, x + 0.03 * math.sin(0.8 * t + phase), y + 0.025 * math.sin(1.1 * t + 2 * phase), 0.04,
                 rgb("#f4f29a"), 0.55 + 0.45 * math.sin(2.2 * t + phase))

    moving(layers, 0.8, draw)


def desert(frame: Frame) -> Backdrop:
    light, rng, layers = frame.light, frame.rng, []
    half = frame.aspect / 2
    sand, shadow = rgb("#eba75c"), rgb("#a85c3d")

    with still(layers, 0.1) as canvas:
        for x in span(frame, 0.62, 0.25):
            _butte(canvas, frame, x, rng.uniform(0.36, 0.46), rng.uniform(0.12, 0.2), 0.55)
        hill(canvas, frame, ridge(frame, 0.61, 0.03, 1.3), rgb("#c9855a"), 0.55)
    with still(layers, 0.3) as canvas:
        for x in span(frame, 0.75):
            _dune(canvas, frame, x, rng.uniform(0.53, 0.57), 0.70, 0.7, sand, shadow, 0.30)
    with still(layers, 0.55) as canvas:
        for x in span(frame, 1.25):
            _dune(canvas, frame, x, rng.uniform(0.60, 0.64), 0.80, 1.0, rgb("#f0ae5f"), rgb("#a9583a"), 0.10)
    with still(layers, 0.95) as canvas:
        hill(canvas, frame, ridge(frame, 0.765, 0.035, 2.6), rgb("#f3b566"), 0.0, foot=rgb("#c9793f"), depth=0.36)
        for y in (0.91, 0.945, 0.985):
            for x in span(frame, 0.34, 0.2):
                ripple = skia.PathBuilder()
                ripple.moveTo(x - 0.15, y)
                ripple.cubicTo(x - 0.06, y - 0.022, x + 0.05, y + 0.018, x + 0.14, y - 0.004)
                canvas.drawPath(ripple.detach(), stroke(light.lit(rgb("#c0733c")), 0.012, 0.6))
        place = rng.choice((-1, 1))
        _cactus(canvas, frame, place * 0.74 * half, 0.80, 0.34)
        _cactus(canvas, frame, -place * 0.9 * half, 0.79, 0.2)
        stones(canvas, frame, place * 0.52 * half, 0.80, 0.03, rgb("#b56f4d"))
    with still(layers, 1.25) as canvas:
        for x in span(frame, 1.1, 0.35):
            canvas.drawPath(tuft(rng, x, 1.05, 0.13, 7), flat(light.lit(rgb("#8a7434"))))
    return Backdrop(layers, ground=0.86, horizon=0.6)


def _butte(canvas, frame, x, top, width, distance):
    """A table mountain: steep cliff, sloping foot."""
    light, toward = frame.light, side(frame.light)
    rock = rgb("#b5563c")
    w = width / 2
    cliff = polygon((x - 2.1 * w, 0.64), (x - 1.25 * w, 0.52), (x - w, 0.50), (x - 0.92 * w, top), (x + 0.9 * w, top),
                    (x + w, 0.50), (x + 1.25 * w, 0.52), (x + 2.1 * w, 0.64))
    canvas.drawPath(cliff, gradient((0, top), (0, 0.64), [light.far(rock, distance), mix(
        light.far(rock, distance), light.haze_colour, 0.5)]))
    canvas.save()
    canvas.clipPath(cliff, True)
    edge = x + toward * 0.25 * w
    sunny = polygon((edge, top), (edge + toward * 0.1 * w, 0.52), (edge + toward * 0.5 * w, 0.64),
                    (x + toward * 3 * w, 0.64), (x + toward * 3 * w, top))
    canvas.drawPath(sunny, flat(rim(light, rgb("#dd8355"), distance, 0.3), 0.8))
    canvas.restore()


def _dune(canvas, frame, x, top, base, width, sand, shadow, distance):
    """A dune with a bright side, a dark side and a curved crest between them."""
    light, toward = frame.light, side(frame.light)
    tip = (x, top)
    body = skia.PathBuilder()
    body.moveTo(x - toward * width, base)
    body.cubicTo(x - toward * 0.5 * width, base - 0.02, x - toward * 0.25 * width, top, *tip)
    body.cubicTo(x + toward * 0.3 * width, top + 0.01, x + toward * 0.6 * width, base - 0.02, x + toward * width, base)
    canvas.drawPath(body.detach(), gradient((0, top), (0, base), [rim(light, sand, distance, 0.3),
                                                                 light.far(shade(sand, 0.92), distance)]))
    dark = skia.PathBuilder()
    dark.moveTo(*tip)
    dark.cubicTo(x + toward * 0.02, top + 0.3 * (base - top), x - toward * 0.22 * width, base - 0.3 * (base - top),
                 x - toward * 0.1 * width, base)
    dark.lineTo(x - toward * width, base)
    dark.cubicTo(x - toward * 0.5 * width, base - 0.02, x - toward * 0.25 * width, top, *tip)
    canvas.drawPath(dark.detach(), gradient((0, top), (0, base), [light.far(shadow, distance),
                                                                 light.far(mix(shadow, sand, 0.5), distance)]))
    canvas.drawRect(skia.Rect.MakeLTRB(x - width, base - 0.002, x + width, base + 0.2), flat(light.far(sand, distance)))


def _cactus(canvas, frame, x, y, height):
    """A saguaro with two arms."""
    light = frame.light
    green, bright = rgb("#3f7d4a"), rim(light, rgb("#5da55c"), 0.0, 0.35)
    parts = [((0, 0), (0, -1.0), 0.17), ((0, -0.42), (-0.24, -0.46), 0.12), ((-0.24, -0.46), (-0.25, -0.76), 0.12),
             ((0, -0.30), (0.24, -0.34), 0.12), ((0.24, -0.34), (0.25, -0.60), 0.12)]
    for colour, slip, thin in ((light.lit(shade(green, 0.8)), 0.0, 1.0), (bright, 0.028 * side(light), 0.45)):
        for (x0, y0), (x1, y1), w in parts:
            canvas.drawLine(x + (x0 + slip) * height, y + y0 * height, x + (x1 + slip) * height, y + y1 * height,
                            stroke(colour, w * thin * height))


def snowfield(frame: Frame) -> Backdrop:
    light, rng, layers = frame.light, frame.rng, []
    half, green, blue = frame.aspect / 2, rgb("#2f6456"), rgb("#a9c3ea")
    place = rng.choice((-1, 1))

    with still(layers, 0.1) as canvas:
        for x in span(frame, 0.42, 0.35):
            peak(canvas, light, x, rng.uniform(0.30, 0.42), 0.66, 0.36, rgb("#7f9cc9"), 0.5, SNOW)
    with still(layers, 0.3) as canvas:
        crest = ridge(frame, 0.65, 0.06, 1.5)
        for x in span(frame, 0.085, 0.4):
            fir(canvas, light, x, float(crest(x)) + 0.02, rng.uniform(0.10, 0.15), green, 0.45)
        hill(canvas, frame, crest, SNOW, 0.35, foot=rgb("#c3d5f1"), depth=0.14)
    with still(layers, 0.55) as canvas:
        crest = ridge(frame, 0.72, 0.05, 2.0)
        _cabin(canvas, frame, place * 0.5 * half, float(crest(place * 0.5 * half)) + 0.015, 0.15)
        for x in span(frame, 0.42, 0.35):
            if abs(x - place * 0.5 * half) > 0.17:
                fir(canvas, light, x, float(crest(x)) + 0.03, rng.uniform(0.22, 0.34), green, 0.15, SNOW)
        hill(canvas, frame, crest, SNOW, 0.12, foot=blue, depth=0.20)
    with still(layers, 0.95) as canvas:
        hill(canvas, frame, ridge(frame, 0.78, 0.035, 2.3), SNOW, 0.0, foot=rgb("#b9d0f2"), depth=0.36)
        for x in span(frame, 0.7, 0.4):  # blue hollows
            canvas.drawPath(ellipse(x, rng.uniform(0.92, 1.0), 0.24, 0.022), soft(cool(light, blue), 0.8, 0.008))
        fir(canvas, light, -place * 0.84 * half, 0.84, 0.56, green, 0.0, SNOW)
    with still(layers, 1.25) as canvas:
        for x in span(frame, 0.9, 0.3):
            drift = ellipse(x, 1.06, 0.34, 0.085)
            canvas.drawPath(drift, gradient((0, 0.97), (0, 1.1), [rim(light, SNOW), cool(light, blue)]))
    return Backdrop(layers, ground=0.865, horizon=0.62)


def _cabin(canvas, frame, x, y, size):
    """A log cabin under snow, its window lit."""
    light, d = frame.light, 0.12
    canvas.drawPath(box(x - 0.7 * size, y - 0.62 * size, x + 0.7 * size, y + 0.1), flat(light.far(rgb("#7a4a30"), d)))
    canvas.drawPath(box(x + 0.34 * size, y - 1.35 * size, x + 0.52 * size, y - 0.8 * size),
                    flat(light.far(rgb("#6b5550"), d)))
    canvas.drawPath(polygon((x - 0.95 * size, y - 0.52 * size), (x - 0.45 * size, y - 1.15 * size),
                            (x + 0.45 * size, y - 1.15 * size), (x + 0.95 * size, y - 0.52 * size)),
                    gradient((0, y - 1.15 * size), (0, y - 0.5 * size), [
                        rim(light, SNOW, d), light.far(rgb("#b4cbee"), d)]))
    warm = mix(rgb("#ffd07a"), rgb("#fff0c0"), light.glow)
    if light.glow > 0:
        glow(canvas, x - 0.25 * size, y - 0.28 * size, 1.3 * size, rgb("#ffb04a"), 0.8 * light.glow)
    canvas.drawPath(box(x - 0.42 * size, y - 0.45 * size, x - 0.08 * size, y - 0.14 * size), flat(warm))
    canvas.drawPath(box(x + 0.2 * size, y - 0.45 * size, x + 0.46 * size, y + 0.1), flat(light.far(rgb("#4a2c20"), d)))


def park(frame: Frame) -> Backdrop:
    light, rng, layers = frame.light, frame.rng, []
    half, place = frame.aspect / 2, frame.rng.choice((-1, 1))
    greens = [rgb(c) for c in ("#4fa24a", "#77b53c", "#3f9160")]

    with still(layers, 0.15) as canvas:
        for x in span(frame, 0.17, 0.4):
            w, top = rng.uniform(0.05, 0.075), rng.uniform(0.36, 0.50)
            canvas.drawPath(box(x - w, top, x + w, 0.7), flat(light.far(rgb("#8796ad"), 0.72)))
    with still(layers, 0.3) as canvas:
        for x in span(frame, 0.15, 0.3):
            volume(canvas, light, leaves(rng, x, 0.60, 0.12, rng.uniform(0.07, 0.11)), rgb("#4d8f58"), 0.16, 0.42)
        hill(canvas, frame, ridge(frame, 0.655, 0.02, 1.6), rgb("#8ec45a"), 0.25, foot=rgb("#79b548"), depth=0.15)
    with still(layers, 0.55) as canvas:
        for x in span(frame, 0.46, 0.25):
            canvas.drawPath(ellipse(x - side(light) * 0.06, 0.705, 0.15, 0.018), flat(light.far(rgb("#4b8c38"), 0.15)))
            round_tree(canvas, frame, x, 0.705, rng.uniform(0.36, 0.46), greens[rng.integers(3)], 0.12)
    with still(layers, 0.9) as canvas:
        hill(canvas, frame, ridge(frame, 0.735, 0.02, 2.2), rgb("#8fcb4f"), 0.0, foot=rgb("#4f9a3a"), depth=0.3)
        upper, lower = ridge(frame, 0.83, 0.05, 1.7), ridge(frame, 0.965, 0.04, 2.1)
        canvas.save()
        canvas.clipPath(below(frame, lower), skia.ClipOp.kDifference, True)
        hill(canvas, frame, upper, rgb("#e6cfa0"), 0.0, foot=rgb("#cdb083"), depth=0.14)
        canvas.restore()
        _bench(canvas, light, -place * 0.60 * half, 0.80, 0.15)
        lamp_post(canvas, light, place * 0.72 * half, 0.80, 0.42)
        for x in span(frame, 0.9, 0.2):
            bed = leaves(rng, x, 1.0, 0.24, 0.045, 9)
            volume(canvas, light, bed, rgb("#3f8f3c"), 0.05)
            tint = (rgb("#f05a6a"), rgb("#ffd23f"), rgb("#c77be0"))[rng.integers(3)]
            for i in range(7):
                flower(canvas, light, x - 0.19 + 0.064 * i, 0.985 + 0.02 * (i % 2), 0.020, tint)
    return Backdrop(layers, ground=0.865, horizon=0.64)


def _bench(canvas, light, x, y, size):
    """A park bench seen from the front."""
    wood, iron = light.lit(rgb("#a3643a")), light.lit(rgb("#33383d"))
    for leg in (-0.75, 0.75):
        canvas.drawPath(box(x + leg * size - 0.008, y - 0.7 * size, x + leg * size + 0.008, y), flat(iron))
    for top in (-0.92, -0.68, -0.40):
        canvas.drawPath(box(x - size, y + top * size, x + size, y + (top + 0.17) * size, 0.006), flat(wood))
