"""Background reliance of a group: from the maps that were stored, with the reason where there are none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from trust.oracles import STREAMS, chance, images, lit, perfect, planted
from zoo import KINDS

from fruitaudit.commands.progress import Quiet
from fruitaudit.config.schema import Config
from fruitaudit.pipeline import audit
from fruitaudit.records.explanations import ExplanationNotRun, ExplanationRow, Group, Targets
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.trust.reliance import reliance

N = 12
GROUP = Group("missed", "Apple called something else", "store", "false_negative", "apple", "?", "all", N, ("a",) * N)


def row(method: str, group: str = "missed") -> ExplanationRow:
    return ExplanationRow(
        group=group, method=method, title=method, provider="native", explains="logit", channels="sum", signed=True,
        options={}, file=f"{group}/{method}", kind="maps", sample_ids=GROUP.sample_ids, target_classes=("apple",) * N,
        scale=1.0, empty=(), diagnostics={}, notes=(), model_passes=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def stored() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    model, mask = planted()
    photos = lit(mask, N)
    right = perfect(model, photos, Targets(np.zeros(N, np.int64)))
    beside = np.where(mask, -1, 1 + abs(chance(photos))).astype("f4")
    maps = {"right": right, "beside": beside, "noise": abs(chance(images(N))), "empty": np.zeros_like(right)}
    return np.repeat(mask[None].astype("f4"), N, axis=0), {f"missed/{name}": values for name, values in maps.items()}


def test_the_right_map_has_nothing_on_the_background_the_inverse_all_and_noise_its_share(stored) -> None:
    masks, maps = stored
    rows = [row("right"), row("beside"), row("noise"), row("empty"), row("right", "other"),
            ExplanationNotRun("missed", "gone", "Gone", NotRun("it failed", "not_computed"))]  # fmt: skip
    names = ("right", "beside", "noise", "empty", "gone", "not asked")
    result = reliance(GROUP, names, rows, masks, lambda r: maps[r.file], STREAMS)
    assert result is not None
    assert (result.group, result.title) == ("missed", "Apple called something else")
    share = 1 - masks[0].mean()
    assert result.background_share.value == pytest.approx(share)
    assert tuple(result.background) == names[:-1]
    assert result.background["right"].value == pytest.approx(0, abs=1e-6)
    assert result.background["beside"].value == pytest.approx(1)
    noise = result.background["noise"]
    assert isinstance(noise, Estimate)
    assert noise.low < share < noise.high
    assert isinstance(result.background["empty"], NotRun)
    assert result.background["gone"] == NotRun("it failed", "not_computed")


def test_images_without_a_mask_do_not_count_and_groups_without_any_are_left_out(stored) -> None:
    masks, maps = stored
    masks_of_some = masks.copy()
    masks_of_some[:4], masks_of_some[4] = np.nan, 1
    result = reliance(GROUP, ["right"], [row("right")], masks_of_some, lambda r: maps[r.file], STREAMS)
    assert result is not None
    assert result.background["right"].n == N - 5
    for nothing in (None, np.full_like(masks, np.nan), np.ones_like(masks)):
        assert reliance(GROUP, ["right"], [row("right")], nothing, lambda r: maps[r.file], STREAMS) is None


def test_in_an_audit_the_groups_are_those_explained_and_the_maps_those_stored(tmp_path: Path) -> None:
    KINDS["sequential"]().save(tmp_path / "model.keras")
    rng = np.random.default_rng(5)
    mask = np.zeros((40, 48), np.uint8)
    mask[:, 24:] = 255
    for i in range(10):
        for kind, pixels in (("photos", rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)), ("masks", mask)):
            path = tmp_path / kind / f"class_{i % 5}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), pixels)
    config = Config.model_validate({
        "model": {"path": tmp_path / "model.keras",
                  "preprocessing": {"resize": "stretch", "interpolation": "area", "scale": "0-1"}},
        "splits": [{"name": "photos", "path": tmp_path / "photos", "role": "field", "masks": tmp_path / "masks"}],
        "groups": [{"name": "wrong", "split": "photos", "kind": "misclassified"}],
        "methods": ["saliency"], "trust": "quick", "diagnosis": "off", "out": tmp_path / "out",
    })  # fmt: skip
    results = audit(config, Quiet(), "")[0]
    assert not isinstance(results.trust, NotRun)
    [group], [stored_row] = results.trust.groups, results.explanations
    with np.load(tmp_path / "out" / stored_row.file) as stored:
        maps = np.maximum(stored["maps"].astype(np.float64), 0)
    beside = maps[:, :, :16].sum(axis=(1, 2)) / maps.sum(axis=(1, 2))
    assert group.group == "wrong"
    assert group.background_share.value == pytest.approx(0.5)
    assert group.background["saliency"].value == pytest.approx(beside.mean(), abs=1e-6)
    assert group.background["saliency"].n == len(maps) > 4
