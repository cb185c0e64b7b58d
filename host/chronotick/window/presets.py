"""Roles by name: grid, context and horizon that were found to suit a question.

The first three have a grid of one sixth to a sixtieth of the structure that is to be seen. The last two are those of
the first ChronoTick: with polls of 16 s and more their grid is interpolation; they suit a LAN polled each second.
"""

from collections.abc import Sequence

from chronotick.config.schema import RoleConfig


def ten_minutes(plugin: str) -> RoleConfig:
    """64 s x 256 -> 10 min and on to 68 min: load and thermal cycles of 10 min to 2 h."""
    return RoleConfig(name="ten_minutes", plugin=plugin, step_s=64.0, context=256, horizon=64, interval_s=64.0)


def one_hour(plugin: str) -> RoleConfig:
    """128 s x 256 -> 1 h and on to 2.3 h: cycles of 1 to 6 h."""
    return RoleConfig(name="one_hour", plugin=plugin, step_s=128.0, context=256, horizon=64, interval_s=128.0)


def hold_over(plugin: str) -> RoleConfig:
    """900 s x 512 -> 16 h: daily cycles, for hours without servers. Needs 30 h of history to be believed."""
    return RoleConfig(
        name="hold_over", plugin=plugin, step_s=900.0, context=512, min_context=96, horizon=64, interval_s=900.0
    )


def short_term(plugin: str) -> RoleConfig:
    """1 s x 100 -> 5 s, each second."""
    return RoleConfig(name="short_term", plugin=plugin, step_s=1.0, context=100, horizon=5, interval_s=1.0)


def long_term(plugin: str) -> RoleConfig:
    """1 s x 300 -> 60 s, each 30 s."""
    return RoleConfig(name="long_term", plugin=plugin, step_s=1.0, context=300, horizon=60, interval_s=30.0)


def history_span_s(roles: Sequence[RoleConfig], *, least_s: float) -> float:
    """How much history the longest role needs, s: its context and the lead that the smoother settles on."""
    return max([least_s, *(1.25 * role.context * role.step_s for role in roles if role.enabled)])
