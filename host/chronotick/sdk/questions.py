"""Answer questions about a model in its plugin's environment: one JSON line each, so that whoever asks needs no torch.

For tests and benches, not for the host. Questions: {"do": NAME, ...arguments}. Answers: {"ok": ...},
{"fault": {code, message, mend, retryable}} or {"crash": traceback}.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from statistics import median
from typing import Any

import msgspec

from chronotick.sdk.errors import PluginFault
from chronotick.sdk.forecaster import Forecaster, Params


class Models:
    """Forecasters of one kind, loaded under names."""

    def __init__(self, kind: Callable[[], Forecaster]) -> None:
        self._kind = kind
        self._loaded: dict[str, Forecaster] = {}

    def __getitem__(self, key: str) -> Forecaster:
        return self._loaded[key]

    def load(self, key: str, params: dict[str, Any], seed: int = 0) -> dict[str, Any]:
        """Load one under a name; its capabilities, the steps of its progress, and how long it took."""
        started = time.monotonic()
        forecaster = self._kind()
        said: list[float] = []
        # The library's own call in this process gets as many threads as the plugin's.
        given = Params(values=params, seed=seed, threads=int(os.environ.get("OMP_NUM_THREADS", "1")))
        capabilities = forecaster.load(given, lambda fraction, _: said.append(fraction))
        self._loaded[key] = forecaster
        return {**msgspec.to_builtins(capabilities), "progress": said, "seconds": time.monotonic() - started}


def beside(plugin: Callable[[], object], library: Callable[[], object], rounds: int) -> dict[str, float]:
    """Medians of the plugin's call and of the library's own, made in turn; the first three do not count.

    Returns:
        plugin_ms, library_ms: on the clock. plugin_cpu_ms, library_cpu_ms: of this thread's CPU, which busy neighbours
        change less.
    """
    taken: dict[str, list[float]] = {"plugin_ms": [], "library_ms": [], "plugin_cpu_ms": [], "library_cpu_ms": []}
    for number in range(rounds + 3):
        for name, call in (("plugin", plugin), ("library", library)):
            began, spent = time.perf_counter(), time.thread_time()
            call()
            spent, past = time.thread_time() - spent, time.perf_counter() - began
            if number >= 3:
                taken[f"{name}_ms"].append(past * 1e3)
                taken[f"{name}_cpu_ms"].append(spent * 1e3)
    return {name: median(values) for name, values in taken.items()}


def answer_questions(*actions: Callable[..., Any]) -> None:
    """Answer until standard input ends. Each action goes by its own name."""
    # Libraries print what they like; answers go where only answers go.
    answers = sys.stdout
    sys.stdout = sys.stderr
    by_name = {action.__name__: action for action in actions}
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, Any]
        try:
            answer = {"ok": by_name[question.pop("do")](**question)}
        except PluginFault as fault:
            said = {"code": str(fault.code), "message": fault.message, "mend": fault.mend, "retryable": fault.retryable}
            answer = {"fault": said}
        # Whoever asked shows the traceback.
        except Exception:  # noqa: BLE001
            answer = {"crash": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
