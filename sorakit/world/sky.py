"""The colour script of a scene, as its `Light`, and the sky it makes: sun, moon, stars and clouds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import skia

from .paint import RGB, Frame, Layer, Light, ellipse, flat, glow, gradient, mix, radial, rgb, scale, stroke
from .scene import Scene

HORIZON = 0.62     # y at which the sky reaches its horizon colour
SUN_SPEED = {"dawn": -0.03, "day": 0.0, "sunset": 0.03, "night": -0.01}  # frame heights a second, down is positive

# --- the colour script --------------------------------------------------------------------------

SCRIPT = {  # what every time of day looks like in clear weather; sun is the middle of where it may stand
    "dawn": Light("dawn", ambient=(0.97, 0.87, 0.90), key=rgb("#fff0b0"), sun=(0.45, 0.48), glow=0.4,
                  sky=(rgb("#6f93d6"), rgb("#f7a8bd"), rgb("#ffd68a")), haze_colour=rgb("#f3c3c3")),
    "day": Light("day", ambient=(1.0, 0.99, 0.96), key=rgb("#fff6d8"), sun=(0.55, 0.17),
                 sky=(rgb("#1f74d6"), rgb("#62b4f2"), rgb("#cdeefb")), haze_colour=rgb("#c4e3f4")),
    "sunset": Light("sunset", ambient=(0.97, 0.80, 0.76), key=rgb("#ffd060"), sun=(0.45, 0.45), glow=0.55,
                    sky=(rgb("#43207a"), rgb("#cf3a72"), rgb("#ff9a34")), haze_colour=rgb("#d9657a")),
    "night": Light("night", ambient=(0.52, 0.55, 0.78), key=rgb("#f8f3dc"), sun=(0.5, 0.19), glow=1.0,
                   sky=(rgb("#070c2b"), rgb("#152763"), rgb("#35589a")), haze_colour=rgb("#263f7a")),
}
PLACES = {  # white as these places show it, whatever the hour
    "stage": (0.95, 0.88, 0.90), "outer space": (0.88, 0.88, 0.98), "underwater": (0.74, 0.94, 1.0),
}
NEON = (rgb("#0a0b2c"), rgb("#33206e"), rgb("#d0508f"))   # the sky above a cyberpunk city


def light(scene: Scene, rng: np.random.Generator) -> Light:
    """The light of a scene: its time of day, changed by weather, style and mood."""
    base = SCRIPT[scene.time]
    side = 1 if rng.random() < 0.5 else -1
    sun = (side * (base.sun[0] + rng.uniform(-0.2, 0.2)), base.sun[1] + rng.uniform(-0.03, 0.03))
    base = replace(base, sun=sun, ambient=PLACES.get(scene.setting, base.ambient))
    return _in_mood(_in_style(_in_weather(base, scene.weather), scene.style), scene.mood)


def _in_weather(base, weather):
    if weather == "rain":
        grey = _recolour(base, lambda c: scale(mix(c, _grey(c, (0.94, 1.0, 1.12)), 0.55), 0.88))
        return replace(grey, ambient=mix(base.ambient, _grey(base.ambient, (0.9, 0.92, 0.95)), 0.4), haze=0.18, wet=1.0,
                       glow=max(base.glow, 0.3))
    if weather == "snow":
        veiled = _recolour(base, lambda c: mix(c, scale(_grey(c, (0.94, 1.0, 1.1)), 1.3), 0.55))
        pale = _recolour(veiled, lambda c: mix(c, (0.80, 0.87, 0.97), 0.2))
        return replace(pale, ambient=mix(base.ambient, _grey(base.ambient, (0.98, 1.0, 1.05)), 0.35), haze=0.15)
    if weather == "fog":
        bank = mix(base.haze_colour, scale(_grey(base.haze_colour), 1.1), 0.45)
        veiled = _recolour(base, lambda c: mix(c, bank, 0.62))
        return replace(veiled, haze_colour=bank, haze=0.6, glow=max(base.glow, 0.2))
    return base


def _in_style(base, style):
    if style != "cyberpunk":
        return base
    return replace(base, sky=tuple(mix(own, neon, 0.72) for own, neon in zip(base.sky, NEON)),
                   ambient=mix(base.ambient, (0.76, 0.73, 0.92), 0.8), key=mix(base.key, rgb("#ff6fc0"), 0.5),
                   haze_colour=mix(base.haze_colour, rgb("#4a2a80"), 0.7), glow=max(base.glow, 0.85))


def _in_mood(base, mood):
    if mood == "gloomy":
        grey = _recolour(base, lambda c: scale(mix(c, _grey(c, (0.95, 1.0, 1.08)), 0.45), 0.88))
        return replace(grey, haze=base.haze + 0.12)
    if mood == "cheerful":
        return _recolour(base, lambda c: scale(_saturate(c, 1.12), 1.05))
    if mood == "dreamy":
        soft = _recolour(base, lambda c: mix(c, rgb("#ffd6ee"), 0.16))
        return replace(soft, haze=base.haze + 0.2)
    if mood == "dramatic":
        top, middle, horizon = base.sky
        return replace(base, sky=(scale(top, 0.62), _saturate(scale(middle, 0.85), 1.15), _saturate(horizon, 1.15)))
    return base


def _recolour(base, change: Callable[[RGB], RGB]) -> Light:
    """The same light under a changed sky."""
    return replace(base, sky=tuple(change(c) for c in base.sky), haze_colour=change(base.haze_colour))


def _grey(colour, tint=(1.0, 1.0, 1.0)):
    value = 0.30 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]
    return tuple(min(1.0, value * t) for t in tint)


def _saturate(colour, by):
    return tuple(min(1.0, max(0.0, g + (c - g) * by)) for c, g in zip(colour, _grey(colour)))


# --- the sky --------------------------------------------------------------------------------------


def sky_layers(frame: Frame, time: str, flown: bool = False) -> list[Layer]:
    """The sky of one scene, from far to near: gradient, stars, sun or moon, clouds. Where it is flown in, no cloud is
    heaped behind who flies."""
    layers = [Layer(0.0, _gradient(frame, time))]
    if frame.weather == "rain":
        return [*layers, Layer(0.05, _cover(frame))]
    if time == "night" and frame.weather == "clear":
        layers.append(Layer(0.0, _stars(frame), animated=True))
    layers.append(Layer(0.0, _moon(frame) if time == "night" else _sun(frame, time), animated=time != "day"))
    if frame.weather == "clear":
        layers.append(Layer(0.05, _streaks(frame) if time in ("dawn", "sunset") else _cumuli(frame, time, flown)))
    return layers


def _sun_place(frame):
    x, y = frame.light.sun
    return x * frame.aspect / 2, y


def _gradient(frame, time):
    """The sky's colours, and around a low sun a wide warm glow."""
    top, middle, horizon = frame.light.sky
    paint = gradient((0, -0.1), (0, 1.1), [top, mix(top, middle, 0.55), middle, horizon, mix(horizon, middle, 0.25)],
                     [0.0, 0.25, 0.42, HORIZON / 1.2 + 0.06, 1.0])
    x, y = _sun_place(frame)
    strength = {"dawn": 0.75, "day": 0.35, "sunset": 0.8, "night": 0.3}[time]
    strength *= 0.3 if frame.weather == "rain" else 1.0
    halo = mix(frame.light.key, horizon, 0.5)

    def draw(canvas, t):
        canvas.drawRect(skia.Rect.MakeLTRB(-frame.reach, -0.1, frame.reach, 1.1), paint)
        canvas.save()
        canvas.translate(x, y)
        canvas.scale(1.7, 1.0)
        glow(canvas, 0, 0, 0.6, halo, strength)
        canvas.restore()

    return draw


def _sun(frame, time):
    x, y = _sun_place(frame)
    radius = {"dawn": 0.082, "day": 0.066, "sunset": 0.09}[time]
    veil = 1.0 if frame.weather == "clear" else 0.6
    key = frame.light.key
    disc = flat(mix(key, (1.0, 1.0, 1.0), {"dawn": 0.75, "day": 0.55, "sunset": 0.35}[time]), veil)
    halo = radial((0, 0), radius * 2.8, [key] * 4, [0.9 * veil, 0.6 * veil, 0.22 * veil, 0.0], [0.0, 0.36, 0.6, 1.0])

    def draw(canvas, t):
        canvas.save()
        canvas.translate(x, y + SUN_SPEED[time] * t)
        canvas.drawCircle(0, 0, radius * 2.8, halo)
        canvas.drawCircle(0, 0, radius, disc)
        canvas.restore()

    return draw


def _moon(frame):
    """A full moon with grey seas, or a crescent."""
    x, y = _sun_place(frame)
    key, radius = frame.light.key, 0.072
    veil = 1.0 if frame.weather == "clear" else 0.6
    tilt = frame.rng.uniform(-30, 30)
    shape, seas = ellipse(0, 0, radius, radius), skia.Path()
    if frame.rng.random() < 0.5:
        shape = skia.Op(shape, ellipse(radius * 0.55, -radius * 0.25, radius * 0.86, radius * 0.86),
                        skia.PathOp.kDifference_PathOp)
    else:
        for sx, sy, size in ((-0.3, -0.25, 0.34), (0.3, 0.1, 0.26), (-0.2, 0.45, 0.2), (0.32, -0.45, 0.14)):
            seas = skia.Op(seas, ellipse(sx * radius, sy * radius, size * radius, size * radius),
                           skia.PathOp.kUnion_PathOp)
    disc, shadow = flat(key, veil), flat(mix(key, frame.light.sky[1], 0.35), 0.6 * veil)
    halo = radial((0, 0), radius * 3.2, [key] * 3, [0.5 * veil, 0.18 * veil, 0.0], [0.0, 0.4, 1.0])

    def draw(canvas, t):
        canvas.save()
        canvas.translate(x, y + SUN_SPEED["night"] * t)
        canvas.drawCircle(0, 0, radius * 3.2, halo)
        canvas.rotate(tilt)
        canvas.drawPath(shape, disc)
        canvas.drawPath(seas, shadow)
        canvas.restore()

    return draw


def _stars(frame):
    """Four groups of stars, from many small to few bright ones, that twinkle in turn."""
    rng, groups = frame.rng, []
    sizes = {0.0085: (11, "#a9c8ff"), 0.0115: (8, "#ffffff"), 0.015: (5, "#cfe0ff"), 0.020: (2, "#fff2cf")}
    for size, (density, colour) in sizes.items():
        number = max(2, round(density * frame.aspect))
        xs, ys = rng.uniform(-0.52, 0.52, number) * frame.aspect, 0.52 * rng.random(number) ** 1.2
        paint = stroke(rgb(colour), size)
        points = [skia.Point(x, y) for x, y in zip(xs.tolist(), ys.tolist())]
        groups.append((points, paint, rng.uniform(0.3, 0.6), rng.uniform(0, 2 * math.pi)))

    def draw(canvas, t):
        for points, paint, rate, offset in groups:
            paint.setAlphaf(0.8 + 0.2 * math.sin(2 * math.pi * rate * t + offset))
            canvas.drawPoints(skia.Canvas.PointMode.kPoints_PointMode, points, paint)

    return draw


# --- clouds: all random numbers are drawn when they are built -----------------------------------------


def _cumuli(frame, time, low):
    """Heaped clouds with soft flat feet, lit on the side of the sun; low, only small ones above the horizon."""
    light, rng = frame.light, frame.rng
    if time == "night":
        lit, shade, alpha = mix(light.sky[2], light.key, 0.3), mix(light.sky[1], light.sky[2], 0.4), 0.8
    else:
        lit, shade, alpha = mix(light.sky[2], light.ambient, 0.9), mix(light.sky[1], light.sky[2], 0.55), 1.0
    number = max(2, round(1.9 * frame.aspect))
    span, sun = frame.aspect + 0.4, _sun_place(frame)
    clouds = []
    for i in range(number):
        x = ((i + rng.uniform(0.2, 0.8)) / number - 0.5) * span
        high = i % 2 and not low
        y = rng.uniform(0.20, 0.30) if high else rng.uniform(0.35, 0.45)
        width = rng.uniform(0.8, 1.15) * (0.24 if high else 0.13)
        if abs(x - sun[0]) < 1.3 * width:  # leave the sun free
            x = sun[0] + math.copysign(1.3 * width + 0.05, x - sun[0])
        fade = skia.Paint(gradient((0, y - width * 0.05), (0, y + width * 0.2), [lit, lit], alphas=[alpha, 0.0]))
        fade.setBlendMode(skia.BlendMode.kDstIn)
        clouds.append((_puffs(rng, x, y, width, lit, shade, sun), fade))

    def draw(canvas, t):
        for puffs, fade in clouds:
            canvas.saveLayer()
            for path, paint in puffs:
                canvas.drawPath(path, paint)
            canvas.drawPaint(fade)
            canvas.restore()

    return draw


def _puffs(rng, x, y, width, lit, shade, sun):
    """One cloud, from its high back to its low front: balls of cloud, each light towards the sun."""
    away = math.hypot(sun[0] - x, sun[1] - y) or 1.0
    dx, dy = 0.7 * (sun[0] - x) / away, min(-0.45, (sun[1] - y) / away)
    lean = rng.uniform(-0.2, 0.2)
    heap = [(lean, 0.52, 0.42), (lean - 0.34, 0.36, 0.32), (lean + 0.36, 0.32, 0.34), (-0.78, 0.1, 0.22),
            (0.8, 0.08, 0.21), (-0.45, 0.1, 0.31), (0.46, 0.1, 0.30), (0.05, 0.1, 0.36)]
    pieces = []
    for along, up, size in heap:
        px, py, r = x + along * width, y - up * width, size * width * rng.uniform(0.88, 1.12)
        paint = radial((px + dx * r * 0.6, py + dy * r * 0.6), r * 1.75, [lit, lit, mix(lit, shade, 0.55), shade],
                       [1.0] * 4, [0.0, 0.42, 0.72, 1.0])
        pieces.append((ellipse(px, py, r, r), paint))
    return pieces


def _streaks(frame):
    """Long thin clouds of dawn and sunset: cool above, and burning below where the low sun reaches."""
    light, rng = frame.light, frame.rng
    burning, dark = mix(light.key, light.sky[2], 0.45), mix(light.sky[0], light.sky[1], 0.5)
    span = frame.aspect + 0.4
    number = round(4.5 * frame.aspect)
    pieces = []
    for i in range(number):
        x = ((i * 0.618 + rng.uniform(0, 0.2)) % 1.0 - 0.5) * span
        y = 0.05 + 0.36 * (i + rng.random()) / number
        half, thick = rng.uniform(0.2, 0.42), rng.uniform(0.022, 0.042) * (1.25 - y)
        paint = gradient((0, y - thick), (0, y + thick), [dark, mix(dark, burning, 0.55), burning], [0.0, 0.5, 1.0],
                         [0.45, 0.8, 0.95])
        paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, 0.0025))
        pieces.append((_streak(rng, x, y, half, thick), paint))
    return _painted(pieces)


def _streak(rng, x, y, half, thick):
    """A few flat lenses side by side, as one path."""
    heap = skia.PathBuilder()
    for along in np.linspace(-0.6, 0.6, 4):
        reach = half * (0.62 - 0.35 * abs(along)) * rng.uniform(0.8, 1.2)
        rise = thick * rng.uniform(0.45, 0.9) * (1.1 - abs(along))
        heap.addOval(ellipse(x + along * half, y + rng.uniform(-0.4, 0.4) * thick, reach, rise).getBounds())
    return heap.detach()


def _cover(frame):
    """The covered sky of rain: three rows of heavy clouds, the nearest the darkest."""
    light, rng = frame.light, frame.rng
    pieces = []
    for foot, share in ((0.40, 0.85), (0.27, 0.45), (0.13, 0.1)):
        colour = mix(light.sky[0], light.sky[1], share)
        row = skia.PathBuilder()
        row.addRect(skia.Rect.MakeLTRB(-frame.reach, -0.2, frame.reach, foot - 0.06))
        x = -frame.reach
        while x < frame.reach:
            size = rng.uniform(0.08, 0.19)
            row.addOval(ellipse(x, foot - 0.07, size * 1.25, size * rng.uniform(0.4, 0.7)).getBounds())
            x += size * 1.4
        shades = [scale(colour, 0.85), mix(scale(colour, 1.05), light.sky[2], 0.12), mix(colour, light.sky[2], 0.42)]
        paint = gradient((0, foot - 0.22), (0, foot + 0.05), shades)
        pieces.append((row.detach(), paint))
    return _painted(pieces)


def _painted(pieces):
    def draw(canvas, t):
        for path, paint in pieces:
            canvas.drawPath(path, paint)

    return draw
