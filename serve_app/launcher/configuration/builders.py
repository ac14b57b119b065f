"""What the application builders named in a configuration accept.

A builder is `module:function` with `function(args: SomePydanticModel) -> Application`. Its module may hold
`USER_CONFIG` (deployment name -> model of its user_config) and `ports(args)` (setting name -> host and port that
must be free). Builders are imported by the name that the configuration gives, as Ray Serve itself does, so the
doors need not import each other.
"""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel
from ray import serve

Ports = dict[str, tuple[str, int]]


@dataclass(frozen=True)
class ApplicationBuilder:
    """One importable builder."""

    module: Any

    args_model: type[BaseModel] | None
    """Model of `args`; None when the builder does not declare one."""

    user_config: Mapping[str, type[BaseModel]]
    """Deployment name -> model of its `user_config`."""

    max_ongoing_requests: Mapping[str, int]
    """Deployment name -> the code's own value, used where YAML gives none."""

    def ports(self, args: Mapping[str, Any]) -> Ports:
        """Setting name -> (host, port) that must be free before an application with these args can start."""
        find_ports = getattr(self.module, "ports", None)
        if find_ports is None:
            return {}
        found: Ports = find_ports(self.args_model.model_validate(args) if self.args_model else args)
        return found


def load_builder(import_path: str) -> ApplicationBuilder:
    """The builder that `import_path` ("package.module:function") names.

    Raises ValueError with the reason when there is none.
    """
    module_name, _, name = import_path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ValueError(f"cannot import {module_name}: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if function is None:
        raise ValueError(f"{module_name} has no {name or 'name after a colon'}")
    deployments = [value for value in vars(module).values() if isinstance(value, serve.Deployment)]
    return ApplicationBuilder(
        module=module,
        args_model=_args_model(function),
        user_config=getattr(module, "USER_CONFIG", {}),
        max_ongoing_requests={deployment.name: deployment.max_ongoing_requests for deployment in deployments},
    )


def _args_model(function: Any) -> type[BaseModel] | None:
    if not inspect.isfunction(function):
        return None
    hints = get_type_hints(function)
    for name in inspect.signature(function).parameters:
        hint = hints.get(name)
        return hint if inspect.isclass(hint) and issubclass(hint, BaseModel) else None
    return None
