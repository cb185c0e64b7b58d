"""Weights: from a folder, from a hub that is not there; devices that are not there; parameters."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from tests.plugin_worker import Worker, worker_environ

pytestmark = pytest.mark.model


def test_folder_is_described(worker: Worker, tiny: str) -> None:
    """Capabilities of a folder's model: points only, its horizon, size and hash; longer windows are accepted."""
    said = worker("load", key="tiny", params={"path": tiny})
    digest = hashlib.sha256((Path(tiny) / "model.safetensors").read_bytes()).hexdigest()
    assert (said["weights_sha256"], said["horizon_max"], said["revision"]) == (digest, 16, "")
    assert (said["device"], said["dtype"], said["covariates"]) == ("cpu", "float32", False)
    assert said["levels"] == [0.5]
    assert said["context_max"] == 8192
    assert said["deterministic"]
    assert said["parameters"] > 1000
    assert said["progress"] == sorted(said["progress"])


def test_genuine_weights_are_described(worker: Worker, genuine: str) -> None:
    """The published weights are the ones that README.md names, with exactly 96 points ahead."""
    said = worker("load", key="genuine", params={"path": genuine})
    assert said["weights_sha256"] == "a706726a7eb01bbcb42994b7dcb3c06ea9557898dbae8d480eb04fe8ccb89710"
    assert (said["parameters"], said["horizon_max"]) == (805_280, 96)


def test_weights_that_mix_channels_take_covariates(worker: Worker, three_channels: str) -> None:
    """Only weights that were trained with covariates say that they take some."""
    assert worker("load", key="three", params={"path": three_channels})["covariates"]


def test_half_precision(worker: Worker, tiny: str) -> None:
    """bfloat16 halves the weights and answers about the same."""
    assert worker("load", key="half", params={"path": tiny, "dtype": "bfloat16"})["dtype"] == "bfloat16"
    values = [[float(i % 20) for i in range(64)]]
    full = worker("forecast", key="tiny", values=values, horizon=16)
    assert worker("forecast", key="half", values=values, horizon=16)[0] == pytest.approx(full[0], abs=0.5)


def test_no_folder(worker: Worker, tmp_path: Path) -> None:
    """A folder that is not there is weights_missing, with the folder and the mend."""
    fault = worker.refusal(path=str(tmp_path / "nowhere"))
    assert (fault.code, fault.retryable) == ("weights_missing", False)
    assert str(tmp_path / "nowhere") in fault.message
    assert "path" in fault.mend


def test_pickle_is_refused(worker: Worker, tmp_path: Path) -> None:
    """Weights as a pickle are not weights."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    fault = worker.refusal(path=str(tmp_path))
    assert fault.code == "weights_missing"
    assert "pickle" in fault.message


def test_a_missing_tensor_is_refused(worker: Worker, tmp_path: Path) -> None:
    """The library would leave a missing tensor random and say so in its log alone."""
    worker("make_ttm", folder=str(tmp_path), seed=3, drop=["head."])
    fault = worker.refusal(path=str(tmp_path))
    assert fault.code == "weights_mismatch"
    assert "lack 2 tensors, head." in fault.message


def test_damaged_file(worker: Worker, tiny: str, tmp_path: Path) -> None:
    """A truncated file is weights_mismatch, not a traceback."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((Path(tiny) / name).read_bytes()[: 300 if name.startswith("model") else None])
    assert worker.refusal(path=str(tmp_path)).code == "weights_mismatch"


def test_foreign_model(worker: Worker, tiny: str, tmp_path: Path) -> None:
    """A folder with some other model is weights_mismatch."""
    (tmp_path / "config.json").write_text('{"model_type": "t5", "architectures": ["T5Model"]}')
    (tmp_path / "model.safetensors").write_bytes((Path(tiny) / "model.safetensors").read_bytes())
    assert worker.refusal(path=str(tmp_path)).code == "weights_mismatch"


def test_wrong_hash(worker: Worker, tiny: str) -> None:
    """`weights_sha256` holds the folder to what it was."""
    assert worker.refusal(path=tiny, weights_sha256="0" * 64).code == "weights_mismatch"


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({}, "ibm-granite/granite-timeseries-ttm-r2 at d6a79570cac0f33d526601cd3a0fc7c80a8f9a2f"),
        ({"size": "1024-192"}, "ibm-granite/granite-timeseries-ttm-r2 at 1024-192-r2"),
        ({"repo": "someone/something", "revision": "0" * 40}, f"someone/something at {'0' * 40}"),
    ],
)
def test_hub_forbidden(worker: Worker, params: dict[str, object], named: str) -> None:
    """With HF_HUB_OFFLINE the hub's weights are missing, and the sentence says which and why."""
    fault = worker.refusal(**params)
    assert fault.code == "weights_missing"
    assert named in fault.message
    assert "HF_HUB_OFFLINE" in fault.message


def test_hub_out_of_reach(plugin_python: Path, tmp_path: Path) -> None:
    """A hub that does not answer is weights_missing within seconds."""
    program = (
        "import time\n"
        "from chronotick.sdk import Params, WeightsMissing, weights\n"
        "from chronotick_ttm import settings\n"
        "import huggingface_hub\n"
        "began = time.monotonic()\n"
        "try:\n"
        "    weights.locate(settings.read(Params(values={})))\n"
        "except WeightsMissing as fault:\n"
        "    print(f'{time.monotonic() - began:.1f}', fault)\n"
    )
    # Port 9 of loopback: refused at once, like a machine without a route.
    environ = {**worker_environ(), "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    run = subprocess.run([plugin_python, "-c", program], env=environ, capture_output=True, text=True, timeout=100)
    took, _, sentence = run.stdout.partition(" ")
    assert "can not be reached" in sentence, run.stderr
    assert float(took) < 12


def test_hub_weights_by_commit_without_network(plugin_python: Path, tiny: str, tmp_path: Path) -> None:
    """What was fetched once is found by its commit with the hub forbidden, and the answer names that commit."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "models--someone--something" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for file in Path(tiny).iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())
    program = (
        "from chronotick.sdk import Params\n"
        "from chronotick_ttm import TtmForecaster\n"
        f"params = Params(values={{'repo': 'someone/something', 'revision': {commit!r}}})\n"
        "offered = TtmForecaster().load(params, lambda *_: None)\n"
        "print(offered.model_id, offered.revision)\n"
    )
    environ = {**worker_environ(), "HF_HUB_CACHE": str(tmp_path)}
    run = subprocess.run([plugin_python, "-c", program], env=environ, capture_output=True, text=True, timeout=100)
    assert run.stdout == f"someone/something {commit}\n", run.stderr


@pytest.mark.parametrize("device", ["cuda:7", "abacus"])
def test_device_missing(worker: Worker, tiny: str, device: str) -> None:
    """A device that is not there is device_missing, with what to do about it."""
    fault = worker.refusal(path=tiny, device=device)
    assert (fault.code, fault.retryable) == ("device_missing", False)
    assert device in fault.message
    assert "device: cpu" in fault.mend


def test_size_that_contradicts_repo(worker: Worker) -> None:
    """A size is never silently ignored."""
    assert "contradict" in worker.refusal(repo="someone/something", size="512-192").message


@pytest.mark.parametrize("params", [{"sise": "512-96"}, {"dtype": "float16"}, {"size": "huge"}])
def test_unknown_parameter(worker: Worker, params: dict[str, object]) -> None:
    """A key or value that is not known is refused, not ignored."""
    assert not worker.refusal(**params).retryable
