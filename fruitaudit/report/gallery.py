"""The explained images' pictures, each held once: panels, enlargements and findings refer to it by a CSS class."""

from __future__ import annotations

from collections.abc import Collection

from fruitaudit.report.folder import Folder

ORIGINAL_SIDE = 400


def picture_key(index: int) -> str:
    """The class of the picture at this place in the results."""
    return f"p{index}"


def picture_css(folder: Folder) -> str:
    """The photograph and the model's input of every picture as the variables --photo and --seen of its class.

    Where there is no photograph, --photo is the model's input.
    """
    rules = []
    for index, picture in enumerate(folder.results.pictures):
        model_input = folder.photograph(picture.seen, ORIGINAL_SIDE)
        photo = folder.photograph(picture.original, ORIGINAL_SIDE)
        variables = [f"--seen:url({model_input})"] if model_input else []
        variables.append(f"--photo:url({photo})" if photo else "--photo:var(--seen)")
        rules.append(f".{picture_key(index)}{{{';'.join(variables)}}}")
    return "\n".join(rules)


def keys_of(folder: Folder, sample_ids: Collection[str]) -> list[tuple[str, str, str]]:
    """(class, true class, answer) of the samples that have pictures, in the order of the results."""
    return [
        (picture_key(i), picture.true_class, picture.predicted_class)
        for i, picture in enumerate(folder.results.pictures)
        if picture.sample_id in sample_ids
    ]
