"""The queue between the two threads: bounded, and each job has one answerer."""

import threading

from chronotick.sdk.work import Job, Work

from .conftest import FAR_NS, request


def job(number: int, deadline_ns: int = FAR_NS) -> Job:
    return Job(request(number), arrived_ns=0, deadline_ns=deadline_ns)


def test_jobs_come_out_in_order_and_no_more_than_the_limit_go_in() -> None:
    work = Work(2)
    one, two, three = job(1), job(2), job(3)
    assert [work.offer(each) for each in (one, two, three)] == [True, True, False]
    assert work.take() is one
    assert not work.offer(three)
    assert work.claim(one)
    assert work.offer(three)
    assert work.take() is two


def test_only_one_caller_may_answer_a_job() -> None:
    work = Work(2)
    one = job(1)
    work.offer(one)
    work.take()
    assert work.claim_all() == [one]
    assert not work.claim(one)
    assert work.running() is None


def test_what_waits_is_cancelled_by_taking_it_out_and_what_runs_by_telling_it() -> None:
    work = Work(2)
    one, two = job(1), job(2)
    work.offer(one)
    work.offer(two)
    work.take()
    assert work.cancel(2) is two
    assert work.cancel(1) is None
    assert one.cancelled
    assert not two.cancelled
    assert work.cancel(3) is None
    assert (work.holds(1), work.holds(2)) == (True, False)


def test_what_waits_past_its_deadline_is_taken_out_but_not_what_runs() -> None:
    work = Work(3)
    running, late, early = job(1, 10), job(2, 10), job(3, 30)
    for each in (running, late, early):
        work.offer(each)
    work.take()
    assert work.claim_late(20) == [late]
    assert work.running() is running


def test_after_closing_what_is_left_is_done_and_then_nothing() -> None:
    work = Work(2)
    one = job(1)
    work.offer(one)
    work.close()
    assert not work.offer(job(2))
    assert work.take() is one
    work.claim(one)
    assert work.take() is None


def test_closing_wakes_whoever_waits_for_work() -> None:
    work = Work(1)
    taken: list[Job | None] = []
    waiter = threading.Thread(target=lambda: taken.append(work.take()))
    waiter.start()
    work.close()
    waiter.join(10)
    assert taken == [None]
