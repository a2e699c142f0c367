"""Which class of the model a label of the data means: equal spelling first, then what people write differently."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from fruitaudit.data.listing import whole_number
from fruitaudit.runtime.text import shown

_LISTED = 10
"""Labels or classes that a sentence lists."""
_NAMED = 5
"""Labels without a class that a sentence names."""


@dataclass(frozen=True)
class Assignment:
    """`classes` gives the output of each label that has one, `left_out` are mapped to none, `unknown` the others.

    `notes` say what was understood.
    """

    classes: dict[str, int]
    unknown: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    mapped: dict[str, str] = field(default_factory=dict)
    """Key of the class map by label."""
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
    class_map: Mapping[str, str | None] = field(default_factory=dict)
    """Classes of labels that are named otherwise; None leaves their images out."""

    def output_of(self, name: str) -> int | None:
        """The output that a name means by its spelling."""
        return self._by_spelling([name])[0].get(name)

    def assign(self, labels: Iterable[str], *, labels_are_indices: bool = False) -> Assignment:
        """The class of every label. Whole numbers count outputs where no class is named by a number."""
        mapped = self._mapped(labels := sorted(set(labels)))
        outputs = {label: None if (name := self.class_map[key]) is None else self.output_of(name)
                   for label, key in mapped.items()}  # fmt: skip
        labels = [label for label in labels if label not in mapped]
        classes, understood = self._by_spelling(labels)
        rest = [label for label in labels if label not in classes]
        notes = [f"by class_map {shown(repr(label))} is {shown(repr(self.names[k]))}" for label, k in outputs.items()
                 if k is not None]  # fmt: skip
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
        unknown = tuple(label for label in rest if label not in classes)
        left_out = tuple(label for label, k in outputs.items() if k is None)
        classes |= {label: k for label, k in outputs.items() if k is not None}
        return Assignment(classes, unknown, left_out, mapped, tuple(notes))

    def _mapped(self, labels: Sequence[str]) -> dict[str, str]:
        """Key of the class map by label: equal spelling first."""
        keys = ClassList(tuple(self.class_map))
        found = keys._by_spelling(labels)[0]
        return {label: keys.names[i] for label, i in found.items()}

    def why_unknown(self, unknown: Mapping[str, int]) -> str:
        """A sentence about labels without a class, by their number of images."""
        parts = []
        for label, n in list(unknown.items())[:_NAMED]:
            near = self._nearest(label)
            hint = f", nearest class {' or '.join(shown(repr(name)) for name in near)}" if near else ""
            parts.append(f"{shown(repr(label))} ({n} {'image' if n == 1 else 'images'}{hint})")
        more = f" and {len(unknown) - _NAMED} more labels" if len(unknown) > _NAMED else ""
        names = ", ".join(shown(name) for name in self.names[:_LISTED]) + (", ..." if len(self.names) > _LISTED else "")
        verb = "is" if len(unknown) == 1 else "are"
        numbers = any(whole_number(label) is not None for label in unknown)
        outputs = f"; outputs are numbered from 0 to {len(self.names) - 1}" if numbers else ""
        return (f"{', '.join(parts)}{more} {verb} none of the model's {len(self.names)} classes ({names}){outputs}; "
                "write under class_map which class that is, or null to leave its images out")  # fmt: skip

    def _nearest(self, label: str) -> list[str]:
        """The classes of this name that are told apart by their number, else the one spelt most alike."""
        if told_apart := [name for name in self.names if re.fullmatch(re.escape(label) + r" \(\d+\)", name)]:
            return told_apart[:_NAMED]
        by_fold = {folded(name): name for name in self.names}
        return [by_fold[near] for near in get_close_matches(folded(label), by_fold, n=1)]

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
