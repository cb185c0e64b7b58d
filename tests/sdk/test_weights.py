"""Folders of weights, judged without any model library."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chronotick.sdk import WeightsMismatch, WeightsMissing, weights
from chronotick.sdk.model_settings import ModelSettings


def settings(folder: Path) -> ModelSettings:
    """Settings that name a folder."""
    return ModelSettings(folder=folder, repo="", revision="", device="cpu", dtype="float32", weights_sha256="")


def save(path: Path, *names: str) -> bytes:
    """A safetensors file with an empty tensor of each name."""
    header = {name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for name in names} | {"__metadata__": {}}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return path.read_bytes()


class Model:
    """As much of a torch module as is looked at: a tensor is where its memory is."""

    def __init__(self, **places: int) -> None:
        self._places = places

    def state_dict(self) -> dict[str, Any]:
        class Tensor:
            def __init__(self, place: int) -> None:
                self._place = place

            def data_ptr(self) -> int:
                return self._place

        return {name: Tensor(place) for name, place in self._places.items()}


def test_a_whole_folder_is_found(tmp_path: Path) -> None:
    """A local folder is of no commit."""
    save(tmp_path / "model.safetensors", "a")
    (tmp_path / "config.json").write_text("{}")
    assert weights.locate(settings(tmp_path)) == (tmp_path, "")


def test_a_folder_may_do_without_config(tmp_path: Path) -> None:
    """Where the library needs none, none is asked for; else it is."""
    save(tmp_path / "model.safetensors", "a")
    assert weights.locate(settings(tmp_path), config=False) == (tmp_path, "")
    with pytest.raises(WeightsMissing, match=r"has no config\.json"):
        weights.locate(settings(tmp_path))


@pytest.mark.parametrize(("made", "said"), [(False, "There is no folder"), (True, "never loaded")])
def test_what_is_missing_is_said(tmp_path: Path, made: bool, said: str) -> None:
    """No folder, and a folder with a pickle alone, are weights_missing with a mend."""
    folder = tmp_path / "weights"
    if made:
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(WeightsMissing, match=said) as caught:
        weights.locate(settings(folder))
    assert "path" in (caught.value.mend or "")


def test_the_hash_of_one_file_is_its_own(tmp_path: Path) -> None:
    """So that it can be compared with what a hub shows."""
    written = save(tmp_path / "model.safetensors", "a")
    digest = hashlib.sha256(written).hexdigest()
    assert weights.sha256(tmp_path) == digest
    assert weights.checked_sha256(tmp_path, digest) == weights.checked_sha256(tmp_path, "") == digest
    with pytest.raises(WeightsMismatch, match="expected 00"):
        weights.checked_sha256(tmp_path, "00")


def test_the_hash_of_several_files_is_of_their_hashes(tmp_path: Path) -> None:
    """In the order of their names."""
    parts = [save(tmp_path / f"model-{i}-of-2.safetensors", str(i)) for i in (1, 2)]
    joined = "".join(hashlib.sha256(part).hexdigest() for part in parts)
    assert weights.sha256(tmp_path) == hashlib.sha256(joined.encode()).hexdigest()


def test_a_missing_tensor_is_found(tmp_path: Path) -> None:
    """All that the model has must be in the files, or share its memory with something that is."""
    save(tmp_path / "model.safetensors", "a", "b")
    weights.check_complete(Model(a=1, b=2), tmp_path)
    weights.check_complete(Model(a=1, b=2, tied=2), tmp_path)
    with pytest.raises(WeightsMismatch, match="lack 2 tensors, c first"):
        weights.check_complete(Model(a=1, b=2, d=4, c=3), tmp_path)


@pytest.mark.parametrize("length", [0, 4, 20])
def test_a_truncated_file_is_no_safetensors_file(tmp_path: Path, length: int) -> None:
    """Wherever it ends."""
    written = save(tmp_path / "model.safetensors", "a")
    (tmp_path / "model.safetensors").write_bytes(written[:length])
    with pytest.raises(WeightsMismatch, match="is not a safetensors file"):
        weights.tensor_names(tmp_path)


def test_noise_is_no_safetensors_file(tmp_path: Path) -> None:
    """A header of absurd length is not read into memory."""
    (tmp_path / "model.safetensors").write_bytes(np.random.default_rng(1).bytes(1000))
    with pytest.raises(WeightsMismatch, match="is not a safetensors file"):
        weights.tensor_names(tmp_path)
