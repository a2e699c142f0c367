"""What a checkout without Git LFS holds: one sentence, whatever file it stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from fruitaudit.config.schema import SplitSettings
from fruitaudit.data.decode import BadImage, decode
from fruitaudit.data.splits import open_split
from fruitaudit.errors import AuditError
from fruitaudit.models.keras.safety import inspect

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.H5", "s/saved_model.pb", "s/variables/variables.index"])
@pytest.mark.parametrize("allow_code", [False, True])
def test_a_model(tmp_path: Path, name: str, allow_code: bool) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if "variables" in name:
        file.parent.mkdir(exist_ok=True)
        (tmp_path / "s" / "saved_model.pb").write_bytes(b"x")
    file.write_bytes(POINTER)
    with pytest.raises(AuditError) as caught:
        inspect(tmp_path / "s" if name.startswith("s/") else file, allow_code=allow_code)
    assert str(caught.value) == f"{file}: a Git LFS pointer is here in place of the file; fetch it with `git lfs pull`"


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.npz"])
def test_a_split(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(AuditError) as caught:
        open_split(SplitSettings(name="s", path=tmp_path / name, role="test"), ("a",))
    assert str(caught.value).startswith(f"split s: {tmp_path / name}: a Git LFS pointer is here")


def test_an_image() -> None:
    with pytest.raises(BadImage, match="a Git LFS pointer is here in place of the file; fetch it with `git lfs pull`"):
        decode(POINTER)
