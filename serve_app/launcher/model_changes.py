"""Adding one model to the running system and taking one away: what the commands `add` and `remove` submit, and the
door for a key with the scope `admin`. Nothing here waits until a model runs, or is gone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from serve_app.launcher.app_status import Details, names, submission
from serve_app.launcher.audit import note_change
from serve_app.launcher.cluster.node_checks import check_nodes
from serve_app.launcher.cluster.replica_settings import with_settings
from serve_app.launcher.configuration.candidate_rules import candidate_problems
from serve_app.launcher.configuration.env_overrides import DOOR_IMPORT_PATH, render_application
from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.configuration.ray_variables import REDIS_URL, for_ray, joins_cluster
from serve_app.launcher.configuration.validation import load_system, models_of, system_problems
from serve_app.launcher.console import LaunchError
from serve_app.launcher.dashboard_client import RunningSystem
from serve_app.launcher.ray_token import explicit_mode
from serve_app.launcher.run_record import one_change_at_a_time, read_record

Environ = Mapping[str, str]


class TakenError(LaunchError):
    """What runs does not go together with the change."""


class NoSuchModelError(LaunchError):
    """The model that is to go is not there."""


@dataclass(frozen=True, slots=True)
class Started:
    """The running system as a change finds it: the settings of its start, and over them what the environment says
    now."""

    settings: SystemSettings
    environ: dict[str, str]
    has_real_redis: bool

    @classmethod
    def of(cls, environ: Environ) -> Self:
        """That of the data folder which `environ` names. Raises LaunchError."""
        record = read_record(SystemSettings.from_environment(environ).folder)
        environ = {**record.environment, **environ}
        return cls(
            SystemSettings.from_environment(environ),
            explicit_mode(environ) | for_ray(environ),
            record.has_real_redis or bool(environ.get(REDIS_URL.name)),
        )

    def dashboard(self) -> RunningSystem:
        """The system behind its dashboard. Use as a context manager."""
        return RunningSystem(self.settings.dashboard_url, self.environ)


@dataclass(frozen=True, slots=True)
class Addition:
    """application: the block of the model, validated by itself. leaves_queues: whether it does without the queues
    that other models have, instead of being refused. needs_look: whether the nodes of a cluster are looked at for
    files that it names, which takes a job of Ray. noted: what the log of changes says beside its name."""

    application: Details
    leaves_queues: bool
    needs_look: bool = True
    noted: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The model's."""
        return str(self.application["name"])


@dataclass(frozen=True, slots=True)
class Submitted:
    """A change that Ray Serve has accepted. is_followed: says later whether another one came after it. left: lines
    about queues that stay with other models."""

    is_followed: Callable[[], bool]
    left: tuple[str, ...] = ()


def blocks_of(catalogue: Path) -> dict[str, Details]:
    """Name -> block of each model in a configuration. Raises LaunchError."""
    return {block["name"]: block for block in models_of(load_system(catalogue))}


def submit_added(addition: Addition, started: Started, system: RunningSystem) -> Submitted:
    """Makes the model a part of the running system. Raises LaunchError; TakenError where what runs is in its way."""
    application, name = addition.application, addition.name
    render_application(application, started.settings)
    with one_change_at_a_time(started.settings.folder) as is_followed:
        document = submission(system.details())
        if name in names(document):
            raise TakenError(f"{name} is running already; running: {', '.join(names(document))}")
        left = _left_queues(application, document) if addition.leaves_queues else ()
        wanted = {**document, "applications": [*document["applications"], application]}
        if problems := system_problems(wanted):
            raise TakenError(problems)
        if joins_cluster(started.environ):
            only = {"applications": [application]}
            if addition.needs_look:
                check_nodes(only, system, started.environ)
            [application] = with_settings(only, started.environ)["applications"]
            wanted["applications"][-1] = application
        system.submit(wanted)
        note_change(started.settings.folder, "add", model=name, **addition.noted)
    return Submitted(is_followed, left)


@dataclass(frozen=True, slots=True)
class Removal:
    """keeps_needed: whether a model stays that clients rely on, or is the last one. noted: as for an `Addition`."""

    name: str
    keeps_needed: bool = False
    noted: Mapping[str, str] = field(default_factory=dict)


def submit_removed(removal: Removal, started: Started, system: RunningSystem) -> None:
    """Takes the model out of the running system. Raises LaunchError; NoSuchModelError, and TakenError where it is
    still needed."""
    name = removal.name
    with one_change_at_a_time(started.settings.folder):
        document = submission(system.details())
        models = names({"applications": models_of(document)})
        if name not in models:
            kind = "is part of the system, not a model" if name in names(document) else "is not running"
            raise NoSuchModelError(f"{name} {kind}; models: {', '.join(models) or 'none'}")
        wanted = {**document, "applications": [app for app in document["applications"] if app["name"] != name]}
        if candidates := list(candidate_problems(wanted)):
            raise TakenError([f"{name} has candidates; remove them first", *candidates])
        if removal.keeps_needed and (need := _need_of(name, document)):
            raise TakenError(f"{name} {need}; the command `make remove` takes it away all the same")
        system.submit(wanted)
        note_change(started.settings.folder, "remove", model=name, **removal.noted)


def _need_of(name: str, document: Details) -> str:
    """Why clients would miss the model; '' where they would not."""
    models = models_of(document)
    [args] = [model.get("args") or {} for model in models if model["name"] == name]
    doors = [app.get("args") or {} for app in document["applications"] if app["import_path"] == DOOR_IMPORT_PATH]
    if args.get("required"):
        return "is required: without it the system is not ready"
    if any(door.get("default_model") in (name, *args.get("queues", ())) for door in doors):
        return "answers requests that name no model (default_model)"
    return "is the last model" if len(models) == 1 else ""


def _left_queues(application: Details, document: Details) -> tuple[str, ...]:
    """Removes from a block of the catalogue, which its user has not written, the queues of other models; a line for
    each."""
    owners = {queue: model["name"] for model in models_of(document) for queue in model["args"].get("queues", ())}
    args = application["args"]
    queues = args.get("queues", ())
    args["queues"] = [queue for queue in queues if queue not in owners]
    return tuple(f"{queue} stays with {owners[queue]}" for queue in queues if queue in owners)
