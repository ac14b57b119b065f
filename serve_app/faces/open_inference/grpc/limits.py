"""What a connection, a call and a message may take of the door."""

from dataclasses import dataclass
from typing import Self

from serve_app.settings import DoorSettings

STOP_GRACE_S = 50.0
"""For calls that are under way when the door stops; below `graceful_shutdown_timeout_s` of the door."""

_STREAMS_PER_CONNECTION = 128
_WAITING_BYTES = 2**16
"""Of a message that has no place yet, as many are taken in."""

_MS = 1000
_IDLE_S = 300
_SILENCE_S = 60
_PING_ANSWER_S = 20
_PING_PERIOD_S = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a gRPC server."""

    max_message_bytes: int
    """Of a request."""

    places: int
    """Messages that may arrive at a time, of all clients."""

    places_per_client: int

    message_s: float = 60.0
    """Within which a message must have arrived once it has its place."""

    max_calls: int = 1024
    """Under way at a time, beyond which gRPC itself answers RESOURCE_EXHAUSTED."""

    max_connections: int = 512
    """Further ones are closed."""

    connection_s: float = 600.0
    """Age at which a client is asked to open a new connection, as clients of gRPC do by themselves."""

    last_call_s: float = 120.0
    """Within which calls must end then, also those whose client does not take its answer."""

    greeting_s: float = 10.0
    """Within which a connection must speak HTTP/2."""

    @classmethod
    def of(cls, settings: DoorSettings) -> Self:
        """Those that follow from the settings of the door: messages that arrive hold no more than all uploads do."""
        most = settings.max_upload_bytes
        return cls(most, max(1, settings.max_held_bytes // most), max(1, settings.max_held_bytes_per_client // most))

    def options(self) -> list[tuple[str, int]]:
        """The options of the gRPC server."""
        return [
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_allowed_incoming_connections", self.max_connections),
            ("grpc.max_concurrent_streams", _STREAMS_PER_CONNECTION),
            ("grpc.so_reuseport", 1),  # further doors of this machine listen on the same port
            ("grpc.server_handshake_timeout_ms", round(self.greeting_s * _MS)),
            ("grpc.max_connection_age_ms", round(self.connection_s * _MS)),
            ("grpc.max_connection_age_grace_ms", round(self.last_call_s * _MS)),
            ("grpc.max_connection_idle_ms", _IDLE_S * _MS),
            ("grpc.keepalive_time_ms", _SILENCE_S * _MS),
            ("grpc.keepalive_timeout_ms", _PING_ANSWER_S * _MS),
            # A client may ask whether the connection lives, though not all the time.
            ("grpc.http2.min_ping_interval_without_data_ms", _PING_PERIOD_S * _MS),
            ("grpc.keepalive_permit_without_calls", 1),
            # The window of a stream must not grow before somebody reads it.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", _WAITING_BYTES),
        ]
