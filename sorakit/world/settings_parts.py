"""What the settings are built from: hills, trees, buildings, lamps, waves and the two ways to make a layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import skia

from .paint import RGB, Frame, Layer, Light, blob, box, ellipse, flat, glow, gradient, mix, polygon, rgb, stroke
from .paint import scale as shade

Line = Callable[[np.ndarray], np.ndarray]  # the y of a crest at each x
FLOOR = 1.15                               # everything is painted down to here, a little below the frame
MARGIN = 0.1                               # and this much beyond frame.reach


# --- layers ---------------------------------------------------------------------------------------


@contextmanager
def still(layers: list[Layer], depth: float) -> Iterator[skia.Canvas]:
    """Paint a layer that does not move by itself: what is drawn in the block is kept and added to layers."""
    recorder = skia.PictureRecorder()
    yield recorder.beginRecording(skia.Rect.MakeLTRB(-99, -9, 99, 9))
    picture = recorder.finishRecordingAsPicture()
    layers.append(Layer(depth, lambda canvas, t: canvas.drawPicture(picture)))


def moving(layers: list[Layer], depth: float, draw: Callable[[skia.Canvas, float], None]) -> None:
    """Add a layer that is drawn anew every frame."""
    layers.append(Layer(depth, draw, animated=True))

def swaying(layers: list[Layer], depth: float, plants: list[tuple]) -> None:
    """An animated layer of plants (x, y, paint, degrees, seconds), each rocking about its foot at (x, y)."""
    pictures = []
    for i, (x, y, paint, degrees, seconds) in enumerate(plants):
        recorder = skia.PictureRecorder()
        paint(recorder.beginRecording(skia.Rect.MakeLTRB(-1, -1, 1, 1)))
        pictures.append((x, y, recorder.finishRecordingAsPicture(), math.radians(degrees), seconds, 1.7 * i))

    def draw(canvas, t):
        for x, y, picture, angle, seconds, offset in in_view(canvas, pictures, 0.3):
            canvas.save()
            canvas.translate(x, y)
            canvas.skew(angle * math.sin(2 * math.pi * t / seconds + offset), 0)
            canvas.drawPicture(picture)
            canvas.restore()

    moving(layers, depth, draw)


# --- where things stand ----------------------------------------------------------------------------


def span(frame: Frame, step: float, jitter: float = 0.3) -> list[float]:
    """The x of things in a row across the whole width, about a step apart."""
    count = int(frame.reach / step) + 1
    return [(i + frame.rng.uniform(-jitter, jitter)) * step for i in range(-count, count + 1)]


def side(light: Light) -> int:
    """Where the light comes from: -1 left, 1 right."""
    return 1 if light.sun[0] >= 0 else -1


def rim(light: Light, colour: RGB, distance: float = 0.0, strength: float = 0.45) -> RGB:
    """The colour of an edge that the sun or moon touches."""
    power = max(light.ambient)
    bright = shade(light.key, 0.25 + 0.75 * power)
    return mix(light.far(colour, distance), bright, strength * power * (1 - 0.5 * distance))


def cool(light: Light, colour: RGB, distance: float = 0.0) -> RGB:
    """A surface in the shade: darker, and tinted by the sky above."""
    return mix(light.far(shade(colour, 0.92), distance), mix(light.sky[0], light.sky[1], 0.5), 0.22)


def in_view(canvas: skia.Canvas, things: list[tuple], margin: float) -> list[tuple]:
    """Those of the things (x, ...) that the canvas shows, for animated layers that hold many."""
    bounds = canvas.getLocalClipBounds()
    return [thing for thing in things if bounds.left() - margin < thing[0] < bounds.right() + margin]


# --- land -------------------------------------------------------------------------------------------


def ridge(frame: Frame, base: float, height: float, wavelength: float) -> Line:
    """A rolling crest between base and base - height."""
    phases = frame.rng.uniform(0, 2 * math.pi, 3)
    parts = [(1.0, 0.60), (1.73, 0.28), (3.1, 0.12)]

    def line(x):
        waves = sum(a * np.sin(2 * math.pi * f * x / wavelength + p) for (f, a), p in zip(parts, phases))
        return base - height * (0.5 + 0.5 * waves)

    return line


def below(frame: Frame, line: Line, bottom: float = FLOOR) -> skia.Path:
    """Everything under a crest."""
    x = np.linspace(-frame.reach - MARGIN, frame.reach + MARGIN, int(40 * frame.reach) + 20)
    return polygon((x[0], bottom), *zip(x.tolist(), line(x).tolist()), (x[-1], bottom))


def hill(canvas: skia.Canvas, frame: Frame, line: Line, colour: RGB, distance: float, *, foot: RGB | None = None,
         depth: float = 0.3, edge: float = 0.014) -> None:
    """Land under a crest: a rim of light on top, and a gradient of a depth down to the colour at its foot."""
    light, path = frame.light, below(frame, line)
    top = float(line(np.linspace(-frame.reach, frame.reach, 60)).min())
    start = light.far(colour, distance)
    end = cool(light, foot, distance) if foot else mix(start, light.haze_colour, 0.45)
    canvas.drawPath(path, flat(rim(light, colour, distance)))
    canvas.save()
    canvas.clipPath(path, True)
    canvas.translate(-side(light) * edge * 0.7, edge)
    canvas.drawPath(path, gradient((0, top), (0, top + depth), [start, end]))
    canvas.restore()


def peak(canvas: skia.Canvas, light: Light, x: float, top: float, base: float, width: float, colour: RGB,
         distance: float, snow: RGB | None = None) -> None:
    """A mountain of two facets, one in the light and one in the shade, with a cap of snow."""
    toward, height = side(light), base - top
    ridge_line = [(x, top), (x - toward * 0.05 * width, top + 0.25 * height),
                  (x + toward * 0.03 * width, top + 0.5 * height), (x - toward * 0.10 * width, base)]
    mist = mix(light.far(colour, distance), light.haze_colour, 0.55)

    def facet(direction, tint):
        outer = [(x + direction * width, base), (x + direction * 0.60 * width, top + 0.66 * height),
                 (x + direction * 0.36 * width, top + 0.36 * height)]
        canvas.drawPath(polygon(*ridge_line, *outer), gradient((0, top), (0, base), [tint, mist]))

    facet(-toward, light.far(shade(colour, 0.68), distance))
    facet(toward, rim(light, shade(colour, 1.12), distance, 0.25))
    if snow:
        cap = 0.42 * height
        sunny, shady = rim(light, snow, distance * 0.6, 0.4), light.far(shade(snow, 0.78), distance)
        for direction, tint in ((-toward, shady), (toward, sunny)):
            edge = [(x + direction * 0.36 * width * 0.98, top + 0.36 * height * 0.98),
                    (x + direction * 0.24 * width, top + 0.34 * height),
                    (x + direction * 0.20 * width, top + 1.12 * cap),
                    (x + direction * 0.10 * width, top + 0.72 * cap)]
            canvas.drawPath(polygon((x, top), *edge, (x - toward * 0.02 * width, top + cap),
                                    (x - toward * 0.05 * width, top + 0.25 * height)), flat(tint))


def band(canvas: skia.Canvas, frame: Frame, top: float, bottom: float, colours: list[RGB],
         stops: list[float] | None = None) -> None:
    """A full-width strip with a gradient from its top to its bottom."""
    canvas.drawRect(skia.Rect.MakeLTRB(-frame.reach - MARGIN, top, frame.reach + MARGIN, bottom),
                    gradient((0, top), (0, bottom), colours, stops))


def soft(colour: RGB, alpha: float, blur: float) -> skia.Paint:
    """A fill with soft edges (for still layers: it is slow)."""
    paint = flat(colour, alpha)
    paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    return paint


def joined(paths: list[skia.Path]) -> skia.Path:
    """Many paths as one, to be filled in one go."""
    whole = skia.Path()
    for path in paths:
        whole.addPath(path)
    return whole


def pole(x: float, y: float, height: float, foot: float, top: float | None = None, lean: float = 0.0) -> skia.Path:
    """Something upright on (x, y): a trunk, a stem, a post, foot wide below and top wide above."""
    w0, w1 = foot / 2, (foot if top is None else top) / 2
    return polygon((x - w0, y), (x + w0, y), (x + lean + w1, y - height), (x + lean - w1, y - height))


# --- plants -----------------------------------------------------------------------------------------


def volume(canvas: skia.Canvas, light: Light, path: skia.Path, colour: RGB, size: float, distance: float = 0.0) -> None:
    """A rounded mass (a crown, a bush, a rock): shade, body and a lit side towards the sun."""
    toward = side(light)
    canvas.drawPath(path, flat(light.far(shade(colour, 0.66), distance)))
    canvas.save()
    canvas.clipPath(path, True)
    canvas.translate(toward * 0.10 * size, -0.16 * size)
    canvas.drawPath(path, flat(light.far(colour, distance)))
    canvas.clipPath(path, True)
    canvas.translate(toward * 0.16 * size, -0.22 * size)
    canvas.drawPath(path, flat(rim(light, shade(colour, 1.12), distance, 0.34)))
    canvas.restore()


def leaves(rng: np.random.Generator, x: float, y: float, rx: float, ry: float, lumps: int = 7) -> skia.Path:
    """A crown or a bush: a heap of rounded lumps."""
    turn, heap = rng.uniform(0, 6), [ellipse(x, y, 0.78 * rx, 0.78 * ry)]
    for i in range(lumps):
        angle, r = turn + 2 * math.pi * i / lumps, rng.uniform(0.36, 0.46)
        heap.append(ellipse(x + 0.60 * rx * math.cos(angle), y + 0.60 * ry * math.sin(angle), r * rx, r * ry))
    return joined(heap)


def round_tree(canvas: skia.Canvas, frame: Frame, x: float, y: float, height: float, colour: RGB,
               distance: float = 0.0) -> None:
    """A leafy tree that stands on (x, y)."""
    trunk = frame.light.far(rgb("#5d4033"), distance)
    canvas.drawPath(pole(x, y, 0.5 * height, 0.11 * height, 0.06 * height), flat(trunk))
    crown = leaves(frame.rng, x, y - 0.66 * height, 0.36 * height, 0.34 * height)
    volume(canvas, frame.light, crown, colour, 0.6 * height, distance)


def fir(canvas: skia.Canvas, light: Light, x: float, y: float, height: float, colour: RGB, distance: float = 0.0,
        snow: RGB | None = None) -> None:
    """A fir of three tiers that stands on (x, y), lit from the sun's side, with snow on it if a colour is given."""
    toward = side(light)
    dark, bright = light.far(shade(colour, 0.72), distance), rim(light, colour, distance, 0.25)
    canvas.drawPath(box(x - 0.03 * height, y - 0.15 * height, x + 0.03 * height, y),
                    flat(light.far(rgb("#4a3428"), distance)))
    for top, bottom, half in ((0.40, 0.90, 0.27), (0.19, 0.64, 0.21), (0.0, 0.38, 0.145)):
        up, low, w = y - height + top * height, y - height + bottom * height, half * height
        tier = polygon((x, up), (x + w, low), (x + 0.5 * w, low - 0.03 * height), (x, low + 0.03 * height),
                       (x - 0.5 * w, low - 0.03 * height), (x - w, low))
        canvas.drawPath(tier, flat(dark))
        canvas.drawPath(polygon((x, up), (x + toward * w, low), (x + toward * 0.5 * w, low - 0.03 * height), (x, low)),
                        flat(bright))
        if snow:
            deep = up + 0.62 * (low - up)
            for direction in (-toward, toward):
                tint = light.far(shade(snow, 0.82 if direction != toward else 1.0), distance)
                canvas.drawPath(polygon((x, up), (x + direction * 0.62 * w, deep),
                                        (x + direction * 0.3 * w, deep - 0.05 * height), (x, deep + 0.02 * height)),
                                flat(tint))


def tuft(rng: np.random.Generator, x: float, y: float, height: float, blades: int = 5) -> skia.Path:
    """A fan of broad grass blades that grows from (x, y)."""
    paths = []
    for i in range(blades):
        lean = (i - (blades - 1) / 2) / blades * 1.3 + rng.uniform(-0.1, 0.1)
        tall, foot = height * rng.uniform(0.75, 1.0) * (1 - 0.35 * abs(lean)), x + 0.25 * height * lean
        tip, w = foot + 0.75 * height * lean, 0.09 * height
        builder = skia.PathBuilder()
        builder.moveTo(foot - w, y)
        builder.quadTo(foot - w + 0.1 * lean * height, y - 0.6 * tall, tip, y - tall)
        builder.quadTo(foot + w + 0.1 * lean * height, y - 0.5 * tall, foot + w, y)
        paths.append(builder.detach())
    return joined(paths)


def flower(canvas: skia.Canvas, light: Light, x: float, y: float, size: float, colour: RGB, petals: int = 5) -> None:
    """A flower seen from the front."""
    ring = [(x + 0.56 * size * math.cos(a), y + 0.56 * size * math.sin(a))
            for a in np.arange(petals) * 2 * math.pi / petals - 0.4]
    leaf = joined([ellipse(px, py, 0.47 * size, 0.47 * size) for px, py in ring])
    canvas.drawPath(leaf, flat(light.lit(colour, 1.1)))
    canvas.drawPath(ellipse(x, y, 0.34 * size, 0.34 * size), flat(light.lit(rgb("#ffd34d"), 1.1)))


def stones(canvas: skia.Canvas, frame: Frame, x: float, y: float, size: float, colour: RGB) -> None:
    """Two or three rounded rocks that lie on y."""
    for dx, s in ((0.55, 0.6), (-0.6, 0.45), (0.0, 1.0)):
        r = s * size * frame.rng.uniform(0.9, 1.1)
        cx = x + dx * 1.3 * size
        rock = blob((cx - r, y), (cx - 0.8 * r, y - 0.6 * r), (cx - 0.1 * r, y - 0.95 * r),
                    (cx + 0.75 * r, y - 0.6 * r), (cx + r, y), (cx, y + 0.12 * r))
        volume(canvas, frame.light, rock, colour, r)


# --- things that people build ----------------------------------------------------------------------------


def windows(canvas: skia.Canvas, frame: Frame, left: float, top: float, right: float, bottom: float, size: float,
            distance: float = 0.0, share: float = 0.55) -> None:
    """A grid of windows: they mirror the sky by day and a share of them is lit at night."""
    light, rng = frame.light, frame.rng
    columns = max(1, int((right - left) / (1.8 * size)))
    rows = max(1, int((bottom - top) / (2.3 * size)))
    dx, dy = (right - left) / columns, (bottom - top) / rows
    panes = {"dark": [], "warm": [], "pale": []}
    for i in range(columns):
        for j in range(rows):
            x, y = left + (i + 0.5) * dx, top + (j + 0.5) * dy
            kind = "dark" if rng.random() > share * light.glow else "warm" if rng.random() < 0.75 else "pale"
            panes[kind].append(box(x - size / 2, y - 0.7 * size, x + size / 2, y + 0.7 * size))
    glass = mix(light.far(rgb("#5d7f9c"), distance), light.sky[1], 0.25)
    for kind, tint in (("dark", glass), ("warm", rgb("#ffc964")), ("pale", rgb("#ffe9b8"))):
        tint = tint if kind == "dark" else mix(tint, light.haze_colour, 0.5 * distance)
        canvas.drawPath(joined(panes[kind]), flat(tint))


def lamp_post(canvas: skia.Canvas, light: Light, x: float, y: float, height: float, reach: float = 0.0,
              colour: RGB = rgb("#3a4048")) -> None:
    """A street lamp; with a reach, its arm bends over the road. It glows from dusk on."""
    tint, head = light.lit(colour), (x + reach, y - height)
    canvas.drawPath(pole(x, y, height, 0.020, 0.014), flat(tint))
    if reach:
        canvas.drawLine(x, y - height, *head, stroke(tint, 0.014))
    lantern(canvas, light, head[0], head[1] + 0.008, 0.022, rgb("#ffd98a"), squash=0.55 if reach else 1.0)


def lantern(canvas: skia.Canvas, light: Light, x: float, y: float, size: float, colour: RGB,
            squash: float = 1.0) -> None:
    """A round lamp with a glow around it."""
    if light.glow > 0:
        glow(canvas, x, y, 5.5 * size, colour, 0.75 * light.glow)
    body = mix(light.lit(mix(colour, (1, 1, 1), 0.3)), mix(colour, (1, 1, 1), 0.45), light.glow)
    canvas.drawPath(ellipse(x, y, size, size * squash), flat(body))


def streak(canvas: skia.Canvas, x: float, top: float, bottom: float, width: float, colour: RGB,
           strength: float) -> None:
    """The mirror image of a light on a wet street: a long soft vertical smear."""
    paint = gradient((0, top), (0, bottom), [colour] * 3, [0.0, 0.35, 1.0], [strength, strength * 0.7, 0.0])
    paint.setBlendMode(skia.BlendMode.kScreen)
    paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, 0.3 * width))
    canvas.drawRect(skia.Rect.MakeLTRB(x - width / 2, top, x + width / 2, bottom), paint)


def wet_street(canvas: skia.Canvas, frame: Frame, top: float, lights: list[tuple[float, float, RGB]],
               strength: float) -> None:
    """A street that mirrors the sky and the lights (x, width, colour) above it."""
    sheen = frame.light.sky[2]
    canvas.drawRect(skia.Rect.MakeLTRB(-frame.reach - MARGIN, top, frame.reach + MARGIN, FLOOR),
                    gradient((0, top), (0, FLOOR), [sheen, sheen], None, [0.40 * strength, 0.10 * strength]))
    for x, width, colour in lights:
        streak(canvas, x, top, frame.rng.uniform(0.96, 1.10), width, colour, strength)


# --- water ----------------------------------------------------------------------------------------------


def crescents(frame: Frame, y: float, spacing: float, width: float, thickness: float) -> skia.Path:
    """A row of lens-shaped glints on water, wider than the frame so that it can drift."""
    shapes = []
    for x in span(frame, spacing, 0.35):
        w, cy = width * frame.rng.uniform(0.5, 1.0), y + frame.rng.uniform(-0.4, 0.4) * spacing * 0.15
        shapes.append(polygon((x - w, cy), (x, cy - thickness / 2), (x + w, cy), (x, cy + thickness / 2)))
    return joined(shapes)


def drifting(paths: list[tuple[skia.Path, skia.Paint, float, float]]) -> Callable[[skia.Canvas, float], None]:
    """Draws rows (path, paint, reach, seconds) that glide to and fro, each with its own reach and period."""

    def draw(canvas, t):
        for i, (path, paint, reach, seconds) in enumerate(paths):
            angle = 2 * math.pi * t / seconds + 1.9 * i
            canvas.save()
            canvas.translate(reach * math.sin(angle), 0.25 * reach * math.cos(angle))
            canvas.drawPath(path, paint)
            canvas.restore()

    return draw
