"""Memory of this process."""

from __future__ import annotations

import resource
import sys

LESS_MEMORY = "give the process more memory, or lower `memory` in the config"


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, NumPy, TensorFlow or OpenCV say in this way that they were given too little."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "ResourceExhaustedError"
        or (type(error).__module__ == "cv2" and getattr(error, "code", None) == -4)
    )


def address_space() -> int | None:
    """Bytes that this process may map at the most (`ulimit -v`), None where there is no such limit."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit
