"""Numbers of requests in messages: JSON and forms can hold whole numbers of hundreds of digits."""

_LONGEST = 20


def short_number(number: float) -> str:
    """`number` as it is, or about it where that is long."""
    try:
        text = str(number)
        return text if len(text) <= _LONGEST else f"{number:g}"
    except (ValueError, OverflowError):
        return "a number of more than 300 digits"
