"""Numbers in messages are exact where they are short."""

from deployments.text.short_number import short_number


def test_a_number_is_shown_as_it_is_or_in_short() -> None:
    assert [short_number(one) for one in (1_234_567, -5, 0.1 + 0.2)] == ["1234567", "-5", "0.30000000000000004"]
    assert short_number(float("inf")) == "inf"
    assert short_number(int(1e308)) == "1e+308"
    # Beyond what becomes a float, and beyond what Python writes.
    assert {short_number(10**400), short_number(10**5000)} == {"a number of more than 300 digits"}
