"""How the demo sets up the host: the configuration of a machine whose physics run sixty times faster."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import yaml

from chronotick.config.schema import (
    ClockConfig,
    Config,
    LogConfig,
    NtpConfig,
    PluginConfig,
    PublishConfig,
    RoleConfig,
)
from chronotick.lab.presets import DEMO_COMPRESSION

POLL_S = 0.5
CONTEXT, HORIZON = 128, 32
ROLE = "cycle"


class Weights(msgspec.Struct, frozen=True):
    """A folder that a model loads in place of its own weights.

    Attributes:
        folder: absolute; made: it holds random numbers (see `plugins.stand_in`).
        context, horizon: points at most; params: for the plugin, beside the folder.
    """

    folder: str
    made: bool = False
    context: int = CONTEXT
    horizon: int = HORIZON
    params: dict[str, str | int | float | bool] = {}


def demo_config(
    servers: Sequence[str],
    models: Sequence[str],
    runtime_dir: Path,
    log_file: Path,
    weights: Mapping[str, Weights] | None = None,
) -> Config:
    """The host's configuration for the demo.

    A real host polls each server every 64 s and asks a model about a grid of 64 s. The demo's oscillator runs 60 times
    faster, and so do its polls and grids: half a second between polls of each server, half a second between points.
    """
    given = {model: Weights("") for model in models} | dict(weights or {})
    return Config(
        ntp=NtpConfig(
            servers=tuple(servers),
            timeout_s=0.4,
            min_poll_s=POLL_S,
            max_poll_s=POLL_S,
            warm_up_poll_s=POLL_S / 4,
            min_agreeing=2,
        ),
        clock=ClockConfig(time_compression=DEMO_COMPRESSION, void_after_s=600.0),
        roles=tuple(
            RoleConfig(
                # One model keeps the role's plain name; further ones get their own.
                name=ROLE if len(models) == 1 else f"{ROLE}_{model}",
                plugin=model,
                step_s=0.5,
                context=given[model].context,
                min_context=20,
                horizon=given[model].horizon,
                interval_s=0.5,
                deadline_s=5.0,
            )
            for model in models
        ),
        plugins=tuple(
            PluginConfig(name=model, path=given[model].folder, params=given[model].params) for model in models
        ),
        publish=PublishConfig(interval_s=0.1, slew_ppm=20_000.0, runtime_dir=str(runtime_dir)),
        log=LogConfig(file=str(log_file)),
    )


def write(config: Config, file: Path) -> None:
    """Write a configuration as the YAML that `chronotick run --config` reads."""
    file.write_text(yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False), encoding="utf-8")
