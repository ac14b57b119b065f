"""The settings of logs and traces: validated at the start, and put where Ray Serve reads them."""

import pytest

from serve_app.launcher.configuration.env_overrides import rendered
from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.console import LaunchError

DOCUMENT = {"logging_config": {"enable_access_log": False}, "applications": []}


@pytest.mark.parametrize(("value", "encoding"), [("json", "JSON"), ("text", "TEXT")])
def test_the_format_of_logs_is_put_beside_what_the_file_says(value: str, encoding: str) -> None:
    settings = SystemSettings.from_environment({"FATHOM_LOG_FORMAT": value})
    config = rendered(DOCUMENT, settings, has_real_redis=False)["logging_config"]
    assert config == {"enable_access_log": False, "encoding": encoding}


def test_without_it_the_file_decides() -> None:
    assert rendered(DOCUMENT, SystemSettings.from_environment({}), has_real_redis=False) == DOCUMENT | {
        "http_options": {}
    }


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"FATHOM_LOG_FORMAT": "xml"}, "FATHOM_LOG_FORMAT"),
        ({"FATHOM_LOG_REQUESTS": "perhaps"}, "FATHOM_LOG_REQUESTS"),
        ({"FATHOM_TRACE_SHARE": "1.5"}, "FATHOM_TRACE_SHARE"),
        ({"FATHOM_TRACE_SHARE": "nan"}, "FATHOM_TRACE_SHARE"),
        ({"FATHOM_TRACE_SHARE": "0.1", "OTEL_EXPORTER_OTLP_ENDPOINT": "here"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ],
)
def test_a_wrong_value_is_named_at_the_start(environ: dict[str, str], named: str) -> None:
    with pytest.raises(LaunchError) as raised:
        SystemSettings.from_environment(environ)
    assert named in str(raised.value)


def test_an_endpoint_of_other_programs_is_nobody_s_business_while_nothing_is_traced() -> None:
    assert SystemSettings.from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "here"}).trace_share == 0
