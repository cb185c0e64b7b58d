"""What a supervisor says of its plugins before it runs."""

from collections.abc import Callable

from chronotick.config.schema import PluginConfig
from chronotick.plugins.manifest import Manifest
from chronotick.plugins.states import State
from chronotick.plugins.supervisor import Supervisor
from chronotick.wire.runtime_dir import RuntimeDir


def test_only_what_was_not_found_is_called_missing(runtime: RuntimeDir, echo: Callable[..., Manifest]) -> None:
    """A plugin that is there has not been started yet; one that is not there is named with its mend."""
    configs = (PluginConfig(name="echo"), PluginConfig(name="nonesuch"))
    with runtime.lock() as lock:
        there, absent = Supervisor((echo(),), configs, runtime, lock).views()
    assert (there.state, there.mend) == (State.STOPPED, "")
    assert absent.state is State.ENV_BROKEN
    assert "`nonesuch`, which is not installed (found: echo)" in absent.detail
