"""What a file of keys may say, and thirty ways in which it may be broken."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from serve_app.access.keys import MAX_FILE_BYTES, MAX_KEYS, Key, KeyFileError, Scope, entry_text, parse_keys

D = "ab" * 32
GOOD = f'[[key]]\nname = "a"\nsha256 = "{D}"\nscopes = ["predict"]\n'

BROKEN = {
    "no TOML": b"key: yes",
    "half a table": b'[[key]]\nname = "a',
    "not UTF-8": b'[[key]]\nname = "\xff"',
    "binary": bytes(range(256)),
    "a null byte": GOOD.encode() + b"\0",
    "UTF-16": GOOD.encode("utf-16"),
    "too large": b"#" * (MAX_FILE_BYTES + 1),
    "nested without end": b"a = " + b"[" * 5000,
    "an unknown table": b"[keys]\n",
    "an unknown name beside": GOOD.encode() + b"\n[other]\n",
    "one bracket": GOOD.replace("[[key]]", "[key]").encode(),
    "a list of numbers": b"key = [1, 2]",
    "a text": b'key = "abc"',
    "no name": GOOD.replace('name = "a"\n', "").encode(),
    "an empty name": GOOD.replace('"a"', '""').encode(),
    "a name with a line break": GOOD.replace('"a"', '"a\\nb"').encode(),
    "a name that is too long": GOOD.replace('"a"', f'"{"a" * 65}"').encode(),
    "no digest": GOOD.replace(f'sha256 = "{D}"\n', "").encode(),
    "a short digest": GOOD.replace(D, D[2:]).encode(),
    "a digest in capitals": GOOD.replace(D, D.upper()).encode(),
    "the key itself": GOOD.replace(D, "fathom_0123456789").encode(),
    "no scopes": GOOD.replace('["predict"]', "[]").encode(),
    "an unknown scope": GOOD.replace("predict", "predictions").encode(),
    "a scope without a list": GOOD.replace('["predict"]', '"predict"').encode(),
    "an unknown limit": (GOOD + "request_per_s = 1\n").encode(),
    "a rate of nothing": (GOOD + "requests_per_s = 0\n").encode(),
    "a rate of next to nothing": (GOOD + "requests_per_s = 1e-310\n").encode(),
    "a rate that is no number": (GOOD + "requests_per_s = nan\n").encode(),
    "an endless rate": (GOOD + "requests_per_s = inf\n").encode(),
    "a burst alone": (GOOD + "burst = 3\n").encode(),
    "half a request under way": (GOOD + "concurrency = 0.5\n").encode(),
    "a time without its offset": (GOOD + "expires = 2027-01-31T00:00:00\n").encode(),
    "a day that is not there": (GOOD + "expires = 2027-02-31\n").encode(),
    "a name twice in a table": (GOOD + 'name = "b"\n').encode(),
    "two of one name": (GOOD + GOOD.replace(D, "cd" * 32)).encode(),
    "two of one digest": (GOOD + GOOD.replace('"a"', '"b"')).encode(),
    "too many": "".join(
        GOOD.replace('"a"', f'"k{n}"').replace(D, f"{n:064x}") for n in range(MAX_KEYS + 1)
    ).encode(),
}  # fmt: skip


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_refused_in_one_line_without_what_is_secret(content: bytes) -> None:
    with pytest.raises(KeyFileError) as raised:
        parse_keys(content)
    text = str(raised.value)
    assert "\n" not in text
    assert len(text) < 300
    assert D not in text
    assert "fathom_0123456789" not in text


def test_a_wrong_name_is_told_with_the_nearest_right_one() -> None:
    with pytest.raises(KeyFileError, match=r"^key 1: unknown name 'request_per_s'; did you mean requests_per_s"):
        parse_keys((GOOD + "request_per_s = 1\n").encode())


@pytest.mark.parametrize("content", [b"", b"# nobody yet\n", b"key = []"])
def test_a_file_without_keys_is_one(content: bytes) -> None:
    assert parse_keys(content).names == frozenset()


def test_the_example_of_the_page_is_a_file_of_keys() -> None:
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert parse_keys(example.encode()).names == {"annotation-laptop"}


def test_a_key_that_is_written_is_read() -> None:
    for expires in (None, date(2027, 1, 31), datetime(2027, 1, 31, 12, tzinfo=UTC)):
        key = Key(
            name="dive.7",
            sha256=D,
            scopes=frozenset(Scope),
            requests_per_s=0.5,
            burst=3,
            concurrency=2,
            expires=expires,
        )
        assert parse_keys(entry_text(key).encode()).by_digest == {bytes.fromhex(D): key}


def test_a_key_expires_after_its_last_day_or_at_its_moment() -> None:
    day = Key(name="a", sha256=D, scopes=frozenset({Scope.PREDICT}), expires=date(2027, 1, 31))
    assert not day.has_expired(datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC))
    assert day.has_expired(datetime(2027, 2, 1, tzinfo=UTC))
    moment = day.model_copy(update={"expires": datetime(2027, 1, 31, 12, tzinfo=UTC)})
    assert not moment.has_expired(datetime(2027, 1, 31, 12, tzinfo=UTC) - timedelta(seconds=1))
    assert moment.has_expired(datetime(2027, 1, 31, 12, tzinfo=UTC))
