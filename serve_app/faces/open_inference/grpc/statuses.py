"""The one table from errors to status codes of gRPC."""

from collections.abc import Mapping
from http import HTTPStatus

from grpc import StatusCode

from deployments.errors import (
    DeadlineExceeded,
    ImageTooLarge,
    InternalError,
    InvalidImage,
    InvalidRequest,
    ModelCrashed,
    ModelNotFound,
    ModelUnavailable,
    Overloaded,
    ServingError,
)

STATUS: Mapping[type[ServingError], StatusCode] = {
    InvalidRequest: StatusCode.INVALID_ARGUMENT,
    InvalidImage: StatusCode.INVALID_ARGUMENT,
    ImageTooLarge: StatusCode.INVALID_ARGUMENT,
    ModelNotFound: StatusCode.NOT_FOUND,
    ModelUnavailable: StatusCode.UNAVAILABLE,
    # Not UNAVAILABLE, for which clients of gRPC try again by themselves: the request may be what kills replicas.
    ModelCrashed: StatusCode.FAILED_PRECONDITION,
    Overloaded: StatusCode.RESOURCE_EXHAUSTED,
    DeadlineExceeded: StatusCode.DEADLINE_EXCEEDED,
    InternalError: StatusCode.INTERNAL,
    ServingError: StatusCode.INTERNAL,
}
"""Of the core's errors."""

OF_HTTP: Mapping[int, StatusCode] = {
    HTTPStatus.UNAUTHORIZED: StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: StatusCode.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT: StatusCode.DEADLINE_EXCEEDED,
    HTTPStatus.TOO_MANY_REQUESTS: StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: StatusCode.UNAVAILABLE,
}
"""Of what the door answers before the core is asked, such as a key that is missing. All others are INTERNAL, as no
client can cause them."""

_BY_CODE = {kind.code: status for kind, status in STATUS.items()}


def status_of(status: int, code: str) -> StatusCode:
    """The status code for a problem document. code: '' where it has none."""
    return _BY_CODE.get(code, OF_HTTP.get(status, StatusCode.INTERNAL))
