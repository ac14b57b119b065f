"""The commands that check files, or change and show a running system: one function each, which returns an exit status
or raises LaunchError. The command `serve` is in `serve_command`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from deployments.text.nearest_name import nearest_of
from serve_app.launcher.app_status import (
    ApplicationState,
    Details,
    application_states,
    names,
    node_table,
    proxies_are_everywhere,
    submission,
    table,
)
from serve_app.launcher.audit import note_change
from serve_app.launcher.candidate_report import candidate_report, has_candidates
from serve_app.launcher.cluster.node_checks import check_nodes
from serve_app.launcher.cluster.replica_settings import with_settings
from serve_app.launcher.configuration.env_overrides import (
    rendered,
)
from serve_app.launcher.configuration.ray_variables import joins_cluster
from serve_app.launcher.configuration.settings_page import settings_page
from serve_app.launcher.configuration.validation import (
    check_file,
    load_model_block,
    load_system,
)
from serve_app.launcher.console import LaunchError, say, say_error
from serve_app.launcher.dashboard_client import all_settled, metrics_text, wait_until_listed
from serve_app.launcher.model_changes import (
    Addition,
    Removal,
    Started,
    blocks_of,
    submit_added,
    submit_removed,
)
from serve_app.launcher.progress import told
from serve_app.launcher.proxy.haproxy import behind_haproxy
from serve_app.launcher.run_record import one_change_at_a_time

Environ = Mapping[str, str]

CONFIGS_FOLDER = Path("configs")
CATALOGUE = CONFIGS_FOLDER / "fathomnet.yaml"
REMOVAL_TIMEOUT_S = 120.0
PROXIES_TIMEOUT_S = 60.0


def check(files: Iterable[Path]) -> int:
    """Validates the files, or all of configs/; prints every problem of every file."""
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
        say_error("\n".join(problems))
        return 1
    return 0


def deploy(config: Path, environ: Environ) -> int:
    """Makes `config` the running system's configuration and waits until it is."""
    document = load_system(config)
    started = Started.of(environ)
    settings, environ, has_real_redis = started.settings, started.environ, started.has_real_redis
    with started.dashboard() as system:
        with one_change_at_a_time(settings.folder) as is_followed:
            if joins_cluster(environ):
                has_real_redis = check_nodes(document, system, environ).has_redis
                document = with_settings(document, environ)
            document = rendered(document, settings, has_real_redis)
            _warn_of_fixed_options(behind_haproxy(document, environ), system.details())
            system.submit(document)
            note_change(settings.folder, "deploy", file=str(config.absolute()), applications=names(document))
        settled = all_settled(names(document))
        wanted = names(document)
        details = system.wait_until(
            told(lambda now: settled(now) or _is_overtaken(now, wanted, is_followed), wanted),
            settings.start_patience_s,
        )
        if joins_cluster(environ):
            details = system.wait_until(proxies_are_everywhere, PROXIES_TIMEOUT_S)
    return _print_outcome(details, names(document))


def add(model: Path, environ: Environ) -> int:
    """Adds a model to the running system and waits until it is healthy. model: a file with its block, or its name
    in the catalogue of FathomNet."""
    is_block = model.exists() or model.suffix in (".yaml", ".yml")
    application = load_model_block(model) if is_block else _catalogue_block(str(model))
    addition = Addition(application, leaves_queues=not is_block, noted={"block": str(model)})
    name = addition.name
    started = Started.of(environ)
    with started.dashboard() as system:
        submitted = submit_added(addition, started, system)
        for line in submitted.left:
            say(line)
        details = system.wait_until(
            told(lambda now: _is_settled(now, name) or _is_overtaken(now, [name], submitted.is_followed), [name]),
            started.settings.start_patience_s,
        )
    exit_status = _print_outcome(details, [name])
    if exit_status == 0 and not wait_until_listed(details, name, is_elsewhere=joins_cluster(started.environ)):
        say_error(f"{name} runs, but the HTTP door does not list it yet")
    return exit_status


def remove(name: str, environ: Environ) -> int:
    """Removes one model from the running system and waits until it is gone."""
    started = Started.of(environ)
    with started.dashboard() as system:
        submit_removed(Removal(name), started, system)
        details = system.wait_until(lambda now: name not in now["applications"], REMOVAL_TIMEOUT_S)
    if name in details["applications"]:
        say_error(f"{name} is still finishing its work after {REMOVAL_TIMEOUT_S:g} s")
        return 1
    say(f"{name} is gone")
    return 0


def status(environ: Environ) -> int:
    """Prints the state of every application; 1 when one of them is not healthy."""
    started = Started.of(environ)
    is_joined = joins_cluster(started.environ)
    with started.dashboard() as system:
        details = system.details()
        nodes = system.nodes() if is_joined else []
    states = application_states(details)
    say(table(states.values()))
    if nodes:
        say("\n" + node_table(nodes, details))
    if has_candidates(details) and (report := candidate_report(metrics_text(details, is_joined))):
        say("\n" + report)
    return 0 if states and all(state.is_healthy for state in states.values()) else 1


def settings() -> int:
    """Prints docs/settings.md."""
    say(settings_page().rstrip("\n"))
    return 0


def _catalogue_block(name: str) -> Details:
    known = blocks_of(CATALOGUE)
    if name not in known:
        raise LaunchError(f"{name} is neither a file nor in {CATALOGUE}; {nearest_of(name, known)}")
    return known[name]


def _warn_of_fixed_options(document: Details, details: Details) -> None:
    running: dict[str, Any] = details.get("http_options") or {}
    for key, value in document.get("http_options", {}).items():
        if key in running and running[key] != value:
            say_error(
                f"http_options.{key}: stays {running[key]!r} until the system is restarted (asked for {value!r})"
            )


def _is_overtaken(details: Details, wanted: list[str], is_followed: Callable[[], bool]) -> bool:
    """Whether a later change has taken one of the wanted applications away, or only what it has added is still to be
    waited for."""
    if not is_followed():
        return False
    left = names(submission(details))
    return any(name not in left for name in wanted) or all(_is_settled(details, name) for name in wanted)


def _is_settled(details: Details, name: str) -> bool:
    state = application_states(details).get(name)
    return state is not None and (state.is_healthy or state.has_failed)


def _print_outcome(details: Details, wanted: list[str]) -> int:
    states = application_states(details)
    gone = ApplicationState("", "NOT_RUNNING", "a later change has taken it away")
    chosen = [states.get(name, replace(gone, name=name)) for name in wanted]
    say(table(chosen))
    return 0 if all(state.is_healthy for state in chosen) else 1
