"""Where the JPEG decoder of a loader gives other pixels than Pillow's, which reads all images here."""

from __future__ import annotations

from collections.abc import Iterable

from fruitaudit.config.loaders import Library, Loader
from fruitaudit.data.splits import Split

_JPEG = (".jpg", ".jpeg")
DIFFERENCES: dict[Library, tuple[float, int]] = {"TensorFlow": (1.005, 17), "OpenCV": (0.0, 0), "Pillow": (0.0, 0)}
"""Mean and largest difference from Pillow in grey levels, over 1,192 photographs: `benchmarks/decoders.py` measures
them. TensorFlow decodes with libjpeg's fast transform, the others with its exact one."""


def other_decoder(loader: Loader, splits: Iterable[Split]) -> str:
    """One sentence, where the splits hold JPEGs and the loader's decoder gives other pixels; else nothing."""
    mean, largest = DIFFERENCES[loader.decoder]
    if not largest or not any(s.path.suffix.lower() in _JPEG for split in splits for s in split.samples):
        return ""
    return (
        f"loader {loader.name}: {loader.decoder} decodes JPEGs with libjpeg's fast transform, but Pillow reads "
        f"them here; on photographs that moves a pixel by {mean:.1f} of 255 levels on average, by {largest} at most."
    )
