"""Be a plugin: `serve(MyForecaster(), "name", "0.1.0")` is the whole main module.

The process learns from environment variables where its host is (`chronotick.wire.launch` lists them). It says hello
before it loads anything, so import model libraries inside `Forecaster.load`. The main thread loads and computes;
another thread owns the socket, so that ping, cancel and shutdown never wait for inference.

Exit codes: 0 clean; 69 no host answered; 70 a fault that may pass; 75 the host died, or wants other parameters; 78 do
not restart: weights, device, version, token or parameters are wrong.
"""

import logging
import os
import platform
import secrets
import signal
import time
from pathlib import Path
from typing import NoReturn

import msgspec
import zmq

from chronotick.errors import ChronoTickError
from chronotick.sdk import lifeline, logs
from chronotick.sdk.compute import compute, warm_up
from chronotick.sdk.errors import to_error
from chronotick.sdk.forecaster import Forecaster, Params, Progress, Unloadable
from chronotick.sdk.link import Link
from chronotick.sdk.process import leave, limit_threads, package_versions, rss_bytes, set_streams_aside
from chronotick.sdk.work import Work
from chronotick.wire.keys import load_client_keys
from chronotick.wire.launch import (
    EXIT_CLEAN,
    EXIT_DO_NOT_RESTART,
    EXIT_INTERNAL,
    Launch,
    from_environ,
    take_secrets,
)
from chronotick.wire.messages import Capabilities, Hello, Status, Welcome
from chronotick.wire.sockets import connect_dealer
from chronotick.wire.version import SUPPORTED

logger: logging.Logger = logging.getLogger(__name__)

# Requests in the process, the one being computed included.
QUEUE_LIMIT = 8
# Steps of progress closer together than this are not sent, unless they end something.
PROGRESS_S = 0.1


def serve(
    forecaster: Forecaster, name: str, version: str, *, packages: tuple[str, ...] = (), queue_limit: int = QUEUE_LIMIT
) -> NoReturn:
    """Serve a model until the host says otherwise, then end the process.

    Args:
        name: as in plugin.toml; version: of the plugin.
        packages: distributions whose versions hello reports.
        queue_limit: requests in the process, running one included; further ones are refused as busy.
    """
    leave(_serve(forecaster, name, version, packages, queue_limit))


def _serve(forecaster: Forecaster, name: str, version: str, packages: tuple[str, ...], queue_limit: int) -> int:
    try:
        launch = from_environ(os.environ)
        logs.set_up(launch.log_level)
        take_secrets(os.environ)
        set_streams_aside()
        if launch.lifeline_fd is not None:
            lifeline.watch(launch.lifeline_fd)
        work = Work(queue_limit)
        link = _connect(launch, _hello(launch, name, version, packages), work)
    except ChronoTickError as error:
        logs.set_up("info")
        logger.error("%s", error)
        return EXIT_DO_NOT_RESTART
    link.start()
    welcome = link.wait_welcome()
    params = Params(values=welcome.params, seed=welcome.seed, threads=welcome.threads)
    limit_threads(params.threads)
    try:
        capabilities = _load(forecaster, params, link)
    except (Exception, SystemExit) as error:
        logger.exception("Loading failed.")
        fault = to_error(error, loading=True)
        exit_code = EXIT_INTERNAL if fault.retryable else EXIT_DO_NOT_RESTART
        link.report(Status(state="failed", detail=fault.message, error=fault))
        link.close(exit_code, fault.message)
        return exit_code
    link.report(Status(state="ready", progress=1.0, detail=capabilities.model_id, capabilities=capabilities))
    _work_off(forecaster, work, link, capabilities, welcome)
    if isinstance(forecaster, Unloadable):
        forecaster.unload()
    link.close(EXIT_CLEAN, "drained")
    return EXIT_CLEAN


def _hello(launch: Launch, name: str, version: str, packages: tuple[str, ...]) -> Hello:
    return Hello(
        name=name,
        version=version,
        instance=launch.instance or secrets.token_hex(8),
        pid=os.getpid(),
        token=launch.token,
        protocols=SUPPORTED,
        python=platform.python_version(),
        packages=package_versions(("chronotick", *packages)),
    )


def _connect(launch: Launch, hello: Hello, work: Work) -> Link:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    keys = None
    if launch.key or launch.server_key:
        keys = load_client_keys(Path(launch.key), Path(launch.server_key))
    identity = f"{hello.name}:{hello.instance}".encode()
    socket = connect_dealer(context, launch.endpoint, identity=identity, keys=keys)
    return Link(
        context,
        socket,
        hello,
        work,
        host_wait_s=launch.host_wait_s,
        is_child=launch.lifeline_fd is not None,
        same_clock=launch.endpoint.startswith("ipc://"),
    )


def _load(forecaster: Forecaster, params: Params, link: Link) -> Capabilities:
    link.report(Status(state="loading", detail="loading"))
    capabilities = forecaster.load(params, _progress(link))
    link.report(Status(state="warming", progress=0.95, detail="warming up"))
    warm_ms = warm_up(forecaster, capabilities, params)
    return msgspec.structs.replace(
        capabilities,
        warm_ms=capabilities.warm_ms or warm_ms,
        rss_bytes=capabilities.rss_bytes or rss_bytes(),
    )


def _progress(link: Link) -> Progress:
    last = 0.0

    def progress(fraction: float, detail: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_S or fraction >= 1.0:
            last = now
            # Warming up is the rest.
            link.report(Status(state="loading", progress=0.9 * min(max(fraction, 0.0), 1.0), detail=detail[:500]))

    return progress


def _work_off(forecaster: Forecaster, work: Work, link: Link, capabilities: Capabilities, welcome: Welcome) -> None:
    while (job := work.take()) is not None:
        link.answer(job, compute(forecaster, job, capabilities, welcome.seed))
    signal.set_wakeup_fd(-1)
