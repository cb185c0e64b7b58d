"""Which roles are to be asked now. At most one question per role is open, however slow its model is."""

from collections.abc import Sequence

from chronotick.config.schema import RoleConfig
from chronotick.units import s_to_ns


class Schedule:
    """Spaces the forecasts of each role by its interval and never lets them pile up.

    The instants are of one clock throughout (the pipeline uses the monotonic one); origins are of the raw clock and are
    only compared for equality: a role is not asked again about an origin that it was asked about, so that nothing is
    computed twice while no fixes arrive.

    Args:
        roles: the configured roles; those disabled are never due.
    """

    def __init__(self, roles: Sequence[RoleConfig]) -> None:
        self._roles = {role.name: role for role in roles if role.enabled}
        self._asked: dict[str, tuple[int, int]] = {}
        self._open: dict[str, int] = {}

    def due(self, now_ns: int, origin_raw_ns: int) -> tuple[RoleConfig, ...]:
        """Roles to ask at `now_ns` about a future that starts at `origin_raw_ns`, in the configured order."""
        return tuple(role for role in self._roles.values() if self._is_due(role, now_ns, origin_raw_ns))

    def asked(self, role: str, now_ns: int, origin_raw_ns: int) -> None:
        """A question was sent: the role is closed until `answered`, `overdue` or `forget`."""
        self._asked[role] = (now_ns, origin_raw_ns)
        self._open[role] = now_ns + s_to_ns(self._roles[role].deadline_s)

    def answered(self, role: str) -> None:
        """An answer or an error came, or the question could not be sent."""
        self._open.pop(role, None)

    def overdue(self, now_ns: int) -> tuple[str, ...]:
        """Roles whose question is past its deadline; each is reported once and may then be asked again."""
        late = tuple(role for role, deadline_ns in self._open.items() if deadline_ns <= now_ns)
        for role in late:
            del self._open[role]
        return late

    def forget(self) -> None:
        """A new epoch: open questions are about a past that is void."""
        self._open.clear()
        self._asked.clear()

    def _is_due(self, role: RoleConfig, now_ns: int, origin_raw_ns: int) -> bool:
        if role.name in self._open:
            return False
        if role.name not in self._asked:
            return True
        asked_ns, origin = self._asked[role.name]
        return origin != origin_raw_ns and now_ns - asked_ns >= s_to_ns(role.interval_s)
