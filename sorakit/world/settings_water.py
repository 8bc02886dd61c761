"""Settings at, on and under the water: beach, mountain lake, open sea, underwater."""

from __future__ import annotations

import math

import numpy as np
import skia

from .paint import Backdrop, Frame, blob, ellipse, flat, gradient, mix, polygon, rgb, stroke
from .settings_parts import (
    FLOOR,
    MARGIN,
    band,
    cool,
    crescents,
    drifting,
    fir,
    hill,
    in_view,
    joined,
    moving,
    peak,
    pole,
    ridge,
    rim,
    shade,
    side,
    soft,
    span,
    still,
    stones,
    swaying,
    tuft,
)


def beach(frame: Frame) -> Backdrop:
    light, rng, layers = frame.light, frame.rng, []
    half, place = frame.aspect / 2, frame.rng.choice((-1, 1))

    with still(layers, 0.1) as canvas:
        hill(canvas, frame, lambda x: 0.53 - 0.13 * np.exp(-((x + place * 0.8 * half) / (0.55 * half)) ** 2),
             rgb("#4f8f78"), 0.42, depth=0.16)
    with still(layers, 0.25) as canvas:
        _sea(canvas, frame, 0.52, 0.76, [rgb("#1e6fae"), rgb("#24a3bf"), rgb("#7fdccb")])
    rows = [(crescents(frame, y, step, w, 0.014), flat(_foam(light), a), 0.03, s)
            for y, step, w, a, s in ((0.555, 0.24, 0.07, 0.35, 4.0), (0.595, 0.34, 0.12, 0.5, 5.0),
                                     (0.64, 0.5, 0.2, 0.7, 6.0))]
    rows.append((_sun_glints(frame, 0.52), flat(mix(light.key, (1.0, 1.0, 1.0), 0.3), 0.8), 0.02, 3.0))
    moving(layers, 0.4, drifting(rows))
    with still(layers, 0.9) as canvas:
        hill(canvas, frame, lambda x: _shore(x, 0.725), rgb("#d9b27a"), 0.0, foot=rgb("#f4d797"), depth=0.05)
        hill(canvas, frame, lambda x: _shore(x, 0.775), rgb("#f6dca0"), 0.0, foot=rgb("#dba968"), depth=0.36)
        for x in span(frame, 0.75, 0.4):
            canvas.drawPath(ellipse(x, rng.uniform(0.92, 1.0), 0.22, 0.016),
                            soft(light.lit(rgb("#c79259")), 0.6, 0.006))
    moving(layers, 0.9, _surf(frame))
    with still(layers, 0.9) as canvas:
        _parasol(canvas, frame, -place * 0.74 * half, 0.815, 0.25)
    _palm(layers, frame, place * 0.88 * half, -place)
    with still(layers, 1.25) as canvas:
        for x in span(frame, 1.0, 0.3):
            stones(canvas, frame, x, 1.02, 0.06, rgb("#a58a78"))
            points = [(x + 0.26 + r * math.sin(a), 0.965 + 0.6 * r * math.cos(a))
                      for r, a in zip([0.045, 0.02] * 5, np.arange(10) * math.pi / 5)]
            canvas.drawPath(blob(*points), flat(light.lit(rgb("#ef6b4a"))))
    return Backdrop(layers, ground=0.865, horizon=0.52)


def _shore(x, y):
    """The line where sand and water meet."""
    return y + 0.012 * np.sin(2.1 * x + 0.6)


def _foam(light):
    """The colour of foam."""
    return mix(light.lit((1.0, 1.0, 1.0)), light.key, 0.25)


def _sea(canvas, frame, horizon, bottom, colours):
    """Water from the horizon down, tinted by the sky it mirrors, with the sun's path on it."""
    light = frame.light
    far, middle, near = (mix(light.lit(c), light.sky[1], s) for c, s in zip(colours, (0.45, 0.25, 0.10)))
    band(canvas, frame, horizon, bottom, [far, middle, near])
    x = light.sun[0] * frame.aspect / 2
    for w, alpha in ((0.05, 0.30), (0.12, 0.16)):
        canvas.drawRect(skia.Rect.MakeLTRB(x - w, horizon, x + w, bottom), soft(light.key, alpha, 0.3 * w))


def _surf(frame):
    """The last wave: a sheet of clear water and foam that runs up the sand and back."""
    light = frame.light
    x = np.arange(-frame.reach - 0.4, frame.reach + 0.4, 0.06)
    scallops = 0.012 * np.abs(np.sin(3.7 * x)) + 0.006 * np.sin(9 * x)
    front = list(zip(x.tolist(), (_shore(x, 0.742) + scallops).tolist()))
    sheet = polygon((x[0], 0.66), *front, (x[-1], 0.66))
    foam = skia.Path.Polygon([skia.Point(*p) for p in front], False)
    water = gradient((0, 0.66), (0, 0.765), [light.lit(rgb("#6ad2c8")), light.lit(rgb("#b5ece0"))], None, [0.9, 0.6])
    wet, line = flat(light.lit(rgb("#a87c4c")), 0.35), stroke(_foam(light), 0.016)
    back = stroke(_foam(light), 0.013, 0.7)

    def draw(canvas, t):
        run = 0.022 * math.sin(2 * math.pi * t / 4.5)
        slide = 0.04 * math.sin(2 * math.pi * t / 9.0)
        canvas.save()
        canvas.translate(slide, 0.040)
        canvas.drawPath(sheet, wet)
        canvas.translate(0, run - 0.030)
        canvas.drawPath(sheet, water)
        canvas.drawPath(foam, line)
        canvas.translate(-0.5 * slide + 0.2, -0.042 + 0.4 * run)
        canvas.drawPath(foam, back)
        canvas.restore()

    return draw


def _parasol(canvas, frame, x, y, height):
    """A striped parasol stuck in the sand, a towel under it."""
    light = frame.light
    red, white = rgb("#e8483f"), rgb("#fff6e6")
    canvas.drawPath(ellipse(x - side(light) * 0.04, y + 0.004, 0.13, 0.016), flat(light.lit(rgb("#b98a57")), 0.8))
    canvas.drawPath(polygon((x - 0.10, y - 0.005), (x + 0.09, y - 0.005), (x + 0.12, y + 0.02), (x - 0.10, y + 0.02)),
                    flat(light.lit(rgb("#2f9fd0"))))
    canvas.drawPath(pole(x, y, height, 0.014), flat(light.lit(rgb("#f2e7d3"))))
    w, top, low = 0.62 * height, y - 1.02 * height, y - 0.62 * height
    ribs = [(-1.0, -0.62), (-0.62, -0.22), (-0.22, 0.22), (0.22, 0.62), (0.62, 1.0)]
    for i, (a, b) in enumerate(ribs):
        panel = skia.PathBuilder()
        panel.moveTo(x, top)
        panel.quadTo(x + 0.92 * a * w, top + 0.1 * height, x + a * w, low)
        panel.quadTo(x + (a + b) / 2 * w, low - 0.03 * height, x + b * w, low)
        panel.quadTo(x + 0.92 * b * w, top + 0.1 * height, x, top)
        gain = 1.0 + 0.14 * side(light) * (a + b) / 2
        canvas.drawPath(panel.detach(), flat(light.lit(shade(white if i % 2 else red, gain))))


def _palm(layers, frame, x, lean):
    """A palm that leans over the beach and rocks in the wind."""
    light, rng = frame.light, frame.rng
    top = (lean * 0.10, -0.50)

    def paint(canvas):
        bark = light.lit(rgb("#8a5f3f"))
        trunk = skia.PathBuilder()
        trunk.moveTo(-0.028, 0.02)
        trunk.quadTo(-lean * 0.02 - 0.014, -0.28, top[0] - 0.011, top[1])
        trunk.lineTo(top[0] + 0.011, top[1])
        trunk.quadTo(-lean * 0.02 + 0.018, -0.28, 0.028, 0.02)
        across = [shade(bark, 0.7), bark, rim(light, rgb("#b98a5f"))][::side(light)]
        canvas.drawPath(trunk.detach(), gradient((-0.03, 0), (0.03, 0), across))
        for i, angle in enumerate((-172, -140, -105, -75, -40, -8, 28, 152)):
            a, tint = math.radians(angle + rng.uniform(-6, 6)), (rgb("#2f7f47"), rgb("#49a353"))[i % 2]
            dx, dy = 0.26 * math.cos(a), 0.15 * math.sin(a)
            leaf = skia.PathBuilder()
            leaf.moveTo(*top)
            leaf.quadTo(top[0] + 0.6 * dx, top[1] + dy - 0.09, top[0] + dx, top[1] + dy + 0.09)
            leaf.quadTo(top[0] + 0.55 * dx, top[1] + dy - 0.01, *top)
            canvas.drawPath(leaf.detach(), flat(light.lit(tint)))
        for dx in (-0.018, 0.016):
            canvas.drawPath(ellipse(top[0] + dx, top[1] + 0.018, 0.018, 0.018), flat(light.lit(rgb("#6d4527"))))

    swaying(layers, 0.95, [(x, 0.86, paint, 2.0, 5.0)])


def mountain_lake(frame: Frame) -> Backdrop:
    light, rng, layers = frame.light, frame.rng, []
    water = 0.575
    peaks = [(x, rng.uniform(0.12, 0.30), rng.uniform(0.32, 0.46)) for x in span(frame, 0.50, 0.25)]
    peaks.sort(key=lambda p: -p[1])
    woods = [(x, rng.uniform(0.08, 0.14)) for x in span(frame, 0.075, 0.5)]
    low = ridge(frame, water + 0.005, 0.075, 1.3)

    def shore(canvas):
        for x, top, width in peaks:
            peak(canvas, light, x, top, water + 0.01, width, rgb("#6f83ad"), 0.42, rgb("#f4f8ff"))
        canvas.save()
        canvas.clipRect(skia.Rect.MakeLTRB(-99, -9, 99, water))
        hill(canvas, frame, low, rgb("#4d8068"), 0.34, depth=0.1)
        canvas.restore()
        for x, tall in woods:
            fir(canvas, light, x, water + 0.004, tall, rgb("#2c6152"), 0.28)

    with still(layers, 0.15) as canvas:
        top, middle, low_sky = (mix(c, light.lit(rgb("#2a6f96")), 0.25) for c in light.sky)
        band(canvas, frame, water, FLOOR, [low_sky, middle, top], [0.0, 0.3, 0.6])
        canvas.save()  # the mirror image: upside down, a little flattened, under a veil of water
        canvas.clipRect(skia.Rect.MakeLTRB(-99, water, 99, FLOOR))
        canvas.translate(0, water * 1.72)
        canvas.scale(1, -0.72)
        shore(canvas)
        canvas.restore()
        veil = light.lit(rgb("#2b6d94"))
        canvas.drawRect(skia.Rect.MakeLTRB(-frame.reach - MARGIN, water, frame.reach + MARGIN, FLOOR),
                        gradient((0, water), (0, 0.85), [veil, veil], None, [0.10, 0.55]))
        shore(canvas)
        band(canvas, frame, water - 0.004, water + 0.008, [rim(light, rgb("#cfe6ea"), 0.2)] * 2)
    rows = [(crescents(frame, y, step, w, 0.012), flat(mix(light.sky[2], light.key, 0.4), a), 0.03, s)
            for y, step, w, a, s in ((0.625, 0.42, 0.10, 0.4, 5.0), (0.665, 0.55, 0.16, 0.45, 6.0),
                                     (0.72, 0.75, 0.22, 0.5, 7.0))]
    moving(layers, 0.4, drifting(rows))
    with still(layers, 0.95) as canvas:  # clear shallows over pale gravel, then the grassy bank
        gravel, edge = light.lit(rgb("#a9d3cc")), cool(light, rgb("#3f8fa8"))
        canvas.drawRect(skia.Rect.MakeLTRB(-frame.reach - MARGIN, 0.74, frame.reach + MARGIN, FLOOR),
                        gradient((0, 0.74), (0, 0.96), [edge, mix(edge, gravel, 0.5), gravel], None, [0.0, 0.55, 0.85]))
        for x in span(frame, 0.75, 0.4):
            canvas.drawPath(ellipse(x, 0.802, 0.10, 0.012), flat(cool(light, rgb("#2f6d8c")), 0.6))
            stones(canvas, frame, x, 0.80, 0.038, rgb("#8d929c"))
        hill(canvas, frame, ridge(frame, 0.965, 0.035, 2.2), rgb("#8fb25a"), 0.0, foot=rgb("#4f7d3f"), depth=0.16)
        fir(canvas, light, rng.choice((-1, 1)) * 0.86 * frame.aspect / 2, 0.99, 0.70, rgb("#2a5c48"))
    with still(layers, 1.25) as canvas:
        for x in span(frame, 0.6, 0.4):
            canvas.drawPath(tuft(rng, x, 1.04, 0.13, 7), flat(light.lit(rgb("#3a6a34"))))
    return Backdrop(layers, ground=0.865, horizon=water, mirror=0.5)


def open_sea(frame: Frame) -> Backdrop:
    light, layers = frame.light, []
    horizon = 0.55
    deep = [rgb("#3d9fd0"), rgb("#1673b4"), rgb("#0b4a8c")]

    with still(layers, 0.1) as canvas:
        _sea(canvas, frame, horizon, FLOOR, deep)
        band(canvas, frame, horizon, horizon + 0.012,
             [mix(light.sky[2], light.key, 0.25), mix(light.sky[1], light.key, 0.1)])
    glints = [(_sun_glints(frame, horizon), flat(mix(light.key, (1.0, 1.0, 1.0), 0.3), 0.85), 0.02, 3.0)]
    rows = [(crescents(frame, y, step, w, 0.013), flat(_foam(light), a), 0.03, s)
            for y, step, w, a, s in ((0.59, 0.26, 0.07, 0.3, 4.0), (0.63, 0.4, 0.11, 0.35, 5.0))]
    moving(layers, 0.3, drifting(rows + glints))

    swells = []
    for i, (y, wavelength, height) in enumerate(((0.645, 0.34, 0.020), (0.69, 0.46, 0.030), (0.755, 0.62, 0.042),
                                                 (0.86, 0.85, 0.060), (0.975, 1.1, 0.075))):
        swells.append(_swell(frame, y, wavelength, height, mix(deep[0], deep[2], 0.25 + 0.17 * i)))

    def waves(canvas, t):
        for i, (wavelength, shapes) in enumerate(swells):
            slide = t / (3.0 + 0.9 * i) * (1 if i % 2 else -1) * 0.5 + 0.37 * i
            canvas.save()
            canvas.translate(wavelength * (slide % 1.0 - 0.5), 0.012 * math.sin(2 * math.pi * t / 3.2 + 1.3 * i))
            for path, paint in shapes:
                canvas.drawPath(path, paint)
            canvas.restore()

    moving(layers, 0.8, waves)
    return Backdrop(layers, ground=0.80, horizon=horizon, mirror=0.45, shadows=False)


def _swell(frame, y, wavelength, height, colour):
    """A row of pointed waves: water, the lit upper face of each, foam on the tips. Repeats every wavelength."""
    light, toward = frame.light, side(frame.light)
    body = mix(mix(light.lit(colour), light.sky[1], 0.14), light.lit(rgb("#45c3d6")), 0.30)
    face = mix(mix(body, light.lit(rgb("#8fece2")), 0.32), mix(light.sky[1], light.key, 0.3), 0.30)
    water, faces, foam = skia.PathBuilder(), [], []
    count = int((frame.reach + 1.0) / wavelength) + 2
    water.moveTo(-count * wavelength, y + 0.3)
    water.lineTo(-count * wavelength, y)
    for i in range(-count, count):
        x, tip = i * wavelength, (i + 0.5) * wavelength
        water.cubicTo(x + 0.25 * wavelength, y, tip - 0.16 * wavelength, y - 0.75 * height, tip, y - height)
        water.cubicTo(tip + 0.16 * wavelength, y - 0.75 * height, tip + 0.25 * wavelength, y, x + wavelength, y)
        lit = skia.PathBuilder()
        lit.moveTo(tip, y - height)
        lit.cubicTo(tip + toward * 0.16 * wavelength, y - 0.75 * height, tip + toward * 0.25 * wavelength, y,
                    tip + toward * 0.5 * wavelength, y)
        lit.cubicTo(tip + toward * 0.3 * wavelength, y + 0.2 * height, tip, y + 0.1 * height, tip, y - height)
        faces.append(lit.detach())
        foam.append(blob((tip - 0.15 * wavelength, y - 0.66 * height), (tip, y - 1.10 * height),
                         (tip + 0.15 * wavelength, y - 0.66 * height), (tip, y - 0.84 * height)))
    water.lineTo(count * wavelength, y + 0.3)
    low = cool(light, colour)
    return wavelength, [(water.detach(), gradient((0, y - height), (0, y + 0.11), [body, low])),
                        (joined(faces), flat(face, 0.75)), (joined(foam), flat(_foam(light), 0.9))]


def _sun_glints(frame, horizon):
    """The glittering path under the sun or moon."""
    x, shapes = frame.light.sun[0] * frame.aspect / 2, skia.Path()
    for i in range(7):
        y, w = horizon + 0.018 + 0.022 * i, (0.03 + 0.014 * i) * frame.rng.uniform(0.7, 1.1)
        cx = x + frame.rng.uniform(-0.03, 0.03) * (1 + 0.4 * i)
        shapes.addPath(polygon((cx - w, y), (cx, y - 0.006), (cx + w, y), (cx, y + 0.006)))
    return shapes


def underwater(frame: Frame) -> Backdrop:
    rng, layers = frame.rng, []
    aqua, navy = rgb("#5fe0e6"), rgb("#06224f")

    with still(layers, 0.0) as canvas:
        band(canvas, frame, -0.2, FLOOR, [rgb("#b6fbf0"), aqua, rgb("#1a8fc4"), rgb("#0f5593"), navy],
             [0.05, 0.22, 0.5, 0.75, 1.0])
    moving(layers, 0.1, _sun_rays(frame))
    with still(layers, 0.25) as canvas:
        for x in span(frame, 0.7, 0.3):
            _rock(canvas, rng, x, 0.85, rng.uniform(0.26, 0.34), rng.uniform(0.22, 0.36), rgb("#2a80b0"),
                  rgb("#17679f"))
    with still(layers, 0.5) as canvas:
        for x in span(frame, 0.85, 0.3):
            _rock(canvas, rng, x, 0.88, 0.24, rng.uniform(0.12, 0.22), rgb("#23659c"), rgb("#164a80"))
        for i, x in enumerate(span(frame, 0.4, 0.3)):
            tint = mix((rgb("#f0719a"), rgb("#f7a24b"), rgb("#a678e2"))[i % 3], rgb("#1c70a8"), 0.35)
            _coral(canvas, x, 0.82, rng.uniform(0.12, 0.18), tint)
    with still(layers, 0.9) as canvas:
        sand = ridge(frame, 0.84, 0.035, 1.9)
        x = np.linspace(-frame.reach - MARGIN, frame.reach + MARGIN, 90)
        canvas.drawPath(polygon((x[0], FLOOR), *zip(x.tolist(), sand(x).tolist()), (x[-1], FLOOR)),
                        gradient((0, 0.8), (0, 1.05), [rgb("#d8d5a4"), rgb("#5b8f9c")]))
        for x in span(frame, 0.62, 0.3):
            canvas.drawPath(ellipse(x, 0.92, 0.17, 0.014), soft(rgb("#f1ecc0"), 0.6, 0.006))
        bold = [rgb("#ff5d7e"), rgb("#ffb13d"), rgb("#b45cf0"), rgb("#ff7f50")]
        for i, x in enumerate(span(frame, 0.55, 0.25)):
            y, tint = float(sand(np.array(x))) + 0.05, bold[(i + rng.integers(2)) % 4]
            if i % 2:
                _coral(canvas, x, y, 0.22, tint)
            else:
                for dx, r in ((-0.07, 0.06), (0.075, 0.055), (0.0, 0.085)):
                    dome = blob((x + dx - r, y), (x + dx - 0.7 * r, y - 0.8 * r), (x + dx, y - 1.1 * r),
                                (x + dx + 0.7 * r, y - 0.8 * r), (x + dx + r, y))
                    canvas.drawPath(dome, gradient((0, y - r), (0, y), [mix(tint, (1, 1, 1), 0.25), shade(tint, 0.6)]))
    moving(layers, 0.95, _seaweed_and_bubbles(frame))
    return Backdrop(layers, ground=0.88, horizon=0.82, shadows=False, sky=False)


def _rock(canvas, rng, x, base, width, height, top, bottom):
    """A soft boulder in blue water."""
    points = [(x - width, base + 0.1), (x - 0.8 * width, base - 0.5 * height), (x - 0.3 * width, base - height),
              (x + 0.2 * width, base - 0.8 * height), (x + 0.7 * width, base - 0.55 * height), (x + width, base + 0.1)]
    canvas.drawPath(blob(*points), gradient((0, base - height), (0, base), [top, bottom]))


def _coral(canvas, x, y, size, tint):
    """A branching coral."""
    for dx0, dy0, dx1, dy1, w in ((0, 0, 0, -1.0, 0.2), (0, -0.3, -0.45, -0.75, 0.16), (0, -0.2, 0.48, -0.6, 0.16),
                                  (-0.28, -0.55, -0.3, -0.95, 0.13), (0.3, -0.42, 0.27, -0.88, 0.13)):
        canvas.drawLine(x + dx0 * size, y + dy0 * size, x + dx1 * size, y + dy1 * size,
                        stroke(mix(tint, (1, 1, 1), 0.12) if dx1 > 0 else tint, w * size))


def _sun_rays(frame):
    """Rays that fan out from the surface and slowly swing."""
    rays = []
    for i, x in enumerate(span(frame, 0.34, 0.3)):
        w = frame.rng.uniform(0.02, 0.05)
        rays.append((x, polygon((-w, 0), (w, 0), (3.2 * w, 0.95), (-3.2 * w, 0.95)), 1.9 * i))
    paint = gradient((0, 0), (0, 0.95), [(1.0, 1.0, 0.9)] * 2, None, [0.38, 0.0])

    def draw(canvas, t):
        for x, path, phase in in_view(canvas, rays, 0.5):
            canvas.save()
            canvas.translate(x, -0.1)
            canvas.skew(-0.18 + 0.10 * math.sin(0.7 * t + phase), 0)
            canvas.drawPath(path, paint)
            canvas.restore()

    return draw


def _seaweed_and_bubbles(frame):
    """Tall kelp that sways from the root, and bubbles that rise past it."""
    rng = frame.rng
    kelp = [(x + dx, rng.uniform(0.26, 0.46), rng.uniform(0, 6), tint) for x in span(frame, 0.62, 0.25)
            for dx, tint in ((-0.035, rgb("#1f7a4d")), (0.03, rgb("#39a856")))]
    bubbles = [(x, rng.uniform(0, 1), rng.uniform(0.014, 0.026), rng.uniform(5, 8)) for x in span(frame, 0.28, 0.5)]
    fill, ring = flat((0.85, 1.0, 1.0), 0.35), stroke((0.92, 1.0, 1.0), 0.010, 0.9)

    def draw(canvas, t):
        for x, tall, phase, tint in in_view(canvas, kelp, 0.15):
            a, b = (0.06 * math.sin(1.5 * t + phase - lag) for lag in (0.0, 1.2))
            path = skia.PathBuilder()
            path.moveTo(x - 0.02, 0.93)
            path.cubicTo(x - 0.02 + a, 0.93 - 0.4 * tall, x - 0.03 - a, 0.93 - 0.7 * tall, x + b, 0.93 - tall)
            path.cubicTo(x + 0.03 - a, 0.93 - 0.7 * tall, x + 0.025 + a, 0.93 - 0.4 * tall, x + 0.02, 0.93)
            canvas.drawPath(path.detach(), flat(tint))
        for x, start, size, seconds in in_view(canvas, bubbles, 0.05):
            rise = (start + t / seconds) % 1.0
            cx, cy = x + 0.02 * math.sin(2.5 * t + 9 * start), 0.9 - 1.0 * rise
            canvas.drawCircle(cx, cy, size, fill)
            canvas.drawCircle(cx, cy, size, ring)

    return draw
