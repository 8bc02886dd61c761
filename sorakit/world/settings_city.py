"""Settings with a street: city street, tokyo street, highway."""

from __future__ import annotations

import math

import skia

from .paint import Backdrop, Frame, box, ellipse, flat, glow, gradient, mix, polygon, rgb, stroke
from .settings_parts import (
    FLOOR,
    MARGIN,
    band,
    hill,
    in_view,
    joined,
    lamp_post,
    leaves,
    moving,
    pole,
    ridge,
    rim,
    shade,
    side,
    span,
    still,
    volume,
    wet_street,
    windows,
)

NEON = [rgb(c) for c in ("#ff3d81", "#25d7ff", "#ffb02e", "#b56bff", "#ff5340", "#42f5b0")]
BRICK = [rgb(c) for c in ("#c4694f", "#d8a765", "#8a97ad", "#b98a73", "#6f8fa6", "#d3bfa0")]


def city_street(frame: Frame) -> Backdrop:
    light, rng, layers = frame.light, frame.rng, []
    mirrored = []

    with still(layers, 0.15) as canvas:
        _skyline(canvas, frame, span(frame, 0.10), 0.10, 0.14, 0.30, rgb("#7f93b2"), 0.68)
    with still(layers, 0.4) as canvas:
        for i, x in enumerate(span(frame, 0.34, 0.15)):
            tower = BRICK[(i * 2 + rng.integers(2)) % 6]
            _tower(canvas, frame, x, rng.uniform(0.16, 0.34), 0.72, rng.uniform(0.24, 0.30), tower, 0.32, 0.022)
    if frame.style == "cyberpunk":
        _holograms(frame, layers, 0.45)
    with still(layers, 0.8) as canvas:
        for i, x in enumerate(span(frame, 0.42, 0.0)):
            awning = (rgb("#d94a3d"), rgb("#2f8f6b"), rgb("#e0a030"), rgb("#3f6fb8"))[(i + rng.integers(2)) % 4]
            wall = BRICK[(i + rng.integers(3)) % 6]
            _shop(canvas, frame, x, 0.42, wall, awning, rng.uniform(0.36, 0.43))
            mirrored.append((x, 0.26, rgb("#ffc46b")))
    with still(layers, 0.95) as canvas:
        band(canvas, frame, 0.725, 0.785, [light.lit(rgb("#b9b2ab")), light.lit(rgb("#cfc8be"))])
        band(canvas, frame, 0.785, 0.805, [rim(light, rgb("#dcd6cc"))] * 2)
        road = rgb("#5e626b")
        band(canvas, frame, 0.805, FLOOR, [light.lit(shade(road, 0.72)), light.lit(road), light.lit(shade(road, 0.9))],
             [0.0, 0.1, 1.0])
        if light.wet > 0:
            wet_street(canvas, frame, 0.81, mirrored if light.glow else [], light.wet * max(0.5, light.glow))
        for x in span(frame, 0.5, 0.0):
            canvas.drawPath(polygon((x - 0.13, 0.965), (x + 0.13, 0.965), (x + 0.14, 0.985), (x - 0.14, 0.985)),
                            flat(light.lit(rgb("#e9e4d2"))))
        for i, x in enumerate(span(frame, 0.55, 0.0)):
            if i % 2:
                lamp_post(canvas, light, x + 0.2, 0.785, 0.42)
                if light.glow > 0:
                    glow(canvas, x + 0.2, 0.80, 0.2, rgb("#ffc46b"), 0.35 * light.glow)
            else:
                _street_tree(canvas, frame, x + 0.2, 0.78)
    return Backdrop(layers, ground=0.885, horizon=0.72, mirror=0.35 * light.wet)


def _skyline(canvas, frame, places, step, low, high, colour, distance):
    """Towers far away: flat shapes with a few lit windows."""
    light, rng = frame.light, frame.rng
    tint = light.far(colour, distance)
    for x in places:
        w, top = step * rng.uniform(0.4, 0.62), rng.uniform(low, high)
        canvas.drawPath(box(x - w, top, x + w, 0.75), gradient((0, low), (0, 0.7), [
            tint, mix(tint, light.haze_colour, 0.5)]))
        if rng.random() < 0.4:
            canvas.drawPath(box(x - 0.35 * w, top - 0.04, x + 0.35 * w, top), flat(tint))
        if light.glow > 0:
            for wx, wy in ((-0.45, 0.04), (0.45, 0.04), (-0.45, 0.09), (0.45, 0.09), (-0.45, 0.14), (0.45, 0.14)):
                if rng.random() < 0.6:
                    canvas.drawPath(box(x + wx * w - 0.011, top + wy - 0.012, x + wx * w + 0.011, top + wy + 0.012),
                                    flat(rgb("#ffcf86"), 0.7 * light.glow))


def _tower(canvas, frame, x, top, bottom, width, colour, distance, pane, share=0.55):
    """A block of flats with a lit and a dark side and a grid of windows."""
    light, toward, w = frame.light, side(frame.light), width / 2
    canvas.drawPath(box(x - w, top, x + w, bottom), gradient((x - toward * w, 0), (x + toward * w, 0), [
        light.far(shade(colour, 0.68), distance), rim(light, colour, distance, 0.22)]))
    canvas.drawPath(box(x - w - 0.008, top - 0.016, x + w + 0.008, top), flat(rim(light, colour, distance)))
    windows(canvas, frame, x - 0.88 * w, top + 0.02, x + 0.88 * w, bottom - 0.02, pane, distance, share)
    if frame.style == "cyberpunk":
        tint = NEON[int(abs(x) * 7) % 6]
        for edge in (x - w, x + w):
            canvas.drawLine(edge, top, edge, bottom, stroke(tint, 0.010, 0.55 + 0.4 * light.glow))


def _shop(canvas, frame, x, width, wall, awning, top):
    """A house with a shop on the ground floor under a striped awning."""
    light, w = frame.light, width / 2
    canvas.drawPath(box(x - w, top, x + w, 0.73), gradient((x - side(light) * w, 0), (x + side(light) * w, 0), [
        light.far(shade(wall, 0.72), 0.08), light.far(wall, 0.08)]))
    canvas.drawPath(box(x - w, top - 0.022, x + w, top + 0.006), flat(rim(light, shade(wall, 1.15), 0.08)))
    windows(canvas, frame, x - 0.84 * w, top + 0.015, x + 0.84 * w, 0.555, 0.036, 0.05)
    show = mix(light.lit(rgb("#8fb3c4")), rgb("#ffd694"), 0.25 + 0.75 * light.glow)
    canvas.drawPath(box(x - 0.86 * w, 0.60, x + 0.36 * w, 0.71),
                    gradient((0, 0.6), (0, 0.71), [show, shade(show, 0.72)]))
    canvas.drawPath(box(x + 0.50 * w, 0.60, x + 0.82 * w, 0.73),
                    flat(mix(light.lit(rgb("#4b3a34")), show, 0.3 * light.glow)))
    for dx in (-0.5, -0.12):
        canvas.drawPath(box(x + dx * w - 0.022, 0.655, x + dx * w + 0.022, 0.71, 0.008), flat(shade(show, 0.5)))
    stripes = 6
    for i in range(stripes):
        a, b = (2 * i / stripes - 1, 2 * (i + 1) / stripes - 1)
        tint = light.lit(awning if i % 2 else rgb("#fbf3e2"), 1.0)
        tint = mix(tint, mix(awning if i % 2 else rgb("#fbf3e2"), rgb("#ffb45a"), 0.4), 0.35 * light.glow)
        canvas.drawPath(polygon((x + 0.84 * a * w, 0.562), (x + 0.84 * b * w, 0.562), (x + 0.96 * b * w, 0.618),
                                (x + 0.96 * a * w, 0.618)), flat(tint))
        canvas.drawPath(ellipse(x + 0.48 * (a + b) * w, 0.618, 0.16 * w, 0.014), flat(tint))
    if light.glow > 0:
        glow(canvas, x, 0.66, 0.24, rgb("#ffb45a"), 0.45 * light.glow)


def _street_tree(canvas, frame, x, y):
    """A small tree in a pot of earth on the pavement."""
    light = frame.light
    canvas.drawPath(pole(x, y, 0.18, 0.022, 0.016), flat(light.lit(rgb("#5a4034"))))
    volume(canvas, light, leaves(frame.rng, x, y - 0.25, 0.085, 0.095), rgb("#58a04a"), 0.16)


def tokyo_street(frame: Frame) -> Backdrop:
    light, rng, layers = frame.light, frame.rng, []
    half = frame.aspect / 2
    neon = max(light.glow, {"day": 0.35, "dawn": 0.55, "sunset": 0.75, "night": 1.0}[light.time])
    concrete = [rgb(c) for c in ("#565a86", "#75557f", "#466a8c", "#8a5f74")]
    mirrored, flickers = [], []

    with still(layers, 0.15) as canvas:
        _skyline(canvas, frame, span(frame, 0.13), 0.13, 0.20, 0.40, rgb("#74709c"), 0.6)
        glow(canvas, 0, 0.66, 0.60, rgb("#ff5fa8"), 0.65 * neon)
        for dx in (-0.09, -0.03, 0.05, 0.11):
            y = rng.uniform(0.40, 0.56)
            _sign(canvas, frame, dx, y, 0.035, 0.12, NEON[rng.integers(6)], 0.75 * neon, marks=2)
    for depth, step, inner, top, tall, wide, foot in ((0.4, 0.27, 0.20, 0.10, 0.24, 0.075, 0.70),
                                                     (0.75, 0.46, 0.58, -0.15, 0.40, 0.125, 0.745)):
        with still(layers, depth) as canvas:
            distance = 0.45 * (1 - depth)
            for i, x in enumerate(span(frame, step, 0.08)):
                if abs(x) < inner * half:
                    continue
                wall = concrete[(i + rng.integers(2)) % 4]
                _tower(canvas, frame, x, top + rng.uniform(-0.08, 0.12), foot + 0.04, step * 0.94, wall, distance,
                       0.022 + 0.012 * depth, share=0.22)
            for i, x in enumerate(span(frame, 0.5 * step, 0.2)):
                if abs(x) < (inner - 0.02) * half:
                    continue
                y, tint = rng.uniform(0.12, 0.34) + 0.10 * (i % 2), NEON[(i + rng.integers(3)) % 6]
                _sign(canvas, frame, x, y, wide, tall, tint, neon)
                mirrored.append((x, wide * 1.1, tint))
                if i % 3 == 0:
                    flickers.append((x, y + tall / 2, 1.3 * wide, tint, 2.1 * i))
    with still(layers, 0.8) as canvas:
        for x in span(frame, 0.30, 0.1):
            if abs(x) > 0.42 * half:
                _stall(canvas, frame, x, neon)
                mirrored.append((x, 0.16, rgb("#ff8a3c")))
        for y0, sag in ((-0.04, 0.10), (-0.02, 0.14)):
            cable = skia.PathBuilder()
            cable.moveTo(-frame.reach - MARGIN, y0)
            for x in span(frame, 1.2, 0.0):
                cable.quadTo(x, y0 + 2 * sag, x + 0.6, y0)
            canvas.drawPath(cable.detach(), stroke(light.lit(rgb("#22222e")), 0.012))
    if frame.style == "cyberpunk":
        _holograms(frame, layers, 0.45)
    with still(layers, 0.9) as canvas:
        road = rgb("#4a4c62")
        band(canvas, frame, 0.745, FLOOR, [light.lit(shade(road, 0.8)), light.lit(road), light.lit(shade(road, 0.7))])
        wet_street(canvas, frame, 0.75, [*mirrored, (0.0, 0.3, rgb("#ff6fae"))], 0.75 * neon)
        for x in span(frame, 0.6, 0.0):
            canvas.drawPath(polygon((x - 0.13, 0.93), (x + 0.05, 0.93), (x + 0.06, 0.955), (x - 0.14, 0.955)),
                            flat(light.lit(rgb("#e8e6ee")), 0.55))

    def flicker(canvas, t):
        for x, y, size, tint, phase in in_view(canvas, flickers, 0.2):
            glow(canvas, x, y, 2.2 * size, tint, neon * (0.25 + 0.2 * math.sin(2.6 * t + phase)))

    moving(layers, 0.7, flicker)
    return Backdrop(layers, ground=0.87, horizon=0.70, mirror=0.45)


def _sign(canvas, frame, x, y, width, height, tint, neon, marks=3):
    """A vertical neon sign with a few abstract strokes."""
    rng, w = frame.rng, width / 2
    glow(canvas, x, y + height / 2, 0.9 * height, tint, 0.7 * neon)
    board = mix(frame.light.lit(shade(tint, 0.5)), shade(tint, 0.42), neon)
    canvas.drawPath(box(x - w, y, x + w, y + height, 0.25 * w), flat(mix(frame.light.lit(tint), tint, neon)))
    canvas.drawPath(box(x - 0.74 * w, y + 0.26 * w, x + 0.74 * w, y + height - 0.26 * w, 0.2 * w), flat(board))
    line = stroke(mix(frame.light.lit((1.0, 1.0, 1.0)), mix(tint, (1.0, 1.0, 1.0), 0.75), neon), max(0.010, 0.26 * w))
    pitch = (height - 0.8 * w) / marks
    for i in range(marks):
        cy, r = y + 0.4 * w + (i + 0.5) * pitch, 0.42 * w
        strokes = [((-r, 0), (r, 0)), ((0, -r), (0, r)), ((-r, -r), (r, -r)), ((-r, r), (r, r)), ((-r, -r), (-r, r))]
        for j in rng.choice(5, 3, replace=False):
            (x0, y0), (x1, y1) = strokes[j]
            canvas.drawLine(x + x0, cy + y0, x + x1, cy + y1, line)


def _stall(canvas, frame, x, neon):
    """A small bar: warm window, short curtain, a paper lantern at its side."""
    light, warm = frame.light, rgb("#ffb45a")
    glow(canvas, x, 0.68, 0.2, warm, 0.6 * neon)
    canvas.drawPath(box(x - 0.13, 0.585, x + 0.13, 0.755), flat(light.lit(rgb("#5a3a34"))))
    canvas.drawPath(box(x - 0.11, 0.615, x + 0.11, 0.755), gradient((0, 0.6), (0, 0.755), [
        mix(light.lit(warm), rgb("#ffe0a0"), neon), mix(light.lit(warm), rgb("#ff9a45"), neon)]))
    for i in range(4):
        left = x - 0.11 + 0.056 * i
        cloth = rgb("#c8323c") if frame.rng.random() < 0.8 else rgb("#2c4a8c")
        canvas.drawPath(box(left, 0.61, left + 0.05, 0.662), flat(mix(light.lit(cloth), cloth, 0.6 * neon)))
    for dx in (-0.145, 0.145):
        if neon > 0.3:
            glow(canvas, x + dx, 0.63, 0.08, rgb("#ff5a3c"), 0.7 * neon)
        canvas.drawPath(ellipse(x + dx, 0.63, 0.022, 0.032), flat(mix(light.lit(rgb("#e23b2e")), rgb("#ff5a3c"), neon)))
        canvas.drawPath(ellipse(x + dx, 0.632, 0.011, 0.018), flat(rgb("#ffd08a"), neon))


def _holograms(frame, layers, depth):
    """Tall translucent billboards that float between the towers and slowly pulse."""
    boards = []
    for i, x in enumerate(span(frame, 0.75, 0.2)):
        tint = NEON[(2 * i + 1) % 6]
        y, w, h = frame.rng.uniform(0.14, 0.24), 0.11, 0.26
        face = [box(x - w, y, x + w, y + h), ellipse(x, y + 0.38 * h, 0.45 * w, 0.45 * w),
                box(x - 0.6 * w, y + 0.70 * h, x + 0.6 * w, y + 0.77 * h),
                box(x - 0.4 * w, y + 0.84 * h, x + 0.4 * w, y + 0.9 * h)]
        boards.append((x, face, tint, 1.7 * i))

    def draw(canvas, t):
        for _, (panel, *marks), tint, phase in in_view(canvas, boards, 0.2):
            pulse = 0.75 + 0.25 * math.sin(1.8 * t + phase)
            canvas.drawPath(panel, flat(tint, 0.34 * pulse))
            canvas.drawPath(panel, stroke(tint, 0.012, 0.9 * pulse))
            for mark in marks:
                canvas.drawPath(mark, flat(mix(tint, (1.0, 1.0, 1.0), 0.6), 0.8 * pulse))

    moving(layers, depth, draw)


def highway(frame: Frame) -> Backdrop:
    light, rng, layers = frame.light, frame.rng, []
    half = frame.aspect / 2

    with still(layers, 0.1) as canvas:
        hill(canvas, frame, ridge(frame, 0.60, 0.24, 1.2), rgb("#7487b8"), 0.66)
    with still(layers, 0.2) as canvas:
        downtown = [x for x in span(frame, 0.075) if math.cos(2 * math.pi * (x / 1.5 - 0.12)) > 0.1]
        _skyline(canvas, frame, downtown, 0.08, 0.34, 0.52, rgb("#5f7396"), 0.55)
    with still(layers, 0.35) as canvas:
        hill(canvas, frame, ridge(frame, 0.66, 0.07, 1.5), rgb("#86a866"), 0.42, depth=0.18)
    with still(layers, 0.6) as canvas:
        for x in span(frame, 0.2, 0.4):
            volume(canvas, light, leaves(rng, x, 0.665, 0.10, 0.04), rgb("#4f8048"), 0.06, 0.2)
        hill(canvas, frame, ridge(frame, 0.69, 0.02, 2.0), rgb("#9cba62"), 0.12, foot=rgb("#7f9c4e"), depth=0.1)
    if frame.style == "cyberpunk":
        _holograms(frame, layers, 0.4)
    with still(layers, 0.9) as canvas:
        posts = span(frame, 0.85, 0.0)
        for x in posts:
            lamp_post(canvas, light, x + 0.3, 0.73, 0.50, reach=0.14)
        _gantry(canvas, frame, rng.choice((-0.5, 0.5)) * half)
        road = rgb("#565a63")
        band(canvas, frame, 0.735, FLOOR, [light.lit(shade(road, 0.85)), light.lit(road), light.lit(shade(road, 0.82))])
        if light.wet > 0 or frame.style == "cyberpunk":
            wet_street(canvas, frame, 0.76, [(x + 0.44, 0.08, rgb("#ffd98a")) for x in posts] if light.glow else [],
                       max(light.wet, 0.4) * max(0.5, light.glow))
        if light.glow > 0:
            for x in posts:
                canvas.drawPath(ellipse(x + 0.44, 0.83, 0.34, 0.06), _pool(x + 0.44, 0.83, 0.34, light.glow))
        band(canvas, frame, 0.762, 0.776, [light.lit(rgb("#f2ead2"))] * 2)
        for x in span(frame, 0.42, 0.0):
            canvas.drawPath(polygon((x - 0.10, 0.928), (x + 0.10, 0.928), (x + 0.105, 0.948), (x - 0.105, 0.948)),
                            flat(light.lit(rgb("#f6efdc"))))
        for x in span(frame, 0.22, 0.0):
            canvas.drawPath(box(x - 0.010, 0.70, x + 0.008, 0.745), flat(light.lit(rgb("#7d848c"))))
        rail = light.lit(rgb("#c3cad0"))
        band(canvas, frame, 0.668, 0.718, [rim(light, rgb("#f0f4f7")), rail, shade(rail, 0.55), rail, shade(rail, 0.7)],
             [0.0, 0.3, 0.5, 0.7, 1.0])
        if frame.style == "cyberpunk":
            band(canvas, frame, 0.660, 0.674, [NEON[1]] * 2)
            band(canvas, frame, 0.762, 0.776, [NEON[0]] * 2)
    return Backdrop(layers, ground=0.865, horizon=0.64, mirror=0.35 * light.wet)


def _pool(x, y, radius, strength):
    """The light a lamp throws on the road: a flat ellipse that fades out."""
    colours = [skia.Color4f(1.0, 0.82, 0.5, a * strength).toColor() for a in (0.40, 0.0)]
    squash = skia.Matrix()
    squash.setScale(1.0, 0.18, x, y)
    return skia.Paint(AntiAlias=True, Shader=skia.GradientShader.MakeRadial(skia.Point(x, y), radius, colours, None,
                                                                           skia.TileMode.kClamp, 0, squash))


def _gantry(canvas, frame, x):
    """A big sign board on two posts, with an arrow and bars for words."""
    light = frame.light
    steel, board = light.lit(rgb("#7d858d")), light.lit(rgb("#1f7a4f"))
    board = mix(board, rgb("#2a9a66"), 0.35 * light.glow)
    white = mix(light.lit((0.95, 0.97, 0.95)), (0.95, 0.97, 0.95), 0.6 * light.glow)
    for dx in (-0.15, 0.15):
        canvas.drawPath(box(x + dx - 0.010, 0.40, x + dx + 0.010, 0.74), flat(steel))
    canvas.drawPath(box(x - 0.21, 0.30, x + 0.21, 0.47, 0.014), flat(white))
    canvas.drawPath(box(x - 0.198, 0.312, x + 0.198, 0.458, 0.01), flat(board))
    canvas.drawPath(joined([box(x - 0.15, 0.345, x + 0.03, 0.372), box(x - 0.15, 0.40, x - 0.02, 0.427),
                            box(x + 0.105, 0.37, x + 0.125, 0.435),
                            polygon((x + 0.115, 0.335), (x + 0.165, 0.385), (x + 0.065, 0.385))]), flat(white))
