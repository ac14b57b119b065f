"""The page docs/settings.md, made of the tables of environment variables. A test compares the two."""

from serve_app.launcher.configuration.env_settings import SystemSettings, variable_name
from serve_app.launcher.configuration.field_docs import field_docs
from serve_app.launcher.configuration.ray_variables import OTEL, RAY_ADDRESS, RAY_DEFAULTS, REDIS_URL, Variable

_WEIGHTS = "models, doors, `python -m deployments.weights`"

_GOES_TO = {
    "http_host": "`http_options.host`",
    "http_port": "`http_options.port`",
    "tls_certificate": "HAProxy, by the launcher",
    "tls_key": "HAProxy, by the launcher",
    "https_port": "HAProxy",
    "plain_http": "HAProxy",
    "http_connections_per_client": "HAProxy",
    "http_header_patience_s": "HAProxy",
    "api_keys_file": "the HTTP door",
    "trusted_proxies": "HAProxy, or Ray's own proxy",
    "faces": "`args.faces` of the HTTP door",
    "fetch_hosts": "`args.fetch_hosts` of the HTTP door",
    "grpc_port": "`args.grpc_port` of the HTTP door",
    "redis_port": "`args.port` of the embedded Valkey",
    "num_gpus": "`ray_actor_options.num_gpus` of every model",
    "max_replicas": "`autoscaling_config.max_replicas` of every model",
    "data_dir": "launcher, embedded Valkey",
    "weights_dir": _WEIGHTS,
    "weights_offline": _WEIGHTS,
    "weights_mirror": "models, `python -m deployments.weights`",
    "dashboard_host": "Ray",
    "dashboard_port": "Ray",
    "ray_temp_dir": "Ray",
    "log_format": "`logging_config.encoding`",
    "log_requests": "doors, models",
    "trace_share": "doors, models",
}

_IN_YAML = {"http_host", "http_port", "redis_port", "num_gpus", "max_replicas", "log_format"}


def variables() -> tuple[Variable, ...]:
    """Every documented variable, in the order of the table."""
    docs = field_docs(SystemSettings)
    own = tuple(
        Variable(
            variable_name(name),
            docs.get(name, ""),
            "as in the YAML" if name in _IN_YAML else _shown(field.default),
            _GOES_TO.get(name, "launcher"),
        )
        for name, field in SystemSettings.model_fields.items()
    )
    return (*own, REDIS_URL, RAY_ADDRESS, *OTEL, *RAY_DEFAULTS)


def settings_page() -> str:
    """The text of docs/settings.md."""
    rows = [
        f"| `{row.name}` | {row.meaning} | {f'`{row.default}`' if row.default else ''} | {row.goes_to} |"
        for row in variables()
    ]
    return "\n".join(
        [
            "# Environment variables",
            "",
            "All optional. A value in the environment wins over the configuration file. Set the same values for",
            "`make serve` and for `make deploy`. Under bare `serve run`, only `REDIS_URL`, `FATHOM_DATA_DIR` (for",
            "the embedded Valkey), `FATHOM_WEIGHTS_...`, `FATHOM_LOG_REQUESTS`, `FATHOM_TRACE_SHARE`,",
            "`FATHOM_API_KEYS_FILE`, those of OpenTelemetry and Ray's own variables have an effect.",
            "Ports, proxies for the internet, folders and logs: [machine.md](machine.md).",
            "This page is made by `python -m serve_app.launch settings`; a test compares the two.",
            "",
            "| variable | meaning | default | goes to |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
