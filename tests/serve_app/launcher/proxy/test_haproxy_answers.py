"""What HAProxy's own answers have in common with those of the door."""

from tests.serve_app.launcher.proxy.haproxy_in_front import haproxy_in_front
from tests.support.raw_http import ask, get


async def test_its_own_answers_have_an_id_and_the_headers_of_all_answers() -> None:
    with haproxy_in_front() as port:
        kept = await ask(port, get("/predictor/", "x-request-id: frame-7"))
        large = await ask(port, get("/predictor/", "x-request-id: frame-8", f"x-large: {'a' * 20000}"))
        made = [(await ask(port, get("/predictor/", *headers))).headers for headers in ((), ("x-request-id: a b",))]
    assert [(one.status, one.headers["x-request-id"]) for one in (kept, large)] == [
        (503, "frame-7"),
        (431, "frame-8"),
    ]
    assert {len(headers["x-request-id"]) for headers in made} == {36}
    assert made[0]["x-request-id"] != made[1]["x-request-id"]
    for answer in (kept, large):
        names = ("x-content-type-options", "referrer-policy", "content-security-policy")
        assert [answer.headers[name] for name in names] == ["nosniff", "no-referrer", "frame-ancestors 'none'"]
