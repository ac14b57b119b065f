"""Puts the environment's values into a validated configuration, which gives what Ray Serve gets."""

import copy
import os
from pathlib import Path
from typing import Any

import yaml

from deployments.definition import DEPLOYMENT_NAME, MODEL_IMPORT_PATH
from serve_app.known_faces import GRPC_FACE
from serve_app.launcher.configuration.env_settings import SystemSettings, variable_name
from serve_app.launcher.configuration.http_settings import listed
from serve_app.launcher.configuration.model_rules import IMAGES_POLICY
from serve_app.launcher.console import LaunchError

EMBEDDED_VALKEY_IMPORT_PATH = "redis_bridge.embedded:build"
DOOR_IMPORT_PATH = "serve_app.app:build"
DEFAULT_REDIS_PORT = 6379

Document = dict[str, Any]


def rendered(document: Document, settings: SystemSettings, has_real_redis: bool) -> Document:
    """A copy of `document` with the environment's values in their places.

    has_real_redis: whether REDIS_URL is set. The embedded Valkey is left out then, as nothing would use it.
    """
    result = copy.deepcopy(document)
    http = {"host": settings.http_host, "port": settings.http_port}
    result.setdefault("http_options", {}).update({key: value for key, value in http.items() if value is not None})
    if settings.log_format is not None:
        result.setdefault("logging_config", {})["encoding"] = settings.log_format.upper()
    if has_real_redis:
        result["applications"] = [
            app for app in result["applications"] if app["import_path"] != EMBEDDED_VALKEY_IMPORT_PATH
        ]
    for application in result["applications"]:
        render_application(application, settings)
        if application["import_path"] == DOOR_IMPORT_PATH:
            _render_grpc(application, result["http_options"], settings)
    return result


def render_application(application: Document, settings: SystemSettings) -> None:
    """Puts the environment's values into one application, in place."""
    if application["import_path"] == EMBEDDED_VALKEY_IMPORT_PATH:
        args = application.setdefault("args", {})
        if settings.redis_port is not None:
            args["port"] = settings.redis_port
    elif application["import_path"] == DOOR_IMPORT_PATH:
        for name, words in (("faces", settings.faces), ("fetch_hosts", settings.fetch_hosts)):
            if (entries := listed(words)) is not None:
                application.setdefault("args", {})[name] = entries
    elif application["import_path"] == MODEL_IMPORT_PATH:
        if settings.num_gpus == 0:
            # There is no memory of a GPU to limit then, and a limit without one is refused.
            application.get("args", {}).pop("memory_limit_mib", None)
        for deployment in application.get("deployments", []):
            if deployment["name"] == DEPLOYMENT_NAME:
                _render_replicas(deployment, settings)


def _render_replicas(deployment: Document, settings: SystemSettings) -> None:
    if settings.num_gpus is not None:
        deployment.setdefault("ray_actor_options", {})["num_gpus"] = settings.num_gpus
    if settings.max_replicas is not None:
        scaling = deployment["autoscaling_config"]
        scaling["max_replicas"] = max(settings.max_replicas, scaling.get("min_replicas", 1))
        if scaling["max_replicas"] > 1:
            scaling.setdefault("policy", {"policy_function": IMAGES_POLICY})


def _render_grpc(door: Document, http_options: Document, settings: SystemSettings) -> None:
    """gRPC listens where plain HTTP does, unless the configuration says otherwise: it has no TLS."""
    if settings.grpc_port is not None:
        door.setdefault("args", {})["grpc_port"] = settings.grpc_port
    args = door.get("args", {})
    if args.get("grpc_port") is not None and GRPC_FACE not in args.get("faces", [GRPC_FACE]):
        raise LaunchError(f"FATHOM_GRPC_PORT: gRPC is answered by the face {GRPC_FACE}, which faces leaves out")
    is_for_all = settings.tls_certificate is None or settings.plain_http == "open"
    if args.get("grpc_port") is not None and "host" in http_options and is_for_all:
        args.setdefault("grpc_host", http_options["host"])


def setting_name(application: Document, argument: str) -> str:
    """The name by which a user changes `argument` of an application: an environment variable, or its path."""
    if application["import_path"] == EMBEDDED_VALKEY_IMPORT_PATH and argument == "port":
        return variable_name("redis_port")
    if application["import_path"] == DOOR_IMPORT_PATH and argument == "grpc_port":
        return variable_name("grpc_port")
    return f"{application['name']}: args.{argument}"


def embedded_redis_port(document: Document) -> int | None:
    """The port of the embedded Valkey; None when the system has none."""
    for application in document["applications"]:
        if application["import_path"] == EMBEDDED_VALKEY_IMPORT_PATH:
            return int(application.get("args", {}).get("port", DEFAULT_REDIS_PORT))
    return None


def write_rendered(document: Document, path: Path) -> None:
    """Writes `document` as YAML, readable by its owner only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yaml.safe_dump(document, file, sort_keys=False)
