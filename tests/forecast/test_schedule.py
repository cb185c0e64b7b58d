"""Who is asked when."""

from collections.abc import Callable

from chronotick.forecast import Schedule

S = 10**9


def names(schedule: Schedule, now_s: float, origin: int) -> list[str]:
    return [role.name for role in schedule.due(round(now_s * S), origin)]


def test_all_enabled_roles_are_due_at_first(role: Callable) -> None:
    """Nobody has been asked yet; who is disabled never is."""
    schedule = Schedule([role("one"), role("two", enabled=False), role("three")])
    assert names(schedule, 0, 1) == ["one", "three"]


def test_a_role_is_spaced_by_its_interval(role: Callable) -> None:
    """Answered or not, the next question comes an interval after the last."""
    schedule = Schedule([role()])
    schedule.asked("one", 0, 1)
    schedule.answered("one")
    assert names(schedule, 63.9, 2) == []
    assert names(schedule, 64.0, 2) == ["one"]


def test_a_slow_model_is_not_asked_twice(role: Callable) -> None:
    """While a question is open no other is put, however long ago it was; other roles are not held up."""
    schedule = Schedule([role("slow", deadline_s=1000.0), role("quick")])
    for name in ("slow", "quick"):
        schedule.asked(name, 0, 1)
    schedule.answered("quick")
    assert names(schedule, 500, 2) == ["quick"]


def test_a_question_past_its_deadline_is_reported_once_and_then_free(role: Callable) -> None:
    """After the deadline the role is overdue, once, and may be asked again."""
    schedule = Schedule([role(interval_s=5.0)])
    schedule.asked("one", 0, 1)
    assert schedule.overdue(9 * S) == ()
    assert schedule.overdue(10 * S) == ("one",)
    assert schedule.overdue(11 * S) == ()
    assert names(schedule, 11, 2) == ["one"]


def test_the_same_origin_is_not_asked_about_again(role: Callable) -> None:
    """Without a new fix there is nothing new to forecast."""
    schedule = Schedule([role()])
    schedule.asked("one", 0, 1)
    schedule.answered("one")
    assert names(schedule, 1000, 1) == []
    assert names(schedule, 1000, 2) == ["one"]


def test_a_new_epoch_starts_afresh(role: Callable) -> None:
    """After a discontinuity open questions are void and everyone is due."""
    schedule = Schedule([role()])
    schedule.asked("one", 0, 1)
    schedule.forget()
    assert names(schedule, 1, 1) == ["one"]
    assert schedule.overdue(100 * S) == ()
