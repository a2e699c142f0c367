"""One method on one set of images, as the arrays of its result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fruitaudit.attribution.base import Method
from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.sharing import Shared, sharing
from fruitaudit.models.base import WithScores
from fruitaudit.records.data import Arrays, Images
from fruitaudit.records.explanations import Targets
from fruitaudit.records.packing import pack
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams


def explain_packed(
    method: Method, model: WithScores, images: Images, targets: Targets, streams: Streams, shared: Shared | None
) -> Arrays | NotRun:
    """The packed explanation of a method, with its number of passes; `shared` caches gradients between methods."""
    before = model.passes.total
    cache = Shared() if shared is None else shared
    with sharing(cache):
        explanation = explain(method, model, images, targets, streams)
    if isinstance(explanation, NotRun):
        return explanation
    sharing_notes = tuple(f"{label}: those that another method had made" for label in cache.hits)
    arrays = pack(replace(explanation, notes=(*explanation.notes, *sharing_notes)))
    # Another library calls the network itself, where nobody counts.
    if method.registration.provider == "native":
        arrays["model_passes"] = np.array(model.passes.total - before)
    return arrays
