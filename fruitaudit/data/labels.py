"""Which class of the model a label of the data means: equal spelling first, then what people write differently."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fruitaudit.data.listing import whole_number
from fruitaudit.runtime.paths import shown

_LISTED = 10
"""Labels that a note lists."""


@dataclass(frozen=True)
class Assignment:
    """`classes` gives the output of each label that has one, `unknown` the others; `notes` say what was understood."""

    classes: dict[str, int]
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def folded(name: str) -> str:
    """A name without what people write differently: capitals, blanks, hyphens, underscores, composed accents.

    What stands between two digits or at an end is kept: 1-0 is not 10, A- is not A.
    """
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    text = re.sub(r"(?<=\d)[\s_-]+(?=\d)", " ", text.strip().strip("_"))
    return re.sub(r"(?<=[^\W_])(?:(?<!\d)[\s_-]+|[\s_-]+(?!\d))(?=[^\W_])", "", text)


@dataclass(frozen=True)
class ClassList:
    """The classes of a model, one per output, and what else leads to them."""

    names: tuple[str, ...]
    other_names: Mapping[str, int] = field(default_factory=dict)

    def assign(self, labels: Iterable[str], *, labels_are_indices: bool = False) -> Assignment:
        """The class of every label. Whole numbers count outputs where no class is named by a number."""
        labels = sorted(set(labels))
        classes, understood = self._by_spelling(labels)
        rest = [label for label in labels if label not in classes]
        notes = []
        if understood:
            pairs = [f"{shown(repr(label))} as {shown(repr(self.names[k]))}" for label, k in understood.items()]
            more = f" and {len(pairs) - _LISTED} more" if len(pairs) > _LISTED else ""
            notes.append(f"labels spelt otherwise were understood: {', '.join(pairs[:_LISTED])}{more}")
        if rest and (labels_are_indices or self._count_outputs(labels, classes)):
            by_index = {label: number for label in rest if (number := self._index(label)) is not None}
            classes |= by_index
            if by_index:
                first = min(by_index, key=by_index.__getitem__)
                notes.append("whole numbers among the labels were taken as numbers of the model's outputs, such as "
                             f"{first} for {shown(repr(self.names[by_index[first]]))}")  # fmt: skip
        return Assignment(classes, tuple(label for label in rest if label not in classes), tuple(notes))

    def _count_outputs(self, labels: Sequence[str], classes: Mapping[str, int]) -> bool:
        numbered = any(whole_number(name) is not None for name in self.names)
        return not numbered and not classes and all(whole_number(label) is not None for label in labels)

    def _index(self, label: str) -> int | None:
        number = whole_number(label)
        return number if number is not None and 0 <= number < len(self.names) else None

    def _by_spelling(self, labels: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
        """The class by label, and those of them that are spelt otherwise."""
        exact = {**self.other_names, **{name: k for k, name in enumerate(self.names)}}
        classes = {label: exact[label] for label in labels if label in exact}
        understood: dict[str, int] = {}
        for fold in (_composed, folded, _as_number):
            spellings = self._only_ones(fold)
            for label in labels:
                if label not in classes and (key := fold(label)) in spellings:
                    classes[label] = understood[label] = spellings[key]
        return classes, understood

    def _only_ones(self, fold: Callable[[str], str]) -> dict[str, int]:
        """Output by folded name, where it is the only one of that name."""
        names = [(fold(name), k) for k, name in enumerate(self.names)]
        others = [(fold(name), k) for name, k in self.other_names.items()]
        counts = Counter(key for key, _ in names)
        outputs: dict[str, set[int]] = {}
        for key, k in others:
            outputs.setdefault(key, set()).add(k)
        only = {key: min(ks) for key, ks in outputs.items() if len(ks) == 1 and key not in counts}
        return only | {key: k for key, k in names if counts[key] == 1}


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _as_number(name: str) -> str:
    """03 and 3.0 as 3; another name as itself."""
    number = whole_number(name)
    return name if number is None else str(number)
