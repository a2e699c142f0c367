"""Tubes: stems, leaves, fingers, bananas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fruitaudit.demo.fruit.casting import Hit, Pose, window_of
from fruitaudit.records.data import FloatArray

PLANE = np.array([0, 0, 1], np.float32)
"""Tubes bend within the plane z = 0 of their body; angles about them are counted from it."""


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
        whole = window_of(tuple((low + high) / 2), float((high - low).max()) / 2 + 2, side)
        if whole is None:
            return None
        y0, y1, x0, x1 = whole
        depth = np.full((y1 - y0, x1 - x0), -np.inf, np.float32)
        which = np.zeros(depth.shape, np.int32)
        for i, ((cx, cy, cz), radius) in enumerate(zip(centres.tolist(), radii.tolist(), strict=True)):
            window = window_of((cx, cy), radius, side)
            if window is None:
                continue
            top, bottom, left, right = window
            dx = np.arange(left, right, dtype=np.float32) + np.float32(0.5 - cx)
            dy = np.float32(side - 0.5 - cy) - np.arange(top, bottom, dtype=np.float32)
            squared_depth = np.float32(radius**2) - (dx * dx)[None] - (dy * dy)[:, None]
            z = np.where(squared_depth > 0, np.float32(cz) + np.sqrt(np.maximum(squared_depth, 0)), np.float32(-np.inf))
            region = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
            nearer = z > depth[region]
            np.copyto(depth[region], z, where=nearer)
            np.copyto(which[region], i, where=nearer)
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
