"""Which device of torch a model is put on, if this machine has it."""

import importlib
from typing import Any

from chronotick.sdk.errors import DeviceMissing


def pick_device(torch: Any, name: str, plugin: str) -> Any:
    """The `torch.device` of that name; "auto" is CUDA where there is one, else the CPU.

    Args:
        torch: the module, which the caller has imported.
        plugin: its name, for sentences.

    Raises:
        DeviceMissing: this machine does not have it.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceMissing(
            f"{name!r} is no device of torch.", mend="Use device: cpu, cuda, cuda:1, mps or auto."
        ) from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }.get(device.type, False)
    if not there:
        raise DeviceMissing(
            f"Device {name} is not there: torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices.",
            mend=f"Use device: cpu, or build the environment for CUDA: chronotick plugins sync {plugin} --torch cuda",
        )
    return device


def check_device(name: str, plugin: str) -> None:
    """Refuse a device that is not there before gigabytes are fetched for it; torch is imported for none but those.

    Raises:
        DeviceMissing: this machine does not have it.
    """
    if name not in ("cpu", "auto"):
        pick_device(importlib.import_module("torch"), name, plugin)
