"""Orthographic ray casting of the two kinds of part a fruit is made of: star-shaped bodies and tubes.

View coordinates: x right, y up, z towards the camera. Body coordinates: y is the fruit's axis, stem end up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from fruitaudit.records.data import FloatArray

MARCH = 48
"""Steps down a ray at most. Most rays need four; those that graze the outline need them all."""
PLANE = np.array([0, 0, 1], np.float32)
"""Tubes bend within the plane z = 0 of their body; angles about them are counted from it."""


class Hit(NamedTuple):
    """Where rays meet a part, for the N pixels that meet it."""

    rows: np.ndarray
    columns: np.ndarray
    z: FloatArray
    """(N,) depth in pixels."""
    normals: FloatArray
    """(3, N) unit vectors in view coordinates."""
    body: FloatArray
    """(3, N) body coordinates."""
    along: FloatArray
    """(N,) polar angle 0 (stem end) .. pi of a star; 0..1 along a tube."""
    around: FloatArray
    """(N,) angle about the axis, -pi..pi."""


@dataclass(frozen=True)
class Pose:
    """Where a fruit lies in the picture: p_view = radius * turn @ p_body + centre, in pixels."""

    turn: FloatArray
    """(3, 3) rotation."""
    centre: tuple[float, float]
    """(x, y) in pixels, y up from the bottom edge."""
    radius: float
    """Pixels per unit of body length."""
    depth: float = 0.0
    """Lifts a fruit before (positive) or behind its neighbours, in pixels."""


@dataclass(frozen=True)
class Star:
    """A body every point of whose surface is seen from its centre: |p| = table(polar angle, angle about the axis)."""

    table: FloatArray
    """(n_polar, n_around) radii; rows run from the stem end to the other end, columns over a full turn."""

    @property
    def reach(self) -> float:
        """Largest distance of the surface from the centre."""
        return float(self.table.max())

    def outline(self) -> tuple[FloatArray, FloatArray]:
        """Points (n, 3) that span the body, and the margin (n, 1) around each."""
        table = self.table[::6, ::8]
        polar = np.linspace(0, np.pi, self.table.shape[0], dtype=np.float32)[::6, None]
        around = np.linspace(0, 2 * np.pi, table.shape[1], endpoint=False, dtype=np.float32)[None]
        flat = table * np.sin(polar)
        points = np.stack([flat * np.cos(around), table * np.cos(polar), flat * np.sin(around)], axis=-1).reshape(-1, 3)
        return points, np.zeros((len(points), 1), np.float32)

    def cast(self, pose: Pose, side: int) -> Hit | None:
        """Every ray's first meeting with the surface: march to within a pixel, then one exact Newton step.

        A coarse march on every third pixel tells the fine one where to start.
        """
        window = _window(pose.centre, pose.radius * self.reach, side)
        if window is None:
            return None
        top, bottom, left, right = window
        x = (np.arange(left, right, dtype=np.float32) + np.float32(0.5 - pose.centre[0])) / np.float32(pose.radius)
        y = (np.float32(side - 0.5 - pose.centre[1]) - np.arange(top, bottom, dtype=np.float32)) / np.float32(
            pose.radius
        )
        chord = np.sqrt(np.maximum(np.float32(self.reach**2) - (x * x)[None] - (y * y)[:, None], 0))
        start = chord
        if pose.radius > 12:
            coarse, met = self._march(pose, x[::3], y[::3], chord[::3, ::3], chord[::3, ::3])
            coarse = cv2.dilate(np.where(met, coarse, chord[::3, ::3]), np.ones((3, 3), np.uint8)) + np.float32(0.02)
            start = np.minimum(np.repeat(np.repeat(coarse, 3, 0), 3, 1)[: len(y), : len(x)], chord)
        z, met = self._march(pose, x, y, start, chord)
        rows, columns = np.nonzero(met)
        if not len(rows):
            return None
        x, y, z = x[columns], y[rows], z[met]
        gap = self._gap(pose, x, y, z)
        slope = (self._gap(pose, x, y, z + np.float32(0.01)) - gap) / np.float32(0.01)
        z = z - np.clip(gap / np.maximum(slope, 0.1), -0.06, 0.06)
        return self._surface(pose, rows + top, columns + left, np.stack([x, y, z]))

    def _march(
        self, pose: Pose, x: FloatArray, y: FloatArray, start: FloatArray, chord: FloatArray
    ) -> tuple[FloatArray, np.ndarray]:
        """Walk down each ray by a part of the gap to the surface, until it is closed or the body passed."""
        near = np.float32(max(0.4 / pose.radius, 0.004))
        base = [pose.turn[0, i] * x[None] + pose.turn[1, i] * y[:, None] for i in range(3)]
        n_polar, n_around = self.table.shape
        # A column more, so that a full turn needs no modulo.
        table = np.concatenate([self.table, self.table[:, :1]], axis=1).ravel()
        to_row, to_column = np.float32((n_polar - 1) / np.pi), np.float32(n_around / (2 * np.pi))
        z, met = start.ravel().copy(), np.zeros(start.size, bool)
        live = np.flatnonzero(chord)
        flat, height = [b.ravel()[live] for b in base], z[live]
        bottom = -chord.ravel()[live]
        for k in range(MARCH):
            if not len(live):
                break
            q = [f + pose.turn[2, i] * height for i, f in enumerate(flat)]
            across = cv2.magnitude(q[0], q[2]).ravel()
            # Nearest-neighbour reading of the table: the Newton step after the march is exact.
            row = np.rint(cv2.phase(q[1], across).ravel() * to_row).astype(np.int32)
            column = np.rint(cv2.phase(q[0], q[2]).ravel() * to_column).astype(np.int32)
            gap = cv2.magnitude(across, q[1]).ravel() - table.take(row * (n_around + 1) + column)
            closed = gap < near
            z[live[closed]], met[live[closed]] = height[closed], True
            # Never smaller, ever larger steps: a ray that grazes a rim must still reach what lies behind it.
            height = height - np.maximum(np.float32(0.8) * gap, np.float32(0.006 + 0.0012 * k))
            going = ~closed & (height > bottom)
            live, height, bottom, flat = live[going], height[going], bottom[going], [f[going] for f in flat]
        return z.reshape(start.shape), met.reshape(start.shape)

    def _gap(self, pose: Pose, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        q = pose.turn.T @ np.stack([x, y, z])
        length = np.sqrt((q * q).sum(axis=0))
        polar, around = _angles(q, length)
        return length - _read(self.table, polar, around)

    def _surface(self, pose: Pose, rows: np.ndarray, columns: np.ndarray, p: FloatArray) -> Hit:
        """Normals of r = R(polar, around): e_r - R_polar/R e_polar - R_around/(R sin polar) e_around."""
        q = pose.turn.T @ p
        length = np.maximum(np.sqrt((q * q).sum(axis=0)), 1e-6)
        polar, around = _angles(q, length)
        sin, cos = np.maximum(np.sin(polar), 0.02), np.cos(polar)
        d_polar = np.gradient(self.table, np.pi / (self.table.shape[0] - 1), axis=0).astype(np.float32)
        wrapped = np.concatenate([self.table[:, -1:], self.table, self.table[:, :1]], axis=1)
        d_around = ((wrapped[:, 2:] - wrapped[:, :-2]) * (self.table.shape[1] / (4 * np.pi))).astype(np.float32)
        a = _read(d_polar, polar, around) / length
        b = _read(d_around, polar, around) / (length * sin)
        ca, sa = np.cos(around), np.sin(around)
        normal = q / length - a * np.stack([cos * ca, -np.sin(polar), cos * sa]) - b * np.stack([-sa, 0 * sa, ca])
        normal /= np.sqrt((normal * normal).sum(axis=0))
        return Hit(rows, columns, p[2] * pose.radius + pose.depth, pose.turn @ normal, q, polar, around)


@dataclass(frozen=True)
class Tube:
    """A bent round rod: spheres strung so closely on a path that they merge."""

    path: FloatArray
    """(n, 3) centres in body coordinates."""
    radii: FloatArray
    """(n,) in body units."""

    @property
    def reach(self) -> float:
        """Largest distance of the surface from the origin."""
        return float((np.sqrt((self.path**2).sum(axis=1)) + self.radii).max())

    def outline(self) -> tuple[FloatArray, FloatArray]:
        """Points (n, 3) that span the tube, and the margin (n, 1) around each."""
        return self.path, self.radii[:, None]

    def cast(self, pose: Pose, side: int) -> Hit | None:
        """The front of all spheres, nearest first kept."""
        centres = self.path @ pose.turn.T * pose.radius + np.array([*pose.centre, pose.depth], np.float32)
        radii = pose.radius * self.radii
        low, high = (centres[:, :2] - radii[:, None]).min(axis=0), (centres[:, :2] + radii[:, None]).max(axis=0)
        whole = _window(tuple((low + high) / 2), float((high - low).max()) / 2 + 2, side)
        if whole is None:
            return None
        y0, y1, x0, x1 = whole
        depth = np.full((y1 - y0, x1 - x0), -np.inf, np.float32)
        which = np.zeros(depth.shape, np.int32)
        for i, ((cx, cy, cz), radius) in enumerate(zip(centres.tolist(), radii.tolist(), strict=True)):
            window = _window((cx, cy), radius, side)
            if window is None:
                continue
            top, bottom, left, right = window
            dx = np.arange(left, right, dtype=np.float32) + np.float32(0.5 - cx)
            dy = np.float32(side - 0.5 - cy) - np.arange(top, bottom, dtype=np.float32)
            rest = np.float32(radius**2) - (dx * dx)[None] - (dy * dy)[:, None]
            z = np.where(rest > 0, np.float32(cz) + np.sqrt(np.maximum(rest, 0)), np.float32(-np.inf))
            here = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
            nearer = z > depth[here]
            np.copyto(depth[here], z, where=nearer)
            np.copyto(which[here], i, where=nearer)
        rows, columns = np.nonzero(depth > -np.inf)
        if not len(rows):
            return None
        return self._surface(pose, rows + y0, columns + x0, depth[rows, columns], which[rows, columns], side)

    def _surface(
        self, pose: Pose, rows: np.ndarray, columns: np.ndarray, z: FloatArray, which: np.ndarray, side: int
    ) -> Hit:
        """Normals point away from the path, which runs straight between the centres of two spheres."""
        view = np.stack([columns + 0.5 - pose.centre[0], side - 0.5 - rows - pose.centre[1], z - pose.depth])
        body = pose.turn.T @ (view / pose.radius).astype(np.float32)
        tangent = np.gradient(self.path, axis=0).T
        ahead = ((body - self.path.T[:, which]) * tangent[:, which]).sum(axis=0)
        ahead = np.clip(ahead / (tangent[:, which] ** 2).sum(axis=0), -1, 1)
        out = body - (self.path.T[:, which] + tangent[:, which] * ahead)
        out /= np.maximum(np.sqrt((out * out).sum(axis=0)), 1e-6)
        along = np.clip((which + ahead) / (len(self.path) - 1), 0, 1)
        bend = np.cross(tangent.T, PLANE).T[:, which]
        around = np.arctan2(out[2], (out * bend).sum(axis=0) / np.sqrt((bend * bend).sum(axis=0)))
        return Hit(rows, columns, z, pose.turn @ out, body, along.astype(np.float32), around)


def _window(centre: tuple[float, float], radius: float, side: int) -> tuple[int, int, int, int] | None:
    """Rows top..bottom and columns left..right that a disc touches; None outside the picture."""
    left, right = max(int(centre[0] - radius), 0), min(int(centre[0] + radius) + 2, side)
    top, bottom = max(int(side - centre[1] - radius), 0), min(int(side - centre[1] + radius) + 2, side)
    return (top, bottom, left, right) if left < right and top < bottom else None


def _angles(q: FloatArray, length: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.arccos(np.clip(q[1] / np.maximum(length, 1e-6), -1, 1)), np.arctan2(q[2], q[0])


def _read(table: FloatArray, polar: FloatArray, around: FloatArray) -> FloatArray:
    """The table between its points, linearly. OpenCV wants a picture, so the points are laid in rows of 256."""
    n_polar, n_around = table.shape
    at = np.zeros((2, -(-len(polar) // 256) * 256), np.float32)
    np.multiply(around % (2 * np.pi), n_around / (2 * np.pi), out=at[0, : len(polar)])
    np.multiply(polar, (n_polar - 1) / np.pi, out=at[1, : len(polar)])
    turn = np.concatenate([table, table[:, :1]], axis=1)
    found = cv2.remap(
        turn, at[0].reshape(-1, 256), at[1].reshape(-1, 256), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return found.ravel()[: len(polar)]
