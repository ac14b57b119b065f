"""The short way past the framework, which uploads take."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.logs import OWN_LOGGER
from deployments.origin import about
from serve_app.faces.face import DirectRoute, Face
from serve_app.http.origins import origin_of

logger = logging.getLogger(OWN_LOGGER)

OnUnexpected = Callable[[Request, Exception], Awaitable[Response]]
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


class ShortWay:
    """Calls the endpoint of a DirectRoute itself. The framework's own way there, through a dozen layers that such an
    endpoint has no use for, costs more processor time than all else that the door does for an upload.

    on_unexpected: answers what no endpoint expects.
    """

    def __init__(self, direct: DirectRoutes, api: ASGIApp, on_unexpected: OnUnexpected) -> None:
        self._direct = direct
        self._api = api
        self._on_unexpected = on_unexpected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        found = self._direct.find(scope["path"]) if is_post else None
        if found is None:
            await self._api(scope, receive, send)
            return
        route, scope["path_params"] = found
        request = Request(scope, receive)
        try:
            response = await route.endpoint(request)
        except Exception as error:
            logger.exception("an upload failed unexpectedly", extra=about([origin_of(request)]))
            response = await self._on_unexpected(request, error)
        await response(scope, receive, send)
