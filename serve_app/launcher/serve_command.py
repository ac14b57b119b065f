"""The command `serve`: checks what could keep the system from starting, starts it, and stays until its end."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from serve_app.launcher import child_main
from serve_app.launcher.app_status import Details, names, proxy_hosts
from serve_app.launcher.audit import note_change
from serve_app.launcher.banner import banner, cluster_addresses, http_address, redis_address
from serve_app.launcher.cluster.node_checks import check_nodes
from serve_app.launcher.cluster.replica_settings import with_settings
from serve_app.launcher.configuration.builders import load_builder
from serve_app.launcher.configuration.env_overrides import (
    DOOR_IMPORT_PATH,
    embedded_redis_port,
    rendered,
    setting_name,
    write_rendered,
)
from serve_app.launcher.configuration.env_settings import API_KEY, SystemSettings
from serve_app.launcher.configuration.ray_variables import REDIS_URL, for_ray, joins_cluster
from serve_app.launcher.configuration.validation import load_system
from serve_app.launcher.console import LaunchError, say, say_error
from serve_app.launcher.dashboard_client import RunningSystem
from serve_app.launcher.fork_server.libraries import Libraries, libraries_for
from serve_app.launcher.machine_checks import (
    refuse_bad_keys,
    refuse_full_disk,
    refuse_small_limits,
    shared_memory_warning,
    variables_for_folders,
)
from serve_app.launcher.processes.child_process import StopSignals, SystemProcess
from serve_app.launcher.processes.ports import Listener, port_problems
from serve_app.launcher.proxy.haproxy import (
    ConnectionLimits,
    behind_haproxy,
    given_ports,
    haproxy_environment,
    is_enabled,
)
from serve_app.launcher.proxy.haproxy_config import LOOPBACK
from serve_app.launcher.proxy.https import Https
from serve_app.launcher.proxy.https_settings import https_line, https_of, renewal_of, with_plain_http
from serve_app.launcher.pulse import Door, Pulse, PulseTimes
from serve_app.launcher.ray_token import ensure_token, explicit_mode, token_place
from serve_app.launcher.run_record import open_folder, read_record, remove_record, write_record
from serve_app.launcher.supervisor import Supervisor

Environ = Mapping[str, str]

RAY_STARTS = 3
"""How often Ray is started before the launcher gives up; only where it did not start in time."""


def serve(config: Path, verbose: bool, environ: Environ) -> int:
    """Runs the system of `config` in the foreground."""
    settings = SystemSettings.from_environment(environ)
    environ = explicit_mode(environ) | for_ray(environ)
    environ.pop(API_KEY, None)
    document = rendered(load_system(config), settings, has_real_redis=bool(environ.get(REDIS_URL.name)))
    https = https_of(document, settings, environ)
    listeners = _listeners(document := with_plain_http(document, https), settings, environ, https)
    if joins_cluster(environ):
        document = _fitted_to_cluster(load_system(config), settings, environ)
    else:
        if problems := port_problems(listeners):
            raise LaunchError(problems)
        environ |= _checked_machine(settings, environ)
        ensure_token(environ)
    folder = _prepared_folder(settings)
    environ = {**environ, "FATHOM_DATA_DIR": str(folder)}
    log = None if verbose else folder / "serve.log"
    signals = StopSignals()
    signals.block()
    signals.wait(0)
    if signals.count:
        say("stopped before anything was started")
        return 0
    _say_what_starts(document, log, https)
    with ExitStack() as stack:
        # A cluster that is joined has its proxies already.
        if not joins_cluster(environ):
            limits = _limits(settings, document)
            environ |= stack.enter_context(_haproxy_environment(environ, listeners[0], limits, https))
        write_rendered(behind_haproxy(document, environ), folder / "serve.yaml")
        command = child_main.command(folder / "serve.yaml", _shared_libraries(document, settings, environ))
        write_record(folder, environ)
        note_change(folder, "serve", file=str(config.absolute()), applications=names(document))
        try:
            return _start_and_keep(command, log, signals, document, environ)
        finally:
            remove_record(folder)


def _shared_libraries(document: Details, settings: SystemSettings, environ: Environ) -> Libraries:
    # Workers on a cluster that is joined are started by its own nodes.
    return libraries_for(document) if settings.fork_workers and not joins_cluster(environ) else Libraries()


def _say_what_starts(document: Details, log: Path | None, https: Https | None) -> None:
    say(f"starting {', '.join(names(document))}" + (f"; log: {log}" if log else ""))
    if https is not None:
        say(https_line(https))


def _start_and_keep(
    command: Sequence[str], log: Path | None, signals: StopSignals, document: Details, environ: Environ
) -> int:
    settings = SystemSettings.from_environment(environ)
    status = 1
    with RunningSystem(settings.dashboard_url, environ) as system:
        for _ in range(RAY_STARTS):
            process = SystemProcess(command, log, environ, settings.log_max_bytes)
            supervisor = Supervisor(process, system, signals, settings)
            status = _keep_in_foreground(supervisor, system, document, environ)
            if signals.count or not supervisor.lost_ray_at_its_start:
                break
            say_error("Ray did not start in time: the disk is slow, or the machine is busy")
    return status


def _fitted_to_cluster(document: Details, settings: SystemSettings, environ: Environ) -> Details:
    """`document` as the nodes of the cluster that is joined get it. Raises LaunchError with what they lack."""
    with StopSignals().let_through(), RunningSystem(settings.dashboard_url, environ) as system:
        checked = check_nodes(document, system, environ)
    return rendered(with_settings(document, environ), settings, checked.has_redis)


def _prepared_folder(settings: SystemSettings) -> Path:
    """The data folder. Raises LaunchError when it cannot be used, or another system uses it."""
    folder = settings.folder
    open_folder(folder)
    refuse_full_disk(folder, "FATHOM_DATA_DIR")
    if running := read_record(folder).pid:
        raise LaunchError(f"a system runs in {folder} already (process {running}); set FATHOM_DATA_DIR for another")
    return folder


def _limits(settings: SystemSettings, document: Details) -> ConnectionLimits:
    timeout_s = document.get("http_options", {}).get("request_timeout_s")
    proxies = tuple(settings.trusted_proxies.split(",")) if settings.trusted_proxies else ()
    return ConnectionLimits(settings.http_connections_per_client, settings.http_header_patience_s, timeout_s, proxies)


def _checked_machine(settings: SystemSettings, environ: Environ) -> dict[str, str]:
    """What to change in `environ`. Raises LaunchError when Ray could not start on this machine."""
    refuse_small_limits()
    refuse_bad_keys(settings.api_keys_file)
    changes = variables_for_folders(settings, environ)
    if warning := shared_memory_warning():
        say_error(warning)
    return changes


@contextmanager
def _haproxy_environment(
    environ: Environ, door: Listener, limits: ConnectionLimits, https: Https | None
) -> Iterator[dict[str, str]]:
    with ExitStack() as stack:
        try:
            variables = stack.enter_context(haproxy_environment(environ, door, limits, https))
        except OSError as error:
            advice = "set XDG_RUNTIME_DIR to a folder of yours, or RAY_SERVE_ENABLE_HA_PROXY=0"
            raise LaunchError(f"HAProxy cannot be set up: {error}; {advice}") from error
        yield variables


def _own_door(document: Details, environ: Environ) -> Door | None:
    # The doors of a cluster that is joined are on its own nodes.
    doors = [app for app in document["applications"] if app["import_path"] == DOOR_IMPORT_PATH]
    if not doors or joins_cluster(environ):
        return None
    return Door(doors[0]["name"], http_address(document) + (doors[0].get("route_prefix") or "/").rstrip("/"))


def _keep_in_foreground(supervisor: Supervisor, system: RunningSystem, document: Details, environ: Environ) -> int:
    settings = SystemSettings.from_environment(environ)
    states = supervisor.wait_until_up(names(document), _own_door(document, environ))
    if states is not None:
        redis = redis_address(environ.get(REDIS_URL.name, ""), embedded_redis_port(document))
        dashboard = settings.dashboard_url + token_place(environ)
        hosts = proxy_hosts(system.details_or_none() or {}) if joins_cluster(environ) else []
        address, *others = cluster_addresses(document, hosts)
        say(banner(address, dashboard, redis, states))
        if others:
            say(f"The same on every node: {', '.join(others)}")
    # The doors of a cluster that is joined are on its own nodes.
    has_door = any(app.get("route_prefix") is not None for app in document["applications"])
    door = http_address(document) if has_door and not joins_cluster(environ) else None
    times = PulseTimes(hang_timeout_s=settings.hang_patience_s)
    pulse = Pulse(system, door, not joins_cluster(environ), times)
    return supervisor.wait_for_the_end(pulse, renewal_of(settings, environ))


def _listeners(document: Details, settings: SystemSettings, environ: Environ, https: Https | None) -> list[Listener]:
    http = document["http_options"]
    listeners = [
        Listener("FATHOM_HTTP_PORT", http.get("host", "0.0.0.0"), http.get("port", 8000)),
        Listener("FATHOM_DASHBOARD_PORT", settings.dashboard_host, settings.dashboard_port),
        *([https.listener] if https else []),
    ]
    if (document.get("grpc_options") or {}).get("grpc_servicer_functions"):
        listeners.append(Listener("grpc_options.port", "0.0.0.0", document["grpc_options"].get("port", 9000)))
    if is_enabled(environ):
        listeners += [Listener(name, LOOPBACK, port) for name, port in given_ports(environ).items()]
    for application in document["applications"]:
        ports = load_builder(application["import_path"]).ports(application.get("args", {}))
        for setting, (host, port) in ports.items():
            listeners.append(Listener(setting_name(application, setting), host, port))
    return listeners
