"""Where the JPEG decoder of a loader gives other pixels than Pillow's, which reads all images here."""

from __future__ import annotations

from collections.abc import Iterable

from fruitaudit.config.loaders import Library, Loader
from fruitaudit.data.splits import Split

_JPEG = (".jpg", ".jpeg")
DIFFERENCES: dict[tuple[Library, int], tuple[float, int]] = {
    ("TensorFlow", 3): (1.005, 17),
    ("TensorFlow", 1): (0.538, 24),
    ("OpenCV", 3): (0.0, 0),
    ("OpenCV", 1): (0.031, 25),
    ("Pillow", 3): (0.0, 0),
    ("Pillow", 1): (0.0, 0),
}
"""By decoder and channels: mean and largest difference in grey levels, which `benchmarks/decoders.py` measures on 1,192
photographs. TensorFlow decodes with libjpeg's fast transform, the others with its exact one; both take the luminance
that a JPEG stores for grey, which differs from that of its colours where these were cut off at 0 or 255."""


def other_decoder(loader: Loader, channels: int, splits: Iterable[Split]) -> str:
    """One sentence, where the splits hold JPEGs and the loader's decoder gives other pixels; else nothing."""
    mean, largest = DIFFERENCES[loader.decoder, channels]
    if not largest or not any(s.path.suffix.lower() in _JPEG for split in splits for s in split.samples):
        return ""
    return (
        f"loader {loader.name}: {loader.decoder} gets other{' grey' if channels == 1 else ''} pixels of JPEGs than "
        f"Pillow, which reads them here; on photographs by {mean:.2g} of 255 levels on average, by {largest} at most."
    )
