"""Weights: from a folder, from a hub that is not there; devices that are not there; parameters."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from tests.plugin_worker import Worker, worker_environ

pytestmark = pytest.mark.model


def test_folder_is_described(worker: Worker, tiny: str) -> None:
    """Capabilities of a folder's model: one patch of 8 points ahead, covariates, its size and hash."""
    said = worker("load", key="tiny", params={"path": tiny})
    digest = hashlib.sha256((Path(tiny) / "model.safetensors").read_bytes()).hexdigest()
    assert (said["weights_sha256"], said["revision"]) == (digest, "")
    assert (said["context_max"], said["horizon_max"]) == (8192, 8)
    assert (said["device"], said["dtype"], said["covariates"]) == ("cpu", "float32", True)
    assert {0.1, 0.5, 0.9} <= set(said["levels"])
    assert said["deterministic"]
    assert said["parameters"] > 1000
    assert said["progress"] == sorted(said["progress"])


@pytest.mark.parametrize(("samples", "deterministic"), [(0, False), (64, True)])
def test_only_a_fixed_number_of_samples_is_deterministic(
    worker: Worker, tiny: str, samples: int, deterministic: bool
) -> None:
    """Beyond one patch the time left decides on the samples, unless their number is given; READY says which."""
    said = worker("load", key="far", params={"path": tiny, "horizon_max": "40", "samples": samples})
    assert (said["horizon_max"], said["deterministic"]) == (40, deterministic)


def test_names_of_fused_layers(worker: Worker, tiny: str, tmp_path: Path) -> None:
    """Published weights name their layers as xFormers does; that is not a missing tensor."""
    worker("make_toto", folder=str(tmp_path), seed=3, fused=True)
    worker("load", key="fused", params={"path": str(tmp_path)})
    question = {"values": [[float(i % 7) for i in range(64)]], "horizon": 8, "levels": [0.5]}
    assert worker("forecast", key="fused", **question) == worker("forecast", key="tiny", **question)


def test_one_file_only(worker: Worker, tiny: str, tmp_path: Path) -> None:
    """The library reads model.safetensors and no other file."""
    (tmp_path / "config.json").write_bytes((Path(tiny) / "config.json").read_bytes())
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes((Path(tiny) / "model.safetensors").read_bytes())
    assert "has no model.safetensors" in worker.refusal(path=str(tmp_path)).message


def test_no_folder(worker: Worker, tmp_path: Path) -> None:
    """A folder that is not there is weights_missing, with the folder and the mend."""
    fault = worker.refusal(path=str(tmp_path / "nowhere"))
    assert (fault.code, fault.retryable) == ("weights_missing", False)
    assert str(tmp_path / "nowhere") in fault.message
    assert "path" in fault.mend


def test_relative_folder_is_never_a_repository(worker: Worker) -> None:
    """A relative path is a folder, not something to ask the hub for."""
    assert "/no/such" in worker.refusal(path="no/such").message


def test_pickle_is_refused(worker: Worker, tmp_path: Path) -> None:
    """Weights as a pickle are not weights."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    fault = worker.refusal(path=str(tmp_path))
    assert fault.code == "weights_missing"
    assert "pickle" in fault.message


@pytest.mark.parametrize("dropped", ["model.output_distribution.df.", "model.transformer.layers.1.attention.wQKV."])
def test_a_missing_tensor_is_refused(worker: Worker, tmp_path: Path, dropped: str) -> None:
    """The library would leave a missing tensor random and say nothing."""
    worker("make_toto", folder=str(tmp_path), seed=3, drop=[dropped])
    fault = worker.refusal(path=str(tmp_path))
    assert fault.code == "weights_mismatch"
    assert dropped in fault.message


def test_damaged_file(worker: Worker, tiny: str, tmp_path: Path) -> None:
    """A truncated file is weights_mismatch, not a traceback."""
    (tmp_path / "config.json").write_bytes((Path(tiny) / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes((Path(tiny) / "model.safetensors").read_bytes()[:300])
    assert worker.refusal(path=str(tmp_path)).code == "weights_mismatch"


@pytest.mark.parametrize("change", [{"embed_dim": 48}, {"num_heads": "many"}])
def test_foreign_config(worker: Worker, tiny: str, tmp_path: Path, change: dict[str, object]) -> None:
    """A configuration that does not fit the tensors, or fits nothing, is weights_mismatch."""
    config = json.loads((Path(tiny) / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    (tmp_path / "model.safetensors").write_bytes((Path(tiny) / "model.safetensors").read_bytes())
    fault = worker.refusal(path=str(tmp_path))
    assert fault.code == "weights_mismatch"
    assert "\n" not in fault.message


def test_foreign_model(worker: Worker, tiny: str, tmp_path: Path) -> None:
    """A folder with some other model is weights_mismatch, at once."""
    (tmp_path / "config.json").write_text('{"model_type": "t5", "architectures": ["T5Model"]}')
    (tmp_path / "model.safetensors").write_bytes((Path(tiny) / "model.safetensors").read_bytes())
    assert worker.refusal(path=str(tmp_path)).code == "weights_mismatch"


def test_wrong_hash(worker: Worker, tiny: str) -> None:
    """`weights_sha256` holds the folder to what it was."""
    assert worker.refusal(path=tiny, weights_sha256="0" * 64).code == "weights_mismatch"


@pytest.mark.parametrize(
    ("params", "repo"),
    [
        ({}, "Datadog/Toto-Open-Base-1.0"),
        ({"size": "base"}, "Datadog/Toto-Open-Base-1.0"),
        ({"repo": "a/b"}, "a/b"),
    ],
)
def test_hub_forbidden(worker: Worker, params: dict[str, object], repo: str) -> None:
    """With HF_HUB_OFFLINE the hub's weights are missing, and the sentence says which and why."""
    fault = worker.refusal(**params)
    assert fault.code == "weights_missing"
    assert repo in fault.message
    assert "HF_HUB_OFFLINE" in fault.message


def test_hub_out_of_reach(plugin_python: Path, tmp_path: Path) -> None:
    """A hub that does not answer is weights_missing within seconds."""
    program = (
        "import time\n"
        "from chronotick.sdk import Params, WeightsMissing, weights\n"
        "from chronotick_toto import settings\n"
        "import huggingface_hub\n"
        "began = time.monotonic()\n"
        "try:\n"
        "    weights.locate(settings.read(Params(values={}))[0])\n"
        "except WeightsMissing as fault:\n"
        "    print(f'{time.monotonic() - began:.1f}', fault)\n"
    )
    # Port 9 of loopback: refused at once, like a machine without a route.
    environ = {**worker_environ(), "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    run = subprocess.run([plugin_python, "-c", program], env=environ, capture_output=True, text=True, timeout=100)
    took, _, sentence = run.stdout.partition(" ")
    assert "can not be reached" in sentence, run.stderr
    assert float(took) < 12


@pytest.mark.parametrize("device", ["cuda:7", "abacus"])
def test_device_missing(worker: Worker, tiny: str, device: str) -> None:
    """A device that is not there is device_missing, with what to do about it."""
    fault = worker.refusal(path=tiny, device=device)
    assert (fault.code, fault.retryable) == ("device_missing", False)
    assert device in fault.message
    assert "device: cpu" in fault.mend


def test_size_that_contradicts_repo(worker: Worker) -> None:
    """A size is never silently ignored."""
    assert "contradict" in worker.refusal(repo="someone/something", size="base").message


@pytest.mark.parametrize(
    "params",
    [
        {"sise": "base"},
        {"dtype": "bfloat16"},
        {"size": "small"},
        {"samples": 48},
        {"horizon_max": -1},
        {"samples": True},
        {"horizon_max": "far"},
    ],
)
def test_unknown_parameter(worker: Worker, params: dict[str, object]) -> None:
    """A key or value that is not known is refused, not ignored."""
    assert not worker.refusal(**params).retryable
