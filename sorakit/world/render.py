"""Draws a `Scene` as a film, at any size, aspect, length and frame rate, with its exact ground truth.

A film is painted back to front: sky, scenery layers, subjects, foreground, weather, then the style's filter. The
camera moves each layer by its depth (parallax). Every pixel belongs to a layer or to one shape of a rig, each of
which is moved by a known affine map: that is why masks, depth and optical flow are exact.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import skia

from . import animals, machines, people, settings, sky, styles, weather
from .paint import PACE, Affine, Backdrop, Frame, Layer, Light, Rig, compose, flat, gradient, mix, radial, scale
from .scene import COLOURS, KINDS, SIZES, SPEEDS, Scene, Subject

BUILDERS = {**animals.BUILDERS, **people.BUILDERS, **machines.BUILDERS}
BOX = 1.25  # scenery is painted for zooms up to this


def render(scene: Scene, height: int, width: int, seconds: float = 2.0, fps: float = 8.0) -> Clip:
    """Draw a scene: 1 + round(seconds * fps) frames of height x width pixels (so that 2 s at 8 fps are 17).

    The same scene gives the same pixels, and the same picture at every size. Ground truth is worked out when it
    is first asked for. Raises ValueError for sizes under 16 pixels, lengths under 0 or rates of 0 or less.
    """
    for name, value, least in (("height", height, 16), ("width", width, 16), ("seconds", seconds, 0)):
        if value < least:
            raise ValueError(f"{name}={value!r} is too small: it takes {least} or more")
    if fps <= 0:
        raise ValueError(f"fps={fps!r} is too small: it takes a rate above 0")
    times = np.arange(1 + round(seconds * fps)) / fps
    film = _Film(scene, height, width)
    frames = np.stack([film.paint(float(t)) for t in times])
    return Clip(scene, fps, styles.apply(frames, scene.style, scene.mood, scene.seed), times, film)


@dataclass(frozen=True, eq=False)
class Clip:
    """A drawn film and its ground truth; n counts the subjects' instances (two dogs are two), in painting order.

    Weather, shadows, reflections and the style's filter are painted over the truth and are not part of it, nor is
    the motion inside animated scenery (waves): its flow is the camera's.
    """

    scene: Scene
    fps: float
    frames: np.ndarray            # (t, h, w, 3) uint8
    times: np.ndarray             # (t,) seconds
    _film: _Film

    @property
    def names(self) -> list[str]:
        """The kind of each instance, (n,)."""
        return [actor.subject.kind for actor in self._film.actors]

    @cached_property
    def subject_mask(self) -> np.ndarray:
        """Where any subject is, (t, h, w) bool; foreground scenery is ignored (the cheap one, for training)."""
        return np.stack([self._film.actor_ids(t) > 0 for t in self.times])

    @cached_property
    def _ids(self) -> np.ndarray:
        return np.stack([self._film.ids(t) for t in self.times])                        # (t, h, w)

    @cached_property
    def masks(self) -> np.ndarray:
        """Visible pixels of each instance, (t, n, h, w) bool."""
        owner = self._film.owner[self._ids]
        return np.stack([owner == i for i in range(len(self._film.actors))], 1) if self._film.actors else \
            np.zeros((len(owner), 0, *owner.shape[1:]), bool)

    @cached_property
    def depth(self) -> np.ndarray:
        """Distance of each pixel, (t, h, w) float32 from 0 (at the lens) to 1 (the sky)."""
        return self._film.distance[self._ids]

    @cached_property
    def flow(self) -> np.ndarray:
        """Optical flow to the next frame in pixels, (t - 1, h, w, 2) float32 as (dx, dy)."""
        maps = np.array([self._film.maps(t) for t in self.times])                       # (t, ids, 2, 3)
        return np.stack([_flow(self._ids[k], maps[k], maps[k + 1]) for k in range(len(self.times) - 1)]) \
            if len(self.times) > 1 else np.zeros((0, *self._ids.shape[1:], 2), np.float32)

    @cached_property
    def boxes(self) -> np.ndarray:
        """Left, top, right, bottom of what is visible of each instance, (t, n, 4) int pixels; zeros when hidden."""
        boxes = np.zeros((*self.masks.shape[:2], 4), int)
        for k, i in np.argwhere(self.masks.any((2, 3))):
            rows, columns = np.where(self.masks[k, i].any(1))[0], np.where(self.masks[k, i].any(0))[0]
            boxes[k, i] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        return boxes

    @cached_property
    def visible(self) -> np.ndarray:
        """Share of each instance that is seen, neither cut off nor covered, (t, n) float in [0, 1]."""
        full = np.array([[self._film.area(i, t) for i in range(len(self._film.actors))] for t in self.times])
        return np.minimum(1, self.masks.sum((2, 3)) / np.maximum(full.reshape(self.masks.shape[:2]), 1))


# --- actors: subjects with a place and a path ------------------------------------------------------


@dataclass
class _Actor:
    subject: Subject
    rig: Rig
    x: float            # at t = 1 s, the middle of a two-second film
    y: float            # of the feet
    height: float
    velocity: tuple[float, float]
    phase: float
    rate: float         # cycles a second
    flip: bool
    grounded: bool
    paints: list[skia.Paint] = dataclasses.field(default_factory=list)

    def pose(self, t: float) -> tuple[Affine, list[Affine]]:
        """Where it stands at t and how its bones lie, both in world units."""
        phase = self.phase + self.rate * t
        x, y = self.x + self.velocity[0] * (t - 1), self.y + self.velocity[1] * (t - 1)
        if self.subject.action == "jump":
            y -= 0.5 * self.height * abs(math.sin(math.pi * phase))
        place = (-self.height if self.flip else self.height, 0.0, x, 0.0, self.height, y)
        return place, [compose(place, bone) for bone in self.rig.pose(phase)]


def _cast(scene: Scene, backdrop: Backdrop, aspect: float, rng: np.random.Generator) -> list[_Actor]:
    """Give every instance of every subject a rig, a place and a path; far ones first."""
    actors = []
    fit = min(1.0, 0.62 + 0.38 * aspect)  # narrow frames need smaller subjects
    for number, subject in enumerate(scene.subjects):
        kind = KINDS[subject.kind]
        grounded = kind.medium in ("ground", "rail", "water") and subject.action != "fly" or subject.action == "walk"
        shrink = {1: 1.0, 2: 0.85, 3: 0.75}[subject.count] * (0.88 if len(scene.subjects) > 1 else 1.0)
        height = kind.height * SIZES[subject.size] * fit * shrink
        pace = PACE[subject.action] * SPEEDS[subject.speed] * height
        heading = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1), "still": (0, 0)}[subject.direction]
        limit = (0.36 if len(scene.subjects) == 1 else 0.22) * (aspect if heading[0] else 1.0)
        rate = SPEEDS[subject.speed] * max(0.6, min(1.0, limit / max(pace, 1e-6)))  # held back, legs slow down too
        pace = min(pace, limit)
        centre = rng.uniform(-0.06, 0.06) * aspect
        if len(scene.subjects) > 1:
            centre += (-0.22, 0.22)[number] * aspect
        aloft = 0.5 if kind.medium in ("under", "space") else max(0.34, 0.06 + height / 2)
        row = backdrop.ground if grounded else aloft
        still = rng.random() < 0.5
        for i in range(subject.count):
            spread = (i - (subject.count - 1) / 2) * min(0.30 * aspect, height * 1.25)
            lift = rng.uniform(-0.02, 0.02) + (i % 2) * (0.045 if grounded else 0.13) - number * 0.035
            y = row + lift + (0.0 if grounded else rng.uniform(-0.05, 0.05) + height / 2)
            flip = subject.direction == "left" or subject.direction == "still" and still
            rig = BUILDERS[subject.kind](COLOURS[subject.colour], subject.action, rng)
            actors.append(_Actor(subject, rig, centre + spread, y, height, (heading[0] * pace, heading[1] * pace),
                                 float(rng.random()), rig.cycles * rate, flip, grounded))
    return sorted(actors, key=lambda actor: actor.y)


# --- the film: layers and actors seen by a camera ---------------------------------------------------


class _Film:
    """A scene made ready to be painted at one size."""

    def __init__(self, scene: Scene, height: int, width: int):
        self.scene, self.height, self.width = scene, height, width
        self.aspect = width / height
        rng = np.random.default_rng(scene.seed)
        self.light: Light = sky.light(scene, np.random.default_rng([scene.seed, 1]))
        margin = {"static": 0.05, "tracking": 1.1}.get(scene.camera, 0.35)
        self.reach = self.aspect / 2 + margin
        frame = Frame(self.aspect, self.reach, self.light, rng, scene.style, scene.weather)
        self.backdrop = settings.backdrop(scene.setting, frame)
        self.actors = _cast(scene, self.backdrop, self.aspect, np.random.default_rng([scene.seed, 2]))
        for actor in self.actors:
            actor.paints = [_shading(shape, self.light, scene.style) for shape in actor.rig.shapes]
        above = sky.sky_layers(dataclasses.replace(frame, rng=np.random.default_rng([scene.seed, 3])), scene.time,
                               any(KINDS[subject.kind].medium == "air" for subject in scene.subjects))
        layers = (above if self.backdrop.sky else []) + self.backdrop.layers
        self.behind = [layer for layer in layers if layer.depth <= 1.0]
        self.before = [layer for layer in layers if layer.depth > 1.0]
        merge = _merge if scene.camera == "static" else list
        self.painted = (merge(self.behind), merge(self.before))
        self.weather = weather.weather_layers(dataclasses.replace(frame, rng=np.random.default_rng([scene.seed, 4])))
        self.pictures: dict[int, skia.Image] = {}
        self._truth_tables()

    # The camera.

    def camera(self, t: float) -> tuple[float, float]:
        """Its offset in x and its zoom at t."""
        camera = self.scene.camera
        if camera == "tracking" and self.scene.subjects:
            lead = next(actor for actor in self.actors if actor.subject is self.scene.subjects[0])
            return lead.velocity[0] * (t - 1), 1.0
        eased = 1 - math.exp(-t / 1.6)
        return {"pan left": (-0.11 * (t - 1), 1.0), "pan right": (0.11 * (t - 1), 1.0),
                "zoom in": (0.0, 1 + 0.34 * eased), "zoom out": (0.0, 1.25 - 0.34 * eased * 0.73)}.get(camera, (0, 1))

    def view(self, t: float, depth: float) -> Affine:
        """From world units at a depth to pixels."""
        x, zoom = self.camera(t)
        zoom = 1 + (zoom - 1) * min(depth, 1.3)
        s = self.height * zoom
        return (s, 0.0, self.width / 2 - x * depth * s, 0.0, s, self.height / 2 - 0.5 * s)

    # Painting.

    def paint(self, t: float) -> np.ndarray:
        """One frame before its style's filter, (h, w, 3) uint8."""
        pixels = np.zeros((self.height, self.width, 4), np.uint8)
        canvas = skia.Surface(pixels, skia.ColorType.kRGBA_8888_ColorType).getCanvas()
        for layer in self.painted[0]:
            self._paint_layer(canvas, layer, t)
        for actor in self.actors:
            self._paint_actor(canvas, actor, t)
        for layer in self.painted[1] + self.weather:
            self._paint_layer(canvas, layer, t)
        return pixels[..., :3].copy()

    def _paint_layer(self, canvas: skia.Canvas, layer: Layer, t: float) -> None:
        view = self.view(t, layer.depth)
        if layer.animated:
            canvas.setMatrix(_matrix(view))
            layer.draw(canvas, t)
            canvas.resetMatrix()
            return
        density = self.height if self.scene.camera in ("static", "tracking", "pan left", "pan right") \
            else self.height * BOX
        picture = self.pictures.get(id(layer))
        if picture is None:
            picture = self.pictures[id(layer)] = self._picture(layer, density)
        # Beyond its reach a still layer goes on as its own mirror image, so that long films never run out of it.
        local = compose(view, (1 / density, 0.0, -picture.width() / density / 2, 0.0, 1 / density, -0.1))
        shader = picture.makeShader(skia.TileMode.kMirror, skia.TileMode.kClamp,
                                    skia.SamplingOptions(skia.FilterMode.kLinear), _matrix(local))
        canvas.drawPaint(skia.Paint(Shader=shader))

    def _picture(self, layer: Layer, density: float) -> skia.Image:
        half = math.ceil(self.reach * density)
        surface = skia.Surface(2 * half, math.ceil(1.2 * density))
        canvas = surface.getCanvas()
        canvas.clear(0)
        if self.scene.style == "paper cut-out" and layer.depth > 0:
            canvas.saveLayer(None, _drop_shadow(density))
        canvas.concat(_matrix((density, 0.0, half, 0.0, density, 0.1 * density)))
        layer.draw(canvas, 0.0)
        canvas.restoreToCount(1)
        return surface.makeImageSnapshot()

    def _paint_actor(self, canvas: skia.Canvas, actor: _Actor, t: float) -> None:
        view = self.view(t, 1.0)
        place, bones = actor.pose(t)
        shapes = actor.rig.shapes
        afloat = KINDS[actor.subject.kind].medium == "water"
        if actor.grounded and self.backdrop.mirror > 0:
            flip = (1.0, 0.0, 0.0, 0.0, -0.8, 1.8 * actor.y)  # about the feet
            canvas.saveLayerAlpha(None, int(110 * self.backdrop.mirror))
            self._paint_shapes(canvas, shapes, actor.paints, bones, compose(view, flip))
            canvas.restore()
        if actor.grounded and actor.rig.shadow and self.backdrop.shadows and not afloat:
            self._paint_shadow(canvas, actor, t, place, bones, view)
        if self.scene.style == "paper cut-out":
            canvas.saveLayer(None, _drop_shadow(self.height))
        self._paint_shapes(canvas, shapes, actor.paints, bones, view)
        canvas.restoreToCount(1)
        canvas.resetMatrix()

    def _paint_shapes(self, canvas, shapes, paints, bones, view) -> None:
        for shape, paint in zip(shapes, paints):
            canvas.setMatrix(_matrix(compose(view, bones[shape.bone])))
            canvas.drawPath(shape.path, paint)

    def _paint_shadow(self, canvas, actor, t, place, bones, view) -> None:
        """A soft contact shadow, and the rig's own outline laid on the ground away from the light."""
        strength = {"day": 0.30, "dawn": 0.24, "sunset": 0.28, "night": 0.22}[self.light.time] * (1 - self.light.haze)
        lift = max(0.0, actor.y - place[5]) / actor.height  # while jumping
        canvas.setMatrix(_matrix(compose(view, (1.0, 0.0, place[2], 0.0, 0.22, actor.y))))
        radius = actor.height * (0.75 if actor.subject.kind == "train" else 0.42) * (1 - 0.4 * lift)
        canvas.drawCircle(0, 0, radius, radial((0, 0), radius, [_NIGHT] * 2, [min(1.0, strength * 1.4), 0.0]))
        if self.scene.weather != "clear":
            return
        lean = max(-1.2, min(1.2, (place[2] / (self.aspect / 2) - self.light.sun[0]) * 0.9))
        fall = (1.0, -lean, lean * actor.y, 0.0, -0.28, 1.28 * actor.y)
        canvas.saveLayerAlpha(None, int(255 * strength * 0.8))
        self._paint_shapes(canvas, actor.rig.shapes, [_SHADOW] * len(actor.rig.shapes), bones, compose(view, fall))
        canvas.restore()

    # Ground truth: every pixel's id is a layer's or a rig shape's; tables tell what an id is.

    def _truth_tables(self) -> None:
        scenery = [*self.behind, *self.before]
        self.first = [len(scenery)]  # id of each actor's first shape
        for actor in self.actors:
            self.first.append(self.first[-1] + len(actor.rig.shapes))
        self.owner = np.full(self.first[-1] + 1, -1)
        self.distance = np.ones(self.first[-1] + 1, np.float32)
        for i, layer in enumerate(scenery):
            self.distance[i] = 1 - 0.7 * min(layer.depth, 1.4)
        for i in range(len(self.actors)):
            self.owner[self.first[i]:self.first[i + 1]] = i
            self.distance[self.first[i]:self.first[i + 1]] = 0.29 - 0.01 * i

    def ids(self, t: float) -> np.ndarray:
        """What each pixel shows: scenery layers count from 0, then the actors' shapes, (h, w) int."""
        ids = np.zeros((self.height, self.width), int)
        for i, layer in enumerate(self.behind):
            ids[self._alpha(layer, t) > 127] = i
        actors = self.actor_ids(t)
        ids[actors > 0] = actors[actors > 0]
        for i, layer in enumerate(self.before, len(self.behind)):
            ids[self._alpha(layer, t) > 127] = i
        return ids

    def actor_ids(self, t: float, only: int | None = None, margin: float = 0.0) -> np.ndarray:
        """The id of the topmost rig shape at each pixel, 0 for none; margin widens the frame, in frames."""
        pad_y, pad_x = int(self.height * margin), int(self.width * margin)
        pixels = np.zeros((self.height + 2 * pad_y, self.width + 2 * pad_x, 4), np.uint8)
        canvas = skia.Surface(pixels, skia.ColorType.kRGBA_8888_ColorType).getCanvas()
        view = compose((1.0, 0.0, pad_x, 0.0, 1.0, pad_y), self.view(t, 1.0))
        for i, actor in enumerate(self.actors):
            if only in (None, i):
                _, bones = actor.pose(t)
                codes = range(self.first[i], self.first[i + 1])
                paints = [skia.Paint(Color=skia.Color(c & 255, c >> 8, 255), AntiAlias=False) for c in codes]
                self._paint_shapes(canvas, actor.rig.shapes, paints, bones, view)
        return pixels[..., 0] + 256 * pixels[..., 1].astype(int)

    def area(self, actor: int, t: float) -> int:
        """Pixels that an actor would cover if nothing hid it, two frames' room around the frame included."""
        return int((self.actor_ids(float(t), only=actor, margin=1.0) > 0).sum())

    def _alpha(self, layer: Layer, t: float) -> np.ndarray:
        pixels = np.zeros((self.height, self.width, 4), np.uint8)
        self._paint_layer(skia.Surface(pixels, skia.ColorType.kRGBA_8888_ColorType).getCanvas(), layer, float(t))
        return pixels[..., 3]

    def maps(self, t: float) -> np.ndarray:
        """For each id the affine map from its own frame to pixels at t, (ids, 2, 3)."""
        affines = [self.view(t, layer.depth) for layer in (*self.behind, *self.before)]
        view = self.view(t, 1.0)
        for actor in self.actors:
            _, bones = actor.pose(float(t))
            affines += [compose(view, bones[shape.bone]) for shape in actor.rig.shapes]
        return np.array([*affines, (1, 0, 0, 0, 1, 0)]).reshape(-1, 2, 3)


# --- helpers ----------------------------------------------------------------------------------------

_NIGHT = (0.0, 0.0, 0.04)
_SHADOW = flat(_NIGHT)


def _matrix(m: Affine) -> skia.Matrix:
    return skia.Matrix.MakeAll(m[0], m[1], m[2], m[3], m[4], m[5], 0.0, 0.0, 1.0)


def _drop_shadow(density: float) -> skia.Paint:
    d = density * 0.012
    return skia.Paint(ImageFilter=skia.ImageFilters.DropShadow(d, d * 1.3, d * 0.8, d * 0.8, skia.Color(0, 0, 20, 110)))


def _shading(shape, light: Light, style: str) -> skia.Paint:
    """The shape's colour in this light, as a gradient from its lit top to its dim underside."""
    colour = shape.colour if shape.emissive else light.lit(shape.colour, 1 + 0.25 * light.glow)  # lamps help at night
    depth = 0.0 if shape.emissive or style == "paper cut-out" else shape.shade
    bounds = shape.path.getBounds()
    top = mix(colour, mix(scale(colour, 1.22), light.key, 0.12), depth)
    bottom = mix(colour, scale(colour, 0.74), depth)
    return gradient((0, bounds.top()), (0, bounds.bottom()), [top, bottom])


def _merge(layers: list[Layer]) -> list[Layer]:
    """Under a camera that stands still, neighbouring still layers become one picture."""
    merged: list[Layer] = []
    for layer in layers:
        if merged and not layer.animated and not merged[-1].animated:
            below = merged.pop()
            merged.append(Layer(layer.depth, lambda c, t, a=below, b=layer: (a.draw(c, t), b.draw(c, t))))
        else:
            merged.append(layer)
    return merged


def _flow(ids: np.ndarray, now: np.ndarray, then: np.ndarray) -> np.ndarray:
    """Where each pixel goes, minus where it is: through the inverse of its map now and its map then."""
    square = np.concatenate([now, np.broadcast_to([[[0.0, 0.0, 1.0]]], (len(now), 1, 3))], 1)
    thin = np.abs(np.linalg.det(square)) < 1e-9                     # shapes folded away (a fin seen edge-on)
    square[thin] = np.eye(3)
    moved = then @ np.linalg.inv(square)                            # (ids, 2, 3)
    moved[thin] = np.eye(3)[:2]
    y, x = np.mgrid[:ids.shape[0], :ids.shape[1]] + 0.5
    points = np.stack([x, y, np.ones_like(x)], -1)                  # (h, w, 3)
    return (np.einsum("hwij,hwj->hwi", moved[ids], points) - points[..., :2]).astype(np.float32)
