"""The environment variables that a plugin's process gets: few of the host's, and what keeps model libraries in hand."""

from collections.abc import Mapping
from typing import Final

from chronotick.plugins.manifest import Manifest
from chronotick.wire.launch import Launch

# Where things are, how text looks, how to reach a hub, and which devices there are. Nothing else of the host's
# environment reaches a plugin: not its secrets, and no PYTHON* or LD_PRELOAD that was meant for another program.
_PASSED: Final = frozenset(
    {
        "HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER", "XDG_CACHE_HOME",
        "HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_TOKEN_PATH", "TORCH_HOME",
        "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "all_proxy", "https_proxy", "http_proxy", "no_proxy",
        "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE",
        "CUDA_DEVICE_ORDER", "CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH",
    }
)  # fmt: skip
_PASSED_PREFIXES: Final = ("LC_", "NVIDIA_")


def child_environ(environ: Mapping[str, str], manifest: Manifest, launch: Launch, threads: int) -> dict[str, str]:
    """What a plugin's process is started with. The manifest's `process.env` wins over the host's, `launch` over all.

    OpenMP threads that spin made a 10 ms forecast take 650 ms beside one other busy process (measured), so they are few
    and passive, and must be told so before any library loads.
    """
    count = str(threads)
    return {
        **{name: value for name, value in environ.items() if name in _PASSED or name.startswith(_PASSED_PREFIXES)},
        "OMP_NUM_THREADS": count,
        "OMP_WAIT_POLICY": "PASSIVE",
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "TOKENIZERS_PARALLELISM": "false",
        **manifest.process.env,
        **launch.to_environ(),
    }
