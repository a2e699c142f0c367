"""The contrastive explanation method by alibi, in a child process of an interpreter that has it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.cem_autoencoder import fitting_autoencoder
from fruitaudit.attribution.cem_counterfactuals import SearchResult, counterfactuals
from fruitaudit.attribution.methods.cem import Cem
from fruitaudit.errors import CannotExplain, ConfigError
from fruitaudit.providers import alibi_child
from fruitaudit.providers.keras_network import NEEDS
from fruitaudit.records.data import Images
from fruitaudit.records.evidence import Counterfactuals
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

if TYPE_CHECKING:
    from fruitaudit.models.keras.classifier import Classifier

_NEEDS = (
    "cem@alibi runs in an environment of its own: make one with constraints-alibi.txt and name its interpreter under "
    "providers: {alibi: {python: PATH}}, and pass --allow-code"
)


@dataclass(frozen=True, config=OPTIONS)
class CemByAlibi(Cem):
    """`alibi.explainers.CEM`, one image at a time, on the frozen graph of the model.

    Differs from the native one: scores are probabilities; a PP is d alone and never b + d, so that where it is empty
    stands black, whatever the no-information image is; there is no momentum, as the update of y reads d after it was
    overwritten; y may leave the range of colours; all iterations of all rounds are made. Counterfactuals are
    fed to the model here, and judged as the native ones are.
    Raises CannotExplain where alibi fails.
    """

    registration: ClassVar[Registration] = replace(
        Cem.registration,
        provider="alibi",
        needs=NEEDS,
        cost="at most 2 x c_steps x max_iterations gradients and as many forward, and 2 forward",
        upper_bound=True,
        explains="probability",
        requires=("an interpreter that has alibi",),
        contract_options=tuple(
            (name, value) for name, value in Cem.registration.contract_options if name not in ("score", "momentum")
        ),
        caveat="follows probabilities, which have no gradient where the model is sure of itself (PNs of 2 of 6 shop "
        "photos, natively of 6), has no momentum, and shows PPs to the model on black instead of the no-information "
        "image (2 of 6 found, both all black)",
    )
    python: ClassVar[Path | None] = None
    """The interpreter; `bound_to` sets it."""

    score: Literal["probability"] = "probability"
    momentum: Literal[False] = False
    learning_rate: Annotated[float, Field(gt=0)] | None = 0.01
    """As in alibi; None: as the native one."""

    @classmethod
    def bound_to(cls, python: Path | None, *, ask: bool = True) -> type[CemByAlibi]:
        """This class with an interpreter. Raises ConfigError where there is none, or, if asked, none with alibi."""
        if python is None:
            raise ConfigError(_NEEDS)
        if ask:
            cls._ask(python)
        return type(cls.__name__, (cls,), {"python": python})

    @staticmethod
    def _ask(python: Path) -> None:
        query = "import importlib.metadata as m; print(m.version('alibi'))"
        try:
            process = subprocess.run([python, "-I", "-c", query], capture_output=True, text=True, timeout=60)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(f"providers.alibi.python: {python} cannot be run ({error}); {_NEEDS}") from None
        if process.returncode:
            raise ConfigError(f"providers.alibi.python: {python} has no alibi; {_NEEDS}")

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Counterfactuals:
        if self.python is None:
            raise CannotExplain(_NEEDS)
        classifier = cast("Classifier", model)  # as the registration needs the Keras network
        baseline, span, reconstructions = self.baseline_image(images), images.high - images.low, None
        with tempfile.TemporaryDirectory(prefix="fruitaudit-alibi-") as name:
            folder, ends = Path(name), {}
            ends["model"] = _freeze(
                lambda unit: classifier.in_graph(images.low + unit * span).probabilities, model, folder / "model.pb"
            )
            if self.autoencoder is not None:
                autoencoder, reconstructions = fitting_autoencoder(self.autoencoder, model, images)
                ends["autoencoder"] = _freeze(
                    lambda unit: (autoencoder.network(images.low + unit * span, training=False) - images.low) / span,
                    model,
                    folder / "autoencoder.pb",
                )
            (folder / "job.json").write_text(json.dumps(self._job(ends)))
            np.savez(
                folder / "arrays.npz",
                images=(images.values - images.low) / span,
                no_information=(baseline - images.low) / span,
                one_hot=np.eye(model.n_classes, dtype=np.float32)[targets.classes],
            )
            _run(self.python, folder)
            with np.load(folder / "found.npz", allow_pickle=False) as archive:
                found, change = archive["found"], archive["change"]
        black = np.broadcast_to(images.low, images.values.shape).astype(np.float32)
        results = (
            SearchResult("PN", images.values, change[0], found[0], {}),
            SearchResult("PP", black, change[1], found[1], {}),
        )
        return counterfactuals(model, images, targets, results, reconstructions=reconstructions)

    def _job(self, ends: dict[str, list[str]]) -> dict[str, Any]:
        options = {
            "gamma": self.gamma,
            "beta": self.beta,
            "kappa": self.kappa,
            "c_steps": self.c_steps,
            "max_iterations": self.max_iterations,
            "learning_rate_init": self.rate,
            "clip": (-self.clip, self.clip),
        }
        return {"ends": ends, "c_init": [self.c_init, self.c_init_pp], "options": options}

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        rounds = 2 * n_images * self.c_steps * self.max_iterations
        return Passes(forward=rounds + 2 * n_images, gradient=rounds)


def _freeze(function: Callable[[Any], Any], model: Model, file: Path) -> list[str]:
    """Write a function of (N, H, W, C) as a graph with its weights; the names of its two ends."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from fruitaudit.models.keras.backend import tf

    signature = [tf.TensorSpec((None, *model.input_shape), tf.float32)]
    traced = tf.function(function, input_signature=signature, autograph=False).get_concrete_function()
    frozen = convert_variables_to_constants_v2(traced, aggressive_inlining=True)
    graph = frozen.graph.as_graph_def()
    for node in (*graph.node, *(node for function in graph.library.function for node in function.node_def)):
        # Names a gradient of this process (swish has one); without it the operation's own gradient holds.
        node.attr.pop("_gradient_op_type", None)
    file.write_bytes(graph.SerializeToString())
    return [frozen.inputs[0].name, frozen.outputs[0].name]


def _run(python: Path, folder: Path) -> None:
    script = Path(alibi_child.__file__).resolve()
    # Isolated, so that the child sees its own packages and none of the modules beside the script.
    command = [str(python), "-I", str(script), str(folder)]
    process = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=_child_environment())  # noqa: S603
    if process.returncode:
        message = next(iter(reversed(process.stderr.strip().splitlines())), f"exit code {process.returncode}")
        raise CannotExplain(f"alibi failed: {message}; use the native method instead")


def _child_environment() -> dict[str, str]:
    """The environment without what belongs to this interpreter."""
    return {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }


METHODS = (CemByAlibi,)
