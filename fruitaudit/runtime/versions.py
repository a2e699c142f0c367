"""Versions of what an audit is made with."""

from __future__ import annotations

import sys
from importlib import metadata


def versions() -> dict[str, str]:
    """Versions of Python and of the packages whose results the audit contains."""
    names = ("fruitaudit", "tensorflow", "keras", "numpy", "scipy", "scikit-learn", "pandas", "opencv-python-headless",
             "pillow", "scikit-image", "lime", "tf-keras-vis", "tf-explain")  # fmt: skip
    by_name = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in names:
        try:
            by_name[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            by_name[name] = "not installed"
    return by_name
