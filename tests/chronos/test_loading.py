"""Weights: embedded, from a folder, from a hub that is not there; devices that are not there; parameters."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.plugin_worker import PLUGINS, Worker, worker_environ

from .conftest import LEVELS

pytestmark = pytest.mark.model

EMBEDDED = PLUGINS / "chronos" / "src" / "chronotick_chronos" / "weights" / "model.safetensors"


def test_embedded_checkpoint_is_the_default(worker: Worker) -> None:
    """Without parameters the package's own checkpoint loads, says its hash, and forecasts."""
    said = worker("load", key="embedded", params={})
    assert said["model_id"] == "chronotick/embedded"
    assert said["weights_sha256"] == hashlib.sha256(EMBEDDED.read_bytes()).hexdigest()
    assert said["levels"] == pytest.approx(LEVELS)
    assert said["horizon_max"] == 64
    assert said["deterministic"]
    assert said["progress"] == sorted(said["progress"])
    values = [[float(i % 20) for i in range(256)]]
    answer = worker("forecast", key="embedded", values=values, horizon=64, levels=LEVELS)
    assert len(answer["quantiles"][0]) == 9


def test_embedded_checkpoint_is_small() -> None:
    """The package carries at most 2 MB of weights, as safetensors."""
    files = [p for p in EMBEDDED.parent.iterdir() if p.name != "config.json"]
    assert files == [EMBEDDED]
    assert EMBEDDED.stat().st_size <= 2_000_000


def test_embedded_by_name_is_the_same(worker: Worker) -> None:
    """`path: embedded` and no path at all are one."""
    assert worker("load", key="named", params={"path": "embedded"})["model_id"] == "chronotick/embedded"


def test_folder_is_described(worker: Worker, bolt: str) -> None:
    """Capabilities of a folder's model: its levels, horizon, size and hash; longer windows are accepted."""
    said = worker("load", key="bolt", params={"path": bolt})
    digest = hashlib.sha256((Path(bolt) / "model.safetensors").read_bytes()).hexdigest()
    assert (said["weights_sha256"], said["horizon_max"], said["revision"]) == (digest, 16, "")
    assert (said["device"], said["dtype"], said["covariates"]) == ("cpu", "float32", True)
    assert said["context_max"] == 8192
    assert said["parameters"] > 1000


def test_chronos2_is_described(worker: Worker, chronos2: str) -> None:
    """Chronos-2 offers its own levels, and takes covariates."""
    said = worker("load", key="chronos2", params={"path": chronos2})
    assert said["covariates"]
    assert said["levels"] == pytest.approx([0.01, *LEVELS, 0.99])
    assert said["horizon_max"] == 32


def test_no_folder(worker: Worker, tmp_path: Path) -> None:
    """A folder that is not there is weights_missing, with the folder and the mend."""
    fault = worker.refusal(path=str(tmp_path / "nowhere"))
    assert (fault.code, fault.retryable) == ("weights_missing", False)
    assert str(tmp_path / "nowhere") in fault.message
    assert "path" in fault.mend


def test_relative_folder_is_never_a_repository(worker: Worker) -> None:
    """A relative path is a folder, not something to ask the hub for."""
    assert f"{os.sep}no{os.sep}such" in worker.refusal(path="no/such").message


def test_folder_without_safetensors(worker: Worker, tmp_path: Path) -> None:
    """Weights as a pickle are not weights."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    fault = worker.refusal(path=str(tmp_path))
    assert fault.code == "weights_missing"
    assert "pickle" in fault.message


def test_damaged_file(worker: Worker, bolt: str, tmp_path: Path) -> None:
    """A truncated file is weights_mismatch, not a traceback."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((Path(bolt) / name).read_bytes()[: 300 if name.startswith("model") else None])
    assert worker.refusal(path=str(tmp_path)).code == "weights_mismatch"


def test_foreign_model(worker: Worker, bolt: str, tmp_path: Path) -> None:
    """A folder with some other model is weights_mismatch."""
    (tmp_path / "config.json").write_text('{"model_type": "t5", "architectures": ["T5Model"]}')
    (tmp_path / "model.safetensors").write_bytes((Path(bolt) / "model.safetensors").read_bytes())
    assert worker.refusal(path=str(tmp_path)).code == "weights_mismatch"


def test_wrong_hash(worker: Worker, bolt: str) -> None:
    """`weights_sha256` holds the folder to what it was."""
    fault = worker.refusal(path=bolt, weights_sha256="0" * 64)
    assert fault.code == "weights_mismatch"


def test_hub_forbidden(worker: Worker) -> None:
    """With HF_HUB_OFFLINE the hub's weights are missing, and the sentence says which and why."""
    fault = worker.refusal(repo="amazon/chronos-bolt", size="tiny", revision="0" * 40)
    assert fault.code == "weights_missing"
    assert "amazon/chronos-bolt-tiny" in fault.message
    assert "HF_HUB_OFFLINE" in fault.message
    assert "embedded" in fault.mend


def test_hub_out_of_reach(plugin_python: Path, tmp_path: Path) -> None:
    """A hub that does not answer is weights_missing within seconds; the hub library alone retries for half a minute."""
    program = (
        "import time\n"
        "from chronotick.sdk import Params, WeightsMissing, weights\n"
        "from chronotick_chronos import settings\n"
        "import huggingface_hub\n"
        "began = time.monotonic()\n"
        "try:\n"
        "    weights.locate(settings.read(Params(values={'repo': 'someone/something'})))\n"
        "except WeightsMissing as fault:\n"
        "    print(f'{time.monotonic() - began:.1f}', fault)\n"
    )
    # Port 9 of loopback: refused at once, like a machine without a route.
    environ = {**worker_environ(), "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    run = subprocess.run([plugin_python, "-c", program], env=environ, capture_output=True, text=True, timeout=100)
    took, _, sentence = run.stdout.partition(" ")
    assert "someone/something" in sentence, run.stderr
    assert "can not be reached" in sentence
    assert float(took) < 12


def test_device_missing(worker: Worker) -> None:
    """A device that is not there is device_missing, with what to do about it."""
    fault = worker.refusal(device="cuda:7")
    assert (fault.code, fault.retryable) == ("device_missing", False)
    assert "cuda:7" in fault.message
    assert "device: cpu" in fault.mend


def test_device_unknown(worker: Worker) -> None:
    """So is one that torch has never heard of."""
    assert worker.refusal(device="abacus").code == "device_missing"


def test_size_that_contradicts_repo(worker: Worker) -> None:
    """A size is never silently ignored."""
    fault = worker.refusal(repo="amazon/chronos-bolt-base", size="tiny")
    assert "contradict" in fault.message


def test_a_family_needs_a_size(worker: Worker) -> None:
    """`repo: amazon/chronos-bolt` alone is no repository, and the mend lists the sizes."""
    assert "tiny, mini, small, base" in worker.refusal(repo="amazon/chronos-bolt").mend


@pytest.mark.parametrize("params", [{"sise": "tiny"}, {"dtype": "int3"}, {"size": "huge"}])
def test_unknown_parameter(worker: Worker, params: dict[str, object]) -> None:
    """A key or value that is not known is refused, not ignored."""
    assert not worker.refusal(**params).retryable


def test_host_never_imports_torch() -> None:
    """These tests run without torch in their own process."""
    assert "torch" not in sys.modules
