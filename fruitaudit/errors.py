"""What a user can get wrong.

Every error here ends the run with exit code 2 and one sentence that names the file, the key or the image, and
what to do. `slug` is stable, so that scripts and tests can tell errors apart without reading the sentence.
"""

from __future__ import annotations


class AuditError(Exception):
    """A mistake the user can mend; `str(error)` is the whole sentence."""

    slug = "audit"

    def __init__(self, message: str, *, slug: str | None = None) -> None:
        super().__init__(message)
        if slug is not None:
            self.slug = slug


class ConfigError(AuditError):
    """A key, value or flag that cannot be used."""

    slug = "config"


class DataError(AuditError):
    """A split that cannot be read or does not fit the model."""

    slug = "data"


class ModelError(AuditError):
    """A model that cannot be loaded, trusted or understood."""

    slug = "model"


class MachineError(AuditError):
    """The machine has too little of something; no verdict on model or data."""

    slug = "machine"


class CannotExplain(Exception):
    """Raised by a method that does not apply to this model; becomes `NotRun` for that method alone.

    The sentence says why, and what to use instead.
    """


class NoGradient(CannotExplain):
    """No gradient arrives where it was asked for. `why` is the first half of the sentence, `advice` the second.

    A method that knows better what to use instead raises `CannotExplain` with advice of its own.
    """

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(f"{why}; {advice}")
        self.why = why


class NoInputGradient(NoGradient):
    """No gradient arrives at the images, for example because the model turns them into whole numbers."""

    def __init__(self) -> None:
        super().__init__("no gradient reaches the model's input", "use a perturbation method such as occlusion instead")
