"""Windows to one question: scaled series in a batch, and what is needed to undo the scaling."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.config.schema import RoleConfig
from chronotick.window.types import Window
from chronotick.wire.validate import LEVEL_TOLERANCE

LEVELS: Final[tuple[float, ...]] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
Offered: TypeAlias = Mapping[str, tuple[float, ...]]
"""Quantile levels that the model of each plugin has, by the plugin's name."""
UNKNOWN: Final[Offered] = MappingProxyType({})
# A window flatter than this is scaled as if it were not, s/s: the noise of the arithmetic is not a pattern.
_SCALE_FLOOR: Final = 1e-13


class Request(msgspec.Struct, frozen=True, eq=False):
    """One question to one model: k windows of equal grid and origin, each scaled by its own mean and deviation.

    Attributes:
        plugin: whom to ask.
        roles: name of the role of each window, length k.
        windows: the windows themselves, length k.
        t0_ns: raw clock of the first point.
        step_ns: grid step.
        values: float64, shape (k, n), `(rate - mean) / scale`, oldest first, NaN in gaps.
        mask: bool, shape (k, n), False in gaps.
        mean, scale: float64, shape (k,), s/s.
        horizon: points asked for.
        levels: quantile levels asked for, ascending.
        deadline_s: the shortest of the roles' deadlines.
        covariates: float64, shape (k, c, n), on the windows' grid in the sensors' units, NaN in gaps; or None.
        names: of the covariates, length c.
        future: always None: nobody knows the temperature to come.
    """

    plugin: str
    roles: tuple[str, ...]
    windows: tuple[Window, ...]
    t0_ns: int
    step_ns: int
    values: NDArray[np.float64]
    mask: NDArray[np.bool_]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    horizon: int
    levels: tuple[float, ...]
    deadline_s: float
    covariates: NDArray[np.float64] | None = None
    names: tuple[str, ...] = ()
    future: NDArray[np.float64] | None = None


def batch(
    asks: Sequence[tuple[RoleConfig, Window]],
    levels: tuple[float, ...] = LEVELS,
    offered: Offered = UNKNOWN,
) -> tuple[Request, ...]:
    """Put windows that can share a forward pass into one request: same plugin, origin, step, context,
    horizon and covariates.

    Args:
        levels: quantile levels wanted.
        offered: levels that the model of a plugin has. It is asked for the wanted ones among them, or for all that it
            has where that is none; a model that gives points has 0.5 alone. All are wanted from one not named here.
    """
    groups: dict[tuple[str, int, int, int, int, tuple[str, ...]], list[tuple[RoleConfig, Window]]] = {}
    for role, window in asks:
        names = () if window.covariates is None else window.covariates.names
        key = (role.plugin, window.origin_raw_ns, window.step_ns, len(window.rate), role.horizon, names)
        groups.setdefault(key, []).append((role, window))
    return tuple(_request(group, common_levels(levels, offered.get(key[0], levels))) for key, group in groups.items())


def common_levels(wanted: tuple[float, ...], offered: tuple[float, ...]) -> tuple[float, ...]:
    """Those of the wanted levels that are offered; all that are offered where that is none."""
    return tuple(a for a in wanted if any(abs(a - b) < LEVEL_TOLERANCE for b in offered)) or offered


def _request(group: Sequence[tuple[RoleConfig, Window]], levels: tuple[float, ...]) -> Request:
    role, window = group[0]
    windows = tuple(one for _, one in group)
    rates = np.stack([one.rate for one in windows])
    mean = np.nanmean(rates, axis=1)
    scale = np.maximum(np.nanstd(rates, axis=1), _SCALE_FLOOR)
    beside = [one.covariates for one in windows if one.covariates is not None]
    return Request(
        plugin=role.plugin,
        roles=tuple(one.name for one, _ in group),
        windows=windows,
        t0_ns=window.t0_raw_ns,
        step_ns=window.step_ns,
        values=(rates - mean[:, None]) / scale[:, None],
        mask=np.isfinite(rates),
        mean=mean,
        scale=scale,
        horizon=role.horizon,
        levels=levels,
        deadline_s=min(one.deadline_s for one, _ in group),
        covariates=np.stack([one.values for one in beside]) if beside else None,
        names=beside[0].names if beside else (),
    )
