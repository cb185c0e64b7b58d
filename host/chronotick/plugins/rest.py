"""When a model's process is let go of to free its memory, and when it is taken back. Pure: instants are given."""

from chronotick.units import s_to_ns


class Rest:
    """One plugin's use. Instants are CLOCK_MONOTONIC, ns.

    A model is let go of when nobody has asked it, or when it has had no weight, for `after_s` since it was READY. Not
    asked, it is taken back as soon as somebody would ask; without weight, it gets another trial after `back_s`.
    """

    def __init__(self, after_s: float, back_s: float) -> None:
        """`after_s`: 0 for never."""
        self._after_s, self._back_s = after_s, back_s
        self._asked_ns = self._weighed_ns = self._let_go_ns = 0
        self._ready = self._weightless = self._judged = False

    def is_ready(self, ready: bool, now_ns: int) -> None:
        """Whether it is READY now; its clocks start when it becomes so."""
        if ready and not self._ready:
            self._asked_ns = self._weighed_ns = now_ns
            self._judged = False
        self._ready = ready

    def asked(self, now_ns: int) -> None:
        """It was asked."""
        self._asked_ns = now_ns

    def weighed(self, weight: float, now_ns: int) -> None:
        """Fusion has given it a weight. Without this nobody judges it, and only asking counts."""
        self._judged = True
        if weight > 0:
            self._weighed_ns = now_ns

    def let_go(self, now_ns: int) -> str:
        """Why it is to be let go of now, as part of a sentence; "" for not at all."""
        if not self._ready or not self._after_s:
            return ""
        long_ns = s_to_ns(self._after_s)
        idle = now_ns - self._asked_ns >= long_ns
        self._weightless = not idle and self._judged and now_ns - self._weighed_ns >= long_ns
        if not idle and not self._weightless:
            return ""
        self._let_go_ns = now_ns
        why, then = (
            ("had no weight", f"gets another trial in {self._back_s:g} s")
            if self._weightless
            else ("was not asked", "comes back when it is")
        )
        return f"{why} for {self._after_s:g} s and was let go of to free its memory; {then}"

    def back(self, now_ns: int, *, wanted: bool) -> bool:
        """Whether one that was let go of is taken back now. `wanted`: somebody would ask it."""
        if self._weightless:
            return now_ns - self._let_go_ns >= s_to_ns(self._back_s)
        return wanted
