"""The outputs of one call of the network, while a function is traced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras import taps
from fruitaudit.models.keras.savedmodel import HIDES, hides_layers
from fruitaudit.models.layers import why_no_layer


@dataclass(frozen=True)
class GraphOutputs:
    """Symbolic tensors of one call of the network: (N, K) each, and the output of every layer."""

    probabilities: Any
    logits: Any
    trace: taps.Trace

    def layer(self, path: str) -> Any:
        """The output of a layer, in its own type (float16 in a mixed-precision model).

        Raises CannotExplain for an unknown layer, or one with several outputs.
        """
        return self.call(path).output

    def input(self, path: str) -> Any:
        """The input of a layer, the first of several. Raises CannotExplain for an unknown layer."""
        return self.call(path).inputs[0]

    def call(self, path: str) -> taps.Call:
        """The call of a layer. Raises CannotExplain for an unknown one, or one with several outputs."""
        call = self.trace.find(path)
        if call is None:
            hidden = HIDES if hides_layers(self.trace.begun) else ""
            raise CannotExplain(why_no_layer(self.trace.begun, path, hidden))
        return call
