"""Star-shaped bodies: every point of the surface is seen from the centre."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fruitaudit.demo.fruit.casting import Hit, Pose, window_of
from fruitaudit.records.data import FloatArray

MARCH = 48
"""Steps down a ray at most. Most rays need four; those that graze the outline need them all."""


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
        window = window_of(pose.centre, pose.radius * self.reach, side)
        if window is None:
            return None
        top, bottom, left, right = window
        x, y = np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32)
        x = (x + np.float32(0.5 - pose.centre[0])) / np.float32(pose.radius)
        y = (np.float32(side - 0.5 - pose.centre[1]) - y) / np.float32(pose.radius)
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
        return length - _interpolate(self.table, polar, around)

    def _surface(self, pose: Pose, rows: np.ndarray, columns: np.ndarray, p: FloatArray) -> Hit:
        """Normals of r = R(polar, around): e_r - R_polar/R e_polar - R_around/(R sin polar) e_around."""
        q = pose.turn.T @ p
        length = np.maximum(np.sqrt((q * q).sum(axis=0)), 1e-6)
        polar, around = _angles(q, length)
        sin, cos = np.maximum(np.sin(polar), 0.02), np.cos(polar)
        d_polar = np.gradient(self.table, np.pi / (self.table.shape[0] - 1), axis=0).astype(np.float32)
        wrapped = np.concatenate([self.table[:, -1:], self.table, self.table[:, :1]], axis=1)
        d_around = ((wrapped[:, 2:] - wrapped[:, :-2]) * (self.table.shape[1] / (4 * np.pi))).astype(np.float32)
        a = _interpolate(d_polar, polar, around) / length
        b = _interpolate(d_around, polar, around) / (length * sin)
        ca, sa = np.cos(around), np.sin(around)
        normal = q / length - a * np.stack([cos * ca, -np.sin(polar), cos * sa]) - b * np.stack([-sa, 0 * sa, ca])
        normal /= np.sqrt((normal * normal).sum(axis=0))
        return Hit(rows, columns, p[2] * pose.radius + pose.depth, pose.turn @ normal, q, polar, around)


def _angles(q: FloatArray, length: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.arccos(np.clip(q[1] / np.maximum(length, 1e-6), -1, 1)), np.arctan2(q[2], q[0])


def _interpolate(table: FloatArray, polar: FloatArray, around: FloatArray) -> FloatArray:
    """The table between its points, linearly. OpenCV wants a picture, so the points are laid in rows of 256."""
    n_polar, n_around = table.shape
    at = np.zeros((2, -(-len(polar) // 256) * 256), np.float32)
    np.multiply(around % (2 * np.pi), n_around / (2 * np.pi), out=at[0, : len(polar)])
    np.multiply(polar, (n_polar - 1) / np.pi, out=at[1, : len(polar)])
    turn = np.concatenate([table, table[:, :1]], axis=1)
    values = cv2.remap(
        turn, at[0].reshape(-1, 256), at[1].reshape(-1, 256), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return values.ravel()[: len(polar)]
