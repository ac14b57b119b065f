"""Finds the route of a request that takes the short way past the framework (`serve_app.api`)."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from serve_app.faces.face import DirectRoute, Face

PathParameters = dict[str, str]


@dataclass(frozen=True, slots=True)
class Direct:
    """A route that is called directly. label: what stands for it in metrics and logs."""

    endpoint: Callable[[Request], Awaitable[Response]]
    label: str


@dataclass(frozen=True, slots=True)
class _OneParameter:
    """A path such as `/v1/models/{model}/predict`."""

    direct: Direct
    before: str
    name: str
    after: str

    def value_in(self, path: str) -> str:
        """The value of the parameter; '' where `path` is another one."""
        if not (path.startswith(self.before) and path.endswith(self.after)):
            return ""
        value = path[len(self.before) : -len(self.after)]
        return "" if "/" in value else value


class DirectRoutes:
    """The `DirectRoute`s of all faces. A path may have one parameter, with a fixed text before and after it."""

    def __init__(self, faces: Iterable[Face]) -> None:
        self._exact: dict[str, tuple[Direct, PathParameters]] = {}
        self._with_parameter: list[_OneParameter] = []
        for route in (route for face in faces for route in face.router.routes if isinstance(route, DirectRoute)):
            before, has_parameter, rest = route.path.partition("{")
            if has_parameter:
                name, _, after = rest.partition("}")
                assert after, route.path
                self._with_parameter.append(_OneParameter(Direct(route.endpoint, route.path), before, name, after))
            else:
                self._exact[route.path] = Direct(route.endpoint, f"{route.path.rstrip('/')}/"), {}

    def find(self, path: str) -> tuple[Direct, PathParameters] | None:
        """The route of `path` and the parameters in it; None for all others."""
        if (exact := self._exact.get(path)) is not None:
            return exact
        for route in self._with_parameter:
            if value := route.value_in(path):
                return route.direct, {route.name: value}
        return None
