"""TensorFlow and Keras, imported once and quietly. Everything else of this package takes `keras` and `tf` from here."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fruitaudit.errors import MachineError
from fruitaudit.runtime.memory import address_space


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hold back what C++ writes to file descriptor 2, and show it only when the block fails."""
    sys.stderr.flush()
    descriptor = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except Exception:
            hidden.seek(0)
            os.write(descriptor, hidden.read())
            raise
        finally:
            os.dup2(descriptor, 2)
            os.close(descriptor)


ADDRESS_SPACE = 3_500_000_000
"""Bytes that must be there to be mapped: with less, TensorFlow's libraries abort, or wait for ever for a thread.
An audit of a small network ends well with 3.0 GB and not with 2.7; measured with TensorFlow 2.21 on Linux."""

if (limit := address_space()) is not None and limit < ADDRESS_SPACE:
    raise MachineError(f"this process may map {limit / 1e9:.1f} GB of memory (ulimit -v), and TensorFlow needs "
                       f"{ADDRESS_SPACE / 1e9:.1f} GB: raise the limit")  # fmt: skip
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Those who also train on JAX or PyTorch have another one in the environment of every program.
os.environ["KERAS_BACKEND"] = "tensorflow"
# TensorFlow chooses oneDNN on some processors only. Elsewhere a pass takes twice as long, and grouped convolutions that
# it fuses with their activation raise UnimplementedError.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# TensorFlow greets on stderr before it reads its log level.
with _quiet_stderr():
    import keras
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
if keras.backend.backend() != "tensorflow":
    raise MachineError(f"Keras was imported with {keras.backend.backend()} before fruitaudit, which reads models with "
                       "TensorFlow: set KERAS_BACKEND=tensorflow before the first import of keras")  # fmt: skip

__all__ = ["device", "keras", "tf"]


def scope_of(name: str) -> str:
    """A name as TensorFlow's graphs accept it; that of a layer may be anything."""
    accepted = re.sub(r"[^A-Za-z0-9_.>-]", "_", name)
    return accepted if not accepted or re.match(r"[A-Za-z0-9.]", accepted) else f"layer{accepted}"


def _open_scope(layer: Any) -> Any:
    name = layer.name
    if not isinstance(name, str) or scope_of(name) == name:
        return _open_scope_named_as_it_is(layer)
    layer.name = scope_of(name)
    try:
        return _open_scope_named_as_it_is(layer)
    finally:
        layer.name = name


# Keras saves and loads names that no graph of TensorFlow accepts, such as "fruit classifier"; a copy has them too.
_open_scope_named_as_it_is = keras.Layer._open_name_scope
keras.Layer._open_name_scope = _open_scope


def device() -> str:
    """What the model runs on, e.g. "CPU, 2 cores" or "GPU NVIDIA A100"."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return "GPU " + str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name))
    return f"CPU, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"
