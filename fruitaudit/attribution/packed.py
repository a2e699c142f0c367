"""One method on one set of images, as the arrays that are kept of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fruitaudit.attribution.base import Method
from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.sharing import Shared, sharing
from fruitaudit.models.base import WithScores
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Targets
from fruitaudit.records.packing import Arrays, pack
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams


def explain_packed(
    method: Method, model: WithScores, images: Images, targets: Targets, streams: Streams, shared: Shared | None
) -> Arrays | NotRun:
    """What a method shows, packed, with the passes that it took; `shared` holds what methods before it made."""
    before = model.passes.total
    ready = Shared() if shared is None else shared
    with sharing(ready):
        made = explain(method, model, images, targets, streams)
    if isinstance(made, NotRun):
        return made
    known = tuple(f"{what}: those that another method had made" for what in ready.found)
    arrays = pack(replace(made, notes=(*made.notes, *known)))
    # Another library calls the network itself, where nobody counts.
    if method.registration.provider == "native":
        arrays["model_passes"] = np.array(model.passes.total - before)
    return arrays
