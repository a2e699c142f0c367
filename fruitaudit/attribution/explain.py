"""One method on one set of images: a result that holds to the contract, or the reason why there is none."""

from __future__ import annotations

import logging
from dataclasses import replace

from fruitaudit.attribution.base import Method, Registration, background_of
from fruitaudit.errors import AuditError, CannotExplain, MachineError
from fruitaudit.models.base import WithScores, lacking, offering
from fruitaudit.records.data import Background, Images
from fruitaudit.records.explanations import Explanation, Maps, Segments, Targets
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.memory import LESS_MEMORY, is_out_of_memory
from fruitaudit.runtime.streams import Streams
from fruitaudit.runtime.text import first_line

log = logging.getLogger(__name__)


def explain(
    method: Method, model: WithScores, images: Images, targets: Targets, streams: Streams
) -> Explanation | NotRun:
    """Run a method. Whatever goes wrong in it or its library costs this method alone, with a reason."""
    title = method.registration.title
    if len(images) == 0 and method.registration.subject == "image":
        return NotRun(f"{title}: there are no images to explain", "no_images")
    if targets.against is not None and (reason := why_no_contrast(method)):
        return NotRun(reason, "not_applicable")
    if reason := why_not_offered(method.registration, model):
        return NotRun(reason, "not_applicable")
    try:
        explanation = method(
            offering(model, *method.registration.needs), _with_fewer_references(method, images), targets, streams
        )
    except CannotExplain as reason:
        return NotRun(str(reason), "not_applicable")
    except AuditError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise MachineError(f"{title} ran out of memory: {LESS_MEMORY}, or leave the method out") from error
        log.debug("%s failed", title, exc_info=True)
        return NotRun(f"{title} failed on this model: {first_line(error)}", "failed")
    return _checked_shapes(title, explanation, images)


def why_no_contrast(method: Method) -> str:
    """Why a method cannot tell why one class was preferred to another; empty where it can."""
    # Adapters copy the registration of the native method, and other libraries explain one class.
    if method.registration.contrast and method.registration.provider == "native":
        return ""
    return (
        f"{method.registration.title} cannot tell why one class was preferred to another; use integrated gradients "
        "or occlusion, or ask for target: predicted"
    )


def why_not_offered(registration: Registration, model: WithScores) -> str:
    """What a model lacks of the parts that a method needs, and what to use instead; empty where it lacks nothing."""
    missing = lacking(model, registration.needs)
    if not missing:
        return ""
    if registration.provider != "native":
        instead = "the native method"
    elif registration.family in ("gradient", "backward") and "gradients" in model.offers:
        instead = "integrated_gradients"
    else:
        instead = "occlusion"
    return f"{registration.title} needs {missing}, which this model does not offer; use {instead} instead"


def _with_fewer_references(method: Method, images: Images) -> Images:
    """The images with no more of the background than the method asks for: methods tested together share the most."""
    background, n = images.background, background_of(method)
    if background is None or not n or len(background.values) <= n:
        return images
    selection = Background(
        background.values[:n], background.labels[:n], background.sample_ids[:n], background.population
    )
    return replace(images, background=selection)


def _checked_shapes(title: str, explanation: Explanation, images: Images) -> Explanation | NotRun:
    maps = [explanation.values] if isinstance(explanation, Maps | Segments) else []
    if isinstance(explanation, Maps):
        maps += explanation.parts.values()
    expected = images.values.shape[:3]
    for values in maps:
        if values.shape != expected or values.dtype != "float32":
            return NotRun(
                f"{title} returned maps of shape {values.shape} and type {values.dtype} "
                f"where {expected} and float32 were due; nothing was drawn of them",
                "failed",
            )
    return explanation
