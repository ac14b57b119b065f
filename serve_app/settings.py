"""The `args` of the HTTP door's application. Host and port are Serve's own `http_options`."""

import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from deployments.definition import Settings
from serve_app.fetching.allow_list import AllowList
from serve_app.known_faces import DEFAULT_FACES, GRPC_FACE, check_faces


class DoorSettings(Settings):
    """What the HTTP door accepts and how long it waits."""

    default_model: str | None = None
    """Model, or queue, for requests without `model_type`; None makes the field mandatory."""

    bridge_application: str = "bridge"
    """Application that reaches models which run elsewhere, as legacy workers; without it there are none."""

    deadline_s: float = Field(default=25.0, gt=0, le=3600)
    """Seconds after which a request is answered 504. Desktop clients give up reading after 30 s."""

    max_upload_bytes: int = Field(default=64 * 2**20, ge=1024)
    """Largest request body."""

    max_held_bytes: int = Field(default=512 * 2**20, ge=1024)
    """Bytes of all uploads held at once; beyond it new ones are refused as overloaded."""

    max_held_bytes_per_client: int = Field(default=256 * 2**20, ge=1024)
    """Bytes of uploads that one client address may have held at once, so that no client takes all of them."""

    upload_stall_s: float = Field(default=15.0, gt=0, le=50)
    """Seconds without a byte after which an upload is ended with 408. HAProxy itself waits 60 s."""

    min_upload_bytes_per_s: int = Field(default=8 * 2**10, ge=1)
    """An upload that is slower than this on average, `upload_stall_s` not counted, is ended with 408."""

    faces: tuple[str, ...] = DEFAULT_FACES
    """Faces for the tools of others, by the names of their folders in `serve_app/faces`; none of them where this is
    empty. By default all that need neither a connection to elsewhere nor Redis."""

    grpc_port: int | None = Field(default=None, ge=1, le=65535)
    """Port on which the face `open_inference` is there over gRPC, too; None for no gRPC."""

    grpc_host: str = Field(default="127.0.0.1", min_length=1)
    """Address that gRPC listens on. `make serve` puts that of HTTP here, where nothing is said."""

    fetch_hosts: tuple[str, ...] = ()
    """Hosts from which images are fetched that clients give as addresses: `HOST`, `*.DOMAIN`, `HOST:PORT` or
    `http://HOST:PORT`, and ` private` behind it for one that is not on the internet. None, when empty."""

    fetch_timeout_s: float = Field(default=10.0, gt=0, le=120)
    """Seconds that a host may take to send an image, within the time of the request."""

    cors_origin_regex: str = r"https?://(localhost|127\.0\.0\.1|\[::1\]|fast\.localhost)(:\d+)?"
    """Web pages of these origins may call from a browser, as with the legacy server: those of the same machine."""

    cors_origins: tuple[str, ...] = ()
    """Origins that may call as well, such as `https://annotate.example.org`; `null` for pages that are opened from a
    file, and for any other page that hides its origin."""

    @field_validator("faces")
    @classmethod
    def _are_faces(cls, faces: tuple[str, ...]) -> tuple[str, ...]:
        check_faces(faces)
        return faces

    @model_validator(mode="after")
    def _grpc_has_its_face(self) -> Self:
        if self.grpc_port is not None and GRPC_FACE not in self.faces:
            raise ValueError(
                f"grpc_port is set, and gRPC is answered by the face {GRPC_FACE}, which faces leaves out"
            )
        return self

    @field_validator("fetch_hosts")
    @classmethod
    def _are_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        AllowList.of(hosts)
        return hosts

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "null" and _ORIGIN.fullmatch(origin) is None:
                raise ValueError(f"an origin is SCHEME://HOST or SCHEME://HOST:PORT in lower case, got {origin!r}")
        return origins

    @field_validator("cors_origin_regex")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from None
        return pattern


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?")
