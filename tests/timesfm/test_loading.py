"""Weights: from a folder, from a hub that is not there; devices that are not there; parameters."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from tests.plugin_worker import Worker, worker_environ

pytestmark = pytest.mark.model


def test_folder_is_described(worker: Worker, tiny: str) -> None:
    """Capabilities of a folder's model: the library's limits, its levels, size and hash."""
    said = worker("load", key="tiny", params={"path": tiny})
    digest = hashlib.sha256((Path(tiny) / "model.safetensors").read_bytes()).hexdigest()
    assert (said["weights_sha256"], said["revision"]) == (digest, "")
    # The library's limit of 16384 is for context and horizon together; its head for quantiles reaches 1024.
    assert (said["context_max"], said["horizon_max"]) == (15_360, 1024)
    assert (said["device"], said["dtype"], said["covariates"]) == ("cpu", "float32", False)
    assert said["levels"] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert said["deterministic"]
    assert said["parameters"] > 1000
    assert said["progress"] == sorted(said["progress"])


def test_covariates_are_offered_when_wanted(worker: Worker, tiny: str) -> None:
    """Their library is loaded only where the configuration says so."""
    assert worker("load", key="with", params={"path": tiny, "covariates": True})["covariates"]


def test_no_folder(worker: Worker, tmp_path: Path) -> None:
    """A folder that is not there is weights_missing, with the folder and the mend."""
    fault = worker.refusal(path=str(tmp_path / "nowhere"))
    assert (fault.code, fault.retryable) == ("weights_missing", False)
    assert str(tmp_path / "nowhere") in fault.message
    assert "path" in fault.mend


def test_relative_folder_is_never_a_repository(worker: Worker) -> None:
    """A relative path is a folder; the library would ask the hub for it, for half a minute."""
    assert "/no/such" in worker.refusal(path="no/such").message


def test_pickle_is_refused(worker: Worker, tmp_path: Path) -> None:
    """Weights as a pickle are not weights."""
    (tmp_path / "torch_model.ckpt").write_bytes(b"x")
    fault = worker.refusal(path=str(tmp_path))
    assert fault.code == "weights_missing"
    assert "pickle" in fault.message


@pytest.mark.parametrize("dropped", ["output_projection_quantiles.residual_layer.", "stacked_xf.0.attn.", "tokenizer."])
def test_a_missing_tensor_is_refused(worker: Worker, tmp_path: Path, dropped: str) -> None:
    """A checkpoint with holes is weights_mismatch."""
    worker("make_timesfm", folder=str(tmp_path), seed=3, drop=[dropped])
    assert worker.refusal(path=str(tmp_path)).code == "weights_mismatch"


def test_damaged_file(worker: Worker, tiny: str, tmp_path: Path) -> None:
    """A truncated file is weights_mismatch, not a traceback."""
    (tmp_path / "model.safetensors").write_bytes((Path(tiny) / "model.safetensors").read_bytes()[:300])
    assert worker.refusal(path=str(tmp_path)).code == "weights_mismatch"


def test_foreign_weights(worker: Worker, tmp_path: Path) -> None:
    """Another model's file is weights_mismatch, and the mend says which version is meant and why."""
    # A whole safetensors file with one empty tensor.
    header = b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    fault = worker.refusal(path=str(tmp_path))
    assert fault.code == "weights_mismatch"
    assert "licence" in fault.mend


def test_wrong_hash(worker: Worker, tiny: str) -> None:
    """`weights_sha256` holds the folder to what it was."""
    assert worker.refusal(path=tiny, weights_sha256="0" * 64).code == "weights_mismatch"


@pytest.mark.parametrize("params", [{}, {"size": "200m"}, {"repo": "google/timesfm-2.5-200m-pytorch"}])
def test_hub_forbidden(worker: Worker, params: dict[str, object]) -> None:
    """With HF_HUB_OFFLINE the hub's weights are missing, and the sentence says which and why."""
    fault = worker.refusal(**params)
    assert fault.code == "weights_missing"
    assert "google/timesfm-2.5-200m-pytorch" in fault.message
    assert ("1d952420fba87f3c6dee4f240de0f1a0fbc790e3" in fault.message) == ("repo" not in params)
    assert "HF_HUB_OFFLINE" in fault.message


def test_hub_out_of_reach(plugin_python: Path, tmp_path: Path) -> None:
    """A hub that does not answer is weights_missing within seconds."""
    program = (
        "import time\n"
        "from chronotick.sdk import Params, WeightsMissing, weights\n"
        "from chronotick_timesfm import settings\n"
        "import huggingface_hub\n"
        "began = time.monotonic()\n"
        "try:\n"
        "    weights.locate(settings.read(Params(values={}))[0], config=False)\n"
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


@pytest.mark.parametrize("params", [{"sise": "200m"}, {"dtype": "bfloat16"}, {"size": "500m"}, {"covariates": "yes"}])
def test_unknown_parameter(worker: Worker, params: dict[str, object]) -> None:
    """A key or value that is not known is refused, not ignored."""
    assert not worker.refusal(**params).retryable
