"""What is counted as failed and as lost."""

from benchmarks.soak.accounts import OK, Accounts


def test_what_is_not_answered_with_200_has_failed_or_was_refused() -> None:
    accounts = Accounts(requests=5)
    for outcome in (OK, "503 overloaded", "ReadError", "500", OK):
        accounts.request_is_over(outcome, 1.5)
    assert accounts.failed == 2
    assert accounts.refused == 1
    assert accounts.slowest_s == 1.5


def test_a_job_without_an_answer_and_one_with_an_error_are_lost() -> None:
    accounts = Accounts()
    for job_id in ("answered", "empty", "error", "broken", "waiting"):
        accounts.job_is_pushed(job_id)
    accounts.job_is_answered("answered", b'[{"category_id": "Fish"}]')
    accounts.job_is_answered("empty", b"[]")
    accounts.job_is_answered("error", b'{"error": {"type": "model-unavailable"}}')
    accounts.job_is_answered("broken", b"\xff{")
    assert (accounts.jobs, accounts.answered, accounts.lost) == (5, 2, 3)
    assert accounts.waiting == {"waiting"}
    assert '{"error": {"type": "model-unavailable"}}' in accounts.errors
    assert accounts.line().endswith("5 jobs, 1 waiting, 2 with an error")
