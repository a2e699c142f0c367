"""What a group of explained images is and what it is laid beside, for a reader who has not met the terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fruitaudit.records.explanations import ExplanationRow, Group


@dataclass(frozen=True)
class Partner:
    """A group to compare with: `anchor` is its place in the report."""

    anchor: str
    title: str


def anchor_of(groups: Sequence[Group], group: Group) -> str:
    """The group's anchor; names are a stranger's text, places are not."""
    return f"group-{groups.index(group) + 1}"


def image_anchor(groups: Sequence[Group], group: Group, sample_id: str) -> str:
    """The anchor of one image's panel in a group."""
    return f"{anchor_of(groups, group)}-{group.sample_ids.index(sample_id) + 1}"


def first_panels(groups: Sequence[Group]) -> dict[str, str]:
    """The anchor of the first panel of every explained image, by sample id."""
    return {i: image_anchor(groups, group, i) for group in reversed(groups) for i in group.sample_ids}


def lead_of(group: Group, predicted_class: str) -> str:
    """What the images are. `predicted_class` is the answer to the first of them, for a confusion of two classes."""
    name = group.class_name or "all kinds of things"
    return {
        "false_positive": f"These {group.split} images show something else, but the model called them {name}.",
        "false_negative": f"These {group.split} images show {name}, but the model called them something else.",
        "misclassified": f"These {group.split} images show {name}, and the model called them something else.",
        "confused": f"These {group.split} images show {name}, but the model called them {predicted_class}.",
        "true_positive": f"These {group.split} images show {name}, and the model said so: right answers, as a control.",
    }[group.kind]


def advice_of(group: Group) -> str:
    """How to read it beside its partners; stands before their links."""
    if group.kind == "true_positive":
        return "If the maps look the same here and there, the model looks at the same things when it is wrong. Errors:"
    return "Look for what lights up here but not where the model is right. Right answers:"


def partners_of(groups: Sequence[Group], group: Group) -> tuple[Partner, ...]:
    """The right answers for a group of errors of the same class, or the errors for a group of right answers."""
    partners = []
    for other in groups:
        across = (other.kind == "true_positive") != (group.kind == "true_positive")
        linked = other.control_of == group.name or group.control_of == other.name
        if across and other.sample_ids and (linked or other.class_name == group.class_name):
            partners.append(Partner(anchor_of(groups, other), other.title))
    return tuple(partners)


def question_of(rows: Sequence[ExplanationRow], sample_id: str) -> str:
    """What the maps of an image ask, where it is not simply what speaks for the class it was called."""
    for row in rows:
        if row.target != "predicted" and sample_id in row.sample_ids:
            i = row.sample_ids.index(sample_id)
            if row.against_classes:
                return f"Why {row.target_classes[i]} rather than {row.against_classes[i]}?"
            return f"What speaks for {row.target_classes[i]}, the true class?"
    return ""
