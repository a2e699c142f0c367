"""Many scenes rendered on all cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np
import numpy.typing as npt

from fruitaudit.demo.fruit.render import render
from fruitaudit.demo.fruit.scene import Scene
from fruitaudit.records.data import ByteArray


def shoot(shots: Sequence[tuple[Scene, int]]) -> Iterator[tuple[ByteArray, npt.NDArray[np.bool_]]]:
    """Pixels and mask of each (scene, side), in order."""
    scenes, sides = zip(*shots, strict=True)
    # `spawn`: a forked child would inherit TensorFlow's locks without its threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(render, scenes, sides, chunksize=16)
