"""The painter's tools: light, paths, soft fills, articulated rigs and background layers, all in world units.

World units: the frame is 1 high, y grows downwards from 0 (top) to 1 (bottom), x is 0 in the middle of the
frame, so a 16:9 frame spans x in [-0.89, 0.89]. Colours are sRGB triples in [0, 1]. Nothing here knows pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import skia

RGB = tuple[float, float, float]
Affine = tuple[float, float, float, float, float, float]  # x' = a x + b y + c, y' = d x + e y + f
IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


# --- colour and light ---------------------------------------------------------------------------


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """a at share=0, b at share=1."""
    return tuple(x + (y - x) * share for x, y in zip(a, b))


def scale(colour: RGB, by: float) -> RGB:
    """Lighter (by > 1) or darker (by < 1)."""
    return tuple(min(1.0, max(0.0, x * by)) for x in colour)


def rgb(hexcode: str) -> RGB:
    return tuple(int(hexcode.lstrip("#")[i:i + 2], 16) / 255 for i in (0, 2, 4))


@dataclass(frozen=True)
class Light:
    """The light of one scene. `lit` is how every surface gets its colour; lamps and neon skip it (they glow)."""

    time: str
    ambient: RGB                # what a white surface looks like
    key: RGB                    # colour of the sun or moon
    sky: tuple[RGB, RGB, RGB]   # top, middle, horizon
    sun: tuple[float, float]    # x in half frame widths (-1 left edge .. 1 right edge), y in frame heights
    haze_colour: RGB            # what far things fade into
    haze: float = 0.0           # extra fading (fog, dreamy)
    wet: float = 0.0            # 1: the ground is wet and mirrors
    glow: float = 0.0           # how strongly lamps, windows and neon show: 0 by day .. 1 at night

    def lit(self, colour: RGB, gain: float = 1.0) -> RGB:
        return tuple(min(1.0, c * a * gain) for c, a in zip(colour, self.ambient))

    def far(self, colour: RGB, distance: float) -> RGB:
        """A lit surface faded by air: distance 0 is here, 1 is the horizon."""
        share = min(1.0, distance * 0.75 + self.haze * (0.35 + 0.65 * distance))
        return mix(self.lit(colour), self.haze_colour, share)


# --- fills ----------------------------------------------------------------------------------------


def color4f(colour: RGB, alpha: float = 1.0) -> skia.Color4f:
    return skia.Color4f(*colour, alpha)


def flat(colour: RGB, alpha: float = 1.0) -> skia.Paint:
    """A plain antialiased fill."""
    return skia.Paint(Color4f=color4f(colour, alpha), AntiAlias=True)


def stroke(colour: RGB, width: float, alpha: float = 1.0) -> skia.Paint:
    """A round-ended line of a width in world units."""
    return skia.Paint(Color4f=color4f(colour, alpha), AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=width,
                      StrokeCap=skia.Paint.kRound_Cap, StrokeJoin=skia.Paint.kRound_Join)


def gradient(start: tuple[float, float], end: tuple[float, float], colours: list[RGB], stops: list[float] | None = None,
             alphas: list[float] | None = None) -> skia.Paint:
    """A linear gradient from start to end."""
    argb = [color4f(c, a).toColor() for c, a in zip(colours, alphas or [1.0] * len(colours))]
    return skia.Paint(AntiAlias=True, Dither=False,
                      Shader=skia.GradientShader.MakeLinear([skia.Point(*start), skia.Point(*end)], argb, stops))


def radial(centre: tuple[float, float], radius: float, colours: list[RGB], alphas: list[float],
           stops: list[float] | None = None) -> skia.Paint:
    """A radial gradient around centre."""
    argb = [color4f(c, a).toColor() for c, a in zip(colours, alphas)]
    return skia.Paint(AntiAlias=True, Shader=skia.GradientShader.MakeRadial(skia.Point(*centre), radius, argb, stops))


def glow(canvas: skia.Canvas, x: float, y: float, radius: float, colour: RGB, strength: float) -> None:
    """A soft light, added to what is there."""
    paint = radial((x, y), radius, [colour] * 3, [strength, strength * 0.35, 0.0], [0.0, 0.35, 1.0])
    paint.setBlendMode(skia.BlendMode.kScreen)
    canvas.drawCircle(x, y, radius, paint)


# --- paths ----------------------------------------------------------------------------------------


def polygon(*points: tuple[float, float]) -> skia.Path:
    return skia.Path.Polygon([skia.Point(*p) for p in points], True)


def ellipse(x: float, y: float, rx: float, ry: float) -> skia.Path:
    """An ellipse by its centre and radii."""
    return skia.Path.Oval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry))


def box(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> skia.Path:
    rect = skia.Rect.MakeLTRB(left, top, right, bottom)
    return skia.Path.RRect(skia.RRect.MakeRectXY(rect, radius, radius)) if radius else skia.Path.Rect(rect)


def blob(*points: tuple[float, float]) -> skia.Path:
    """A smooth closed curve through the points (Catmull-Rom): for bodies, hills, clouds, hair."""
    builder = skia.PathBuilder()
    n = len(points)
    builder.moveTo(*points[0])
    for i in range(n):
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = (points[(i + k) % n] for k in (-1, 0, 1, 2))
        builder.cubicTo(x1 + (x2 - x0) / 6, y1 + (y2 - y0) / 6, x2 - (x3 - x1) / 6, y2 - (y3 - y1) / 6, x2, y2)
    builder.close()
    return builder.detach()


def limb(x0: float, y0: float, x1: float, y1: float, width0: float, width1: float) -> skia.Path:
    """A tapering limb with round ends, from one joint to the next."""
    angle = math.atan2(y1 - y0, x1 - x0)
    sx, sy = -math.sin(angle), math.cos(angle)
    cx, cy = math.cos(angle), math.sin(angle)
    r0, r1 = width0 / 2, width1 / 2
    return blob((x0 + sx * r0, y0 + sy * r0), (x0 - cx * r0, y0 - cy * r0), (x0 - sx * r0, y0 - sy * r0),
                (x1 - sx * r1, y1 - sy * r1), (x1 + cx * r1, y1 + cy * r1), (x1 + sx * r1, y1 + sy * r1))


# --- rigs: what subjects are made of ---------------------------------------------------------------


@dataclass
class Shape:
    """One painted piece of a rig, fixed to a bone: the path never changes, only the bone's matrix does."""

    path: skia.Path
    colour: RGB
    bone: int
    emissive: bool = False   # glows: not dimmed by night
    shade: float = 1.0       # how rounded it looks: 0 flat, 1 a full light-to-dark gradient


PACE = {  # of an action, in subject heights a second
    "run": 1.15, "walk": 0.5, "stroll": 0.36, "jump": 0.62, "fly": 0.8, "swim": 0.65, "drive": 1.1, "sail": 0.36,
    "float": 0.22, "dance": 0.0, "rotate": 0.0, "sit": 0.0,
}


@dataclass
class Rig:
    """An articulated figure: bones that swing, shapes fixed to them. Optical flow is exact because of it.

    Drawn facing right, standing on y = 0 with y upwards negative, about 1 unit high (the renderer scales it,
    mirrors it and moves it along). Flyers, swimmers and planets are centred on (0, -0.5). Bone 0 is the root.
    A motion is a function of the phase: the number of cycles of the action so far (1.0 is one full stride,
    flap or turn), so f(p) should have period 1 (or slower).
    """

    shapes: list[Shape] = field(default_factory=list)
    cycles: float = 1.5   # cycles a second at normal speed
    shadow: bool = True   # casts a shadow on the ground
    _bones: list[tuple] = field(default_factory=lambda: [(-1, 0.0, 0.0, None, None, None)])

    def bone(self, parent: int, x: float, y: float, *, swing: Callable[[float], float] | None = None,
             shift: Callable[[float], tuple[float, float]] | None = None,
             stretch: Callable[[float], tuple[float, float]] | None = None) -> int:
        """A joint at (x, y) in the parent's frame; swing gives degrees (positive turns right to down),
        shift an offset, stretch two factors, each a function of the phase. Returns the bone's number."""
        self._bones.append((parent, x, y, swing, shift, stretch))
        return len(self._bones) - 1

    def shape(self, bone: int, path: skia.Path, colour: RGB, *, emissive: bool = False, shade: float = 1.0) -> None:
        """Paint a path on a bone, in its frame (its joint is (0, 0)); later shapes cover earlier ones."""
        self.shapes.append(Shape(path, colour, bone, emissive, shade))

    def pose(self, phase: float) -> list[Affine]:
        """The matrix of each bone, from its frame to the rig's, at a phase."""
        matrices: list[Affine] = []
        for parent, x, y, swing, shift, stretch in self._bones:
            angle = math.radians(swing(phase)) if swing else 0.0
            dx, dy = shift(phase) if shift else (0.0, 0.0)
            sx, sy = stretch(phase) if stretch else (1.0, 1.0)
            c, s = math.cos(angle), math.sin(angle)
            own = (c * sx, -s * sy, x + dx, s * sx, c * sy, y + dy)
            matrices.append(compose(matrices[parent], own) if parent >= 0 else own)
        return matrices


def compose(outer: Affine, inner: Affine) -> Affine:
    """The affine map that applies inner first, then outer."""
    a, b, c, d, e, f = outer
    g, h, i, j, k, m = inner
    return (a * g + b * j, a * h + b * k, a * i + b * m + c, d * g + e * j, d * h + e * k, d * i + e * m + f)


def sway(degrees: float, offset: float = 0.0, rate: float = 1.0) -> Callable[[float], float]:
    """A swing to and fro: sway(30) is +-30 degrees a cycle; offset shifts the phase, rate multiplies it."""
    return lambda p: degrees * math.sin(2 * math.pi * (p * rate + offset))


# --- layers: what settings are made of -------------------------------------------------------------


@dataclass
class Layer:
    """A plane of scenery at one depth. `draw(canvas, t)` paints it in world units, t in seconds.

    depth says how much the camera moves it: 0 infinitely far (sky), 1 with the subjects, above 1 in front of
    them. A still layer is painted once, from -reach to +reach in x, and shifted; an animated one every frame.
    """

    depth: float
    draw: Callable[[skia.Canvas, float], None]
    animated: bool = False


@dataclass
class Backdrop:
    """A setting, made for one scene: its layers from far to near, and where subjects stand."""

    layers: list[Layer]
    ground: float = 0.84          # y of the ground under subjects' feet
    horizon: float = 0.6          # y of the horizon
    mirror: float = 0.0           # 0..1: how strongly the ground mirrors subjects (water, wet street)
    shadows: bool = True          # subjects cast shadows here
    sky: bool = True              # the sky is drawn behind it


@dataclass(frozen=True)
class Frame:
    """What a setting is told about where it is drawn."""

    aspect: float                 # width / height
    reach: float                  # scenery must cover x in [-reach, reach] (camera travel included)
    light: Light
    rng: np.random.Generator
    style: str = "natural"
    weather: str = "clear"
