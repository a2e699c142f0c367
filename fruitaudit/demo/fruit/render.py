"""From a scene to pixels and the mask of the fruit."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.demo.fruit.backdrop import backdrop
from fruitaudit.demo.fruit.bodies import build, extent
from fruitaudit.demo.fruit.casting import Pose
from fruitaudit.demo.fruit.clutter import add_hand, lay_board, lay_tag
from fruitaudit.demo.fruit.material import Canvas, wet
from fruitaudit.demo.fruit.scene import Light, Scene
from fruitaudit.demo.fruit.shade import Lamp, Surfaces, to_linear, to_srgb
from fruitaudit.demo.fruit.skins import material_of
from fruitaudit.records.data import ByteArray, FloatArray
from fruitaudit.runtime.streams import Streams

FILL = 0.94
"""Share of the picture's side that a fruit takes at scale 1."""


def render(scene: Scene, side: int) -> tuple[ByteArray, npt.NDArray[np.bool_]]:
    """Pixels (side, side, 3) RGB uint8, and the mask (side, side) of the fruit that is seen, clutter left out."""
    # Small pictures are drawn finer and averaged, large ones as they are.
    grid = side * 3 // 2 if side <= 200 else side
    streams = Streams(scene.seed)
    lamp = _lamp(scene.light)
    glow = np.asarray(lamp.colour, np.float32)  # on a surface that faces the camera
    picture = to_linear(backdrop(scene.background, streams.rng("background"), grid)) * glow
    cover = np.zeros((grid, grid), np.float32)
    main = _pose(scene, grid, streams)
    if scene.fruits > 1:
        heap = _heap(scene, 2 * grid // 3 if side <= 200 else grid // 2, streams)
        picture, cover = _lay(picture, cover, heap, lamp, scene)
    front = Surfaces(grid)
    _add_fruit(front, scene, main, scene.seed)
    if scene.clutter == "hand":
        half = replace(main, radius=FILL * scene.scale * grid / 2, centre=_middle(scene, grid))
        add_hand(front, half, streams.rng("hand"))
    picture, cover = _lay(picture, cover, front, lamp, scene)
    if scene.clutter in ("board", "tag"):
        lay = lay_board if scene.clutter == "board" else lay_tag
        colours, over = lay(grid, streams.rng(scene.clutter))
        picture += (to_linear(colours) * glow - picture) * over[..., None]
        cover = cover * (1 - over)
    if grid != side:
        picture, cover = (cv2.resize(a, (side, side), interpolation=cv2.INTER_AREA) for a in (picture, cover))
    return _photograph(scene, picture, streams), cover > 0.3


def _lamp(light: Light) -> Lamp:
    w = light.warmth
    colour = (light.intensity * (1 + 0.22 * w), light.intensity, light.intensity * (1 - 0.5 * w))
    return Lamp(light.direction, 1.35 * light.hardness, 1.3 * (1 - light.hardness), colour)


def _middle(scene: Scene, grid: int) -> tuple[float, float]:
    return grid * (0.5 + scene.position[0]), grid * (0.5 + scene.position[1])


def _pose(scene: Scene, grid: int, streams: Streams) -> Pose:
    """The fruit's outline centred on its position, its longer side as the scale says."""
    turn = _turn(scene.angles)
    parts = build(scene.class_name, streams.rng("body"))
    low, high = extent(parts, turn)
    # A banana that points at the camera is not blown up to the picture's size.
    size = max(float((high - low).max()), 1.2 * max(part.shape.reach for part in parts))
    radius = FILL * scene.scale * grid / size
    x, y = _middle(scene, grid)
    middle = radius * (low + high) / 2
    return Pose(turn, (x - float(middle[0]), y - float(middle[1])), radius)


def _turn(angles: tuple[float, float, float]) -> FloatArray:
    (cs, ct, cr), (ss, st, sr) = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    spin = np.array([[cs, 0, ss], [0, 1, 0], [-ss, 0, cs]])
    tilt = np.array([[1, 0, 0], [0, ct, -st], [0, st, ct]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (roll @ tilt @ spin).astype(np.float32)


def _add_fruit(surfaces: Surfaces, scene: Scene, pose: Pose, seed: int) -> None:
    streams = Streams(seed)
    for part in build(scene.class_name, streams.rng("body")):
        hit = part.shape.cast(pose, surfaces.side)
        if hit is None or not len(hit.rows):
            continue
        canvas = Canvas(hit, pose.radius, streams.integer("skin"), scene.ripeness)
        material = material_of(scene.class_name, part.skin, canvas)
        surfaces.add(hit, wet(material, canvas, scene.wetness), pose)


def _heap(scene: Scene, grid: int, streams: Streams) -> Surfaces:
    """The other fruits of the class: on rings around the first, behind it, none where the others are."""
    surfaces = Surfaces(grid)
    main = _pose(scene, grid, streams)
    step = 0.47 * scene.scale * grid * 1.9
    x0, y0 = _middle(scene, grid)
    start = streams.rng("heap").uniform(0, 2 * np.pi)
    for k in range(1, scene.fruits):
        rng = streams.rng("heap", str(k))
        ring, place = (1, k - 1) if k <= 6 else (2, k - 7)
        angle = start + place * (np.pi / 3 if ring == 1 else np.pi / 6) + rng.uniform(-0.15, 0.15)
        away = step * ring * rng.uniform(0.92, 1.05) * (1 if ring == 1 else 0.95)
        angles = (rng.uniform(0, 360), rng.uniform(-60, 80), rng.uniform(0, 360))
        seed = int(rng.integers(2**31))
        radius = main.radius * rng.uniform(0.9, 1.08)
        centre = (x0 + away * float(np.cos(angle)), y0 + away * float(np.sin(angle)))
        pose = Pose(_turn(angles), centre, radius, depth=radius * float(rng.uniform(-0.3, 0.3)))
        _add_fruit(surfaces, scene, pose, seed)
    return surfaces


def _lay(
    picture: FloatArray, cover: FloatArray, surfaces: Surfaces, lamp: Lamp, scene: Scene
) -> tuple[FloatArray, FloatArray]:
    """Put lit surfaces over the picture, with their shadow on it."""
    grid = len(picture)
    light, solid = surfaces.lit(lamp), surfaces.covered.astype(np.float32)
    fruit = (surfaces.covered & surfaces.fruit).astype(np.float32)
    if len(light) != grid:
        light, solid, fruit = (
            cv2.resize(a, (grid, grid), interpolation=cv2.INTER_LINEAR) for a in (light, solid, fruit)
        )
    x, y, z = scene.light.direction
    reach = 0.1 * scene.scale * grid * scene.light.hardness / max(z, 0.3)
    slide = np.array([[1, 0, -x * reach], [0, 1, y * reach]], np.float32)
    small = cv2.resize(cv2.warpAffine(solid, slide, (grid, grid)), (100, 100), interpolation=cv2.INTER_AREA)
    shadow = cv2.resize(cv2.GaussianBlur(small, (0, 0), 5 * scene.scale), (grid, grid))
    # The white of the lab takes no shadow; fruit takes it from fruit on any background.
    dimmed = shadow * cover if scene.background == "white" else shadow
    picture = picture * (1 - 0.75 * dimmed)[..., None]
    over = solid[..., None]
    return picture * (1 - over) + light, np.maximum(cover * (1 - solid), fruit)


def _photograph(scene: Scene, picture: FloatArray, streams: Streams) -> ByteArray:
    """Lens, sensor and file: blur, tone curve, noise, compression."""
    side = len(picture)
    if scene.blur > 0:
        picture = cv2.GaussianBlur(picture, (0, 0), scene.blur * side / 100)
    pixels = 255 * to_srgb(picture)
    if scene.noise > 0:
        pixels = pixels + scene.noise * streams.rng("noise").standard_normal(pixels.shape, dtype=np.float32)
    photo = np.clip(pixels + 0.5, 0, 255).astype(np.uint8)
    if scene.jpeg < 100:
        _, data = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, scene.jpeg])
        photo = cv2.cvtColor(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)
    return photo
