"""The commands of the launcher, one function each: they return an exit status, or raise LaunchError.

Knows every other module of the launcher; the modules do not know each other more than they must.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from deployments.definition import MODEL_IMPORT_PATH
from serve_app.launcher import child_main
from serve_app.launcher.app_status import ApplicationState, Details, application_states, names, submission, table
from serve_app.launcher.banner import banner, http_address, redis_address
from serve_app.launcher.configuration.builders import load_builder
from serve_app.launcher.configuration.env_overrides import (
    embedded_redis_port,
    render_application,
    rendered,
    setting_name,
    write_rendered,
)
from serve_app.launcher.configuration.env_settings import (
    REDIS_URL,
    SystemSettings,
    for_ray,
    joins_cluster,
    settings_page,
)
from serve_app.launcher.configuration.schema_problems import nearest_of
from serve_app.launcher.configuration.validation import (
    check_file,
    load_model_block,
    load_system,
    models_of,
    system_problems,
)
from serve_app.launcher.console import LaunchError, complain, say
from serve_app.launcher.dashboard_client import RunningSystem, all_settled
from serve_app.launcher.listing import wait_until_listed
from serve_app.launcher.machine_checks import (
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
from serve_app.launcher.pulse import Pulse, Rhythm
from serve_app.launcher.ray_token import ensure_token, token_place
from serve_app.launcher.run_record import one_change_at_a_time, open_folder, read_record, remove_record, write_record
from serve_app.launcher.supervisor import Supervisor

Environ = Mapping[str, str]

CONFIGS_FOLDER = Path("configs")
CATALOGUE = CONFIGS_FOLDER / "fathomnet.yaml"
REMOVAL_PATIENCE_S = 120.0


def serve(config: Path, verbose: bool, environ: Environ) -> int:
    """Runs the system of `config` in the foreground."""
    settings = SystemSettings.from_environment(environ)
    environ = for_ray(environ)
    document = rendered(load_system(config), settings, has_real_redis=bool(environ.get(REDIS_URL.name)))
    listeners = _listeners(document, settings, environ)
    if not joins_cluster(environ):
        if problems := port_problems(listeners):
            raise LaunchError(problems)
        environ |= _surroundings_for_ray(settings, environ)

    ensure_token(environ)
    folder = settings.folder
    open_folder(folder)
    refuse_full_disk(folder, "FATHOM_DATA_DIR")
    if running := read_record(folder).pid:
        raise LaunchError(f"a system runs in {folder} already (process {running}); set FATHOM_DATA_DIR for another")
    environ = {**environ, "FATHOM_DATA_DIR": str(folder)}
    log = None if verbose else folder / "serve.log"
    signals = StopSignals()
    signals.block()
    signals.wait(0)
    if signals.count:
        say("stopped before anything was started")
        return 0
    say(f"starting {', '.join(names(document))}" + (f"; log: {log}" if log else ""))
    with ExitStack() as stack:
        # A cluster that is joined has its proxies already.
        if not joins_cluster(environ):
            limits = _limits(settings, document)
            environ |= stack.enter_context(_haproxy_environment(environ, listeners[0], limits))
        write_rendered(_for_serve(document, environ), folder / "serve.yaml")
        process = SystemProcess(child_main.command(folder / "serve.yaml"), log, environ, settings.log_max_bytes)
        write_record(folder, environ)
        try:
            with RunningSystem(settings.dashboard_url, environ) as system:
                supervisor = Supervisor(process, system, signals, settings)
                return _keep_in_foreground(supervisor, system, document, environ)
        finally:
            remove_record(folder)


def _limits(settings: SystemSettings, document: Details) -> ConnectionLimits:
    patience_s = document.get("http_options", {}).get("request_timeout_s")
    return ConnectionLimits(settings.http_connections_per_client, settings.http_header_patience_s, patience_s)


def _surroundings_for_ray(settings: SystemSettings, environ: Environ) -> dict[str, str]:
    """What to change in `environ`. Raises LaunchError for what Ray could not start in."""
    refuse_small_limits()
    changes = variables_for_folders(settings, environ)
    if warning := shared_memory_warning():
        complain(warning)
    return changes


@contextmanager
def _haproxy_environment(environ: Environ, door: Listener, limits: ConnectionLimits) -> Iterator[dict[str, str]]:
    with ExitStack() as stack:
        try:
            variables = stack.enter_context(haproxy_environment(environ, door, limits))
        except OSError as error:
            advice = "set XDG_RUNTIME_DIR to a folder of yours, or RAY_SERVE_ENABLE_HA_PROXY=0"
            raise LaunchError(f"HAProxy cannot be set up: {error}; {advice}") from error
        yield variables


def _for_serve(document: Details, environ: Environ) -> Details:
    return behind_haproxy(document) if is_enabled(environ) and not joins_cluster(environ) else document


def _keep_in_foreground(supervisor: Supervisor, system: RunningSystem, document: Details, environ: Environ) -> int:
    settings = SystemSettings.from_environment(environ)
    states = supervisor.wait_until_up(names(document))
    if states is not None:
        redis = redis_address(environ.get(REDIS_URL.name, ""), embedded_redis_port(document))
        dashboard = settings.dashboard_url + token_place(environ)
        say(banner(http_address(document), dashboard, redis, states))
    # The doors of a cluster that is joined are on its own nodes.
    has_door = any(app.get("route_prefix") is not None for app in document["applications"])
    door = http_address(document) if has_door and not joins_cluster(environ) else None
    rhythm = Rhythm(hangs_after_s=settings.hang_patience_s)
    return supervisor.wait_for_the_end(Pulse(system, door, not joins_cluster(environ), rhythm))


def check(files: Iterable[Path]) -> int:
    """Validates the files, or all of configs/; tells every problem of every file."""
    chosen = list(files) or sorted(CONFIGS_FOLDER.glob("**/*.yaml"))
    if not chosen:
        raise LaunchError(f"no *.yaml file under {CONFIGS_FOLDER.absolute()}")
    problems: list[str] = []
    for path in chosen:
        try:
            check_file(path)
            say(f"{path}: valid")
        except LaunchError as error:
            problems += error.problems
    if problems:
        complain("\n".join(problems))
        return 1
    return 0


def deploy(config: Path, environ: Environ) -> int:
    """Makes `config` the running system's configuration and waits until it is."""
    document = load_system(config)
    settings, environ, has_real_redis = _as_started(environ)
    document = rendered(document, settings, has_real_redis)
    with one_change_at_a_time(settings.folder), RunningSystem(settings.dashboard_url, environ) as system:
        _warn_of_fixed_options(_for_serve(document, environ), system.details())
        system.submit(document)
        details = system.wait_until(all_settled(names(document)), settings.start_patience_s)
    return _told_outcome(details, names(document))


def add(model: Path, environ: Environ) -> int:
    """Adds a model to the running system and waits until it is healthy. model: a file with its block, or its name
    in the catalogue of FathomNet."""
    is_block = model.exists() or model.suffix in (".yaml", ".yml")
    application = load_model_block(model) if is_block else _catalogue_block(str(model))
    name = application["name"]
    settings, environ, _ = _as_started(environ)
    render_application(application, settings)
    with one_change_at_a_time(settings.folder), RunningSystem(settings.dashboard_url, environ) as system:
        document = submission(system.details())
        if name in names(document):
            raise LaunchError(f"{name} is running already; running: {', '.join(names(document))}")
        if not is_block:
            _leave_taken_queues(application, document)
        wanted = {**document, "applications": [*document["applications"], application]}
        if problems := system_problems(wanted):
            raise LaunchError(problems)
        system.submit(wanted)
        details = system.wait_until(lambda now: _is_settled(now, name), settings.start_patience_s)
    exit_status = _told_outcome(details, [name])
    if exit_status == 0 and not wait_until_listed(details, name):
        complain(f"{name} runs, but the HTTP door does not list it yet")
    return exit_status


def remove(name: str, environ: Environ) -> int:
    """Removes one model from the running system and waits until it is gone."""
    settings, environ, _ = _as_started(environ)
    with one_change_at_a_time(settings.folder), RunningSystem(settings.dashboard_url, environ) as system:
        document = submission(system.details())
        models = [app["name"] for app in document["applications"] if app["import_path"] == MODEL_IMPORT_PATH]
        if name not in models:
            kind = "is part of the system, not a model" if name in names(document) else "is not running"
            raise LaunchError(f"{name} {kind}; models: {', '.join(models) or 'none'}")
        system.submit({**document, "applications": [app for app in document["applications"] if app["name"] != name]})
        details = system.wait_until(lambda now: name not in now["applications"], REMOVAL_PATIENCE_S)
    if name in details["applications"]:
        complain(f"{name} is still finishing its work after {REMOVAL_PATIENCE_S:g} s")
        return 1
    say(f"{name} is gone")
    return 0


def status(environ: Environ) -> int:
    """Tells the state of every application; 1 when one of them is not healthy."""
    settings, environ, _ = _as_started(environ)
    with RunningSystem(settings.dashboard_url, environ) as system:
        states = application_states(system.details())
    say(table(states.values()))
    return 0 if states and all(state.is_healthy for state in states.values()) else 1


def settings() -> int:
    """Prints docs/settings.md."""
    say(settings_page().rstrip("\n"))
    return 0


def _catalogue_block(name: str) -> Details:
    known = {block["name"]: block for block in models_of(load_system(CATALOGUE))}
    if name not in known:
        raise LaunchError(f"{name} is neither a file nor in {CATALOGUE}; {nearest_of(name, known)}")
    return known[name]


def _leave_taken_queues(application: Details, document: Details) -> None:
    """Takes out of a block of the catalogue, which its user has not written, what another model answers for."""
    owners = {queue: model["name"] for model in models_of(document) for queue in model["args"].get("queues", ())}
    args = application["args"]
    for queue in args.get("queues", ()):
        if queue in owners:
            say(f"{queue} stays with {owners[queue]}")
    args["queues"] = [queue for queue in args.get("queues", ()) if queue not in owners]


def _as_started(environ: Environ) -> tuple[SystemSettings, dict[str, str], bool]:
    """The settings of the running system: those of its start, and over them what the environment says now."""
    record = read_record(SystemSettings.from_environment(environ).folder)
    environ = {**record.environment, **environ}
    settings = SystemSettings.from_environment(environ)
    return settings, for_ray(environ), record.has_real_redis or bool(environ.get(REDIS_URL.name))


def _listeners(document: Details, settings: SystemSettings, environ: Environ) -> list[Listener]:
    http = document["http_options"]
    listeners = [
        Listener("FATHOM_HTTP_PORT", http.get("host", "0.0.0.0"), http.get("port", 8000)),
        Listener("FATHOM_DASHBOARD_PORT", settings.dashboard_host, settings.dashboard_port),
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


def _warn_of_fixed_options(document: Details, details: Details) -> None:
    running: dict[str, Any] = details.get("http_options") or {}
    for key, value in document.get("http_options", {}).items():
        if key in running and running[key] != value:
            complain(
                f"http_options.{key}: stays {running[key]!r} until the system is restarted (asked for {value!r})"
            )


def _is_settled(details: Details, name: str) -> bool:
    state = application_states(details).get(name)
    return state is not None and (state.is_healthy or state.has_failed)


def _told_outcome(details: Details, wanted: list[str]) -> int:
    states = application_states(details)
    chosen = [states.get(name, ApplicationState(name, "NOT_STARTED")) for name in wanted]
    say(table(chosen))
    return 0 if all(state.is_healthy for state in chosen) else 1
