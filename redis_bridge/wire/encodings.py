"""The encodings of the wire, by the names that a queue's profile gives them.

A new one is a module with an `Encoding`, as `json_encoding.py` and `msgpack_encoding.py` are, and a row here.
"""

from types import MappingProxyType

from redis_bridge.wire.encoding_contract import Encoding
from redis_bridge.wire.json_encoding import JSON
from redis_bridge.wire.msgpack_encoding import MSGPACK

ENCODINGS: MappingProxyType[str, Encoding] = MappingProxyType(
    {
        "json": JSON,
        "msgpack": MSGPACK,
    }
)

DEFAULT_ENCODING = "json"
