"""What all consumers of this door share, and the two signals that end their work."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from dataclasses import dataclass, field

from deployments.definition import ModelRecord
from deployments.doors import Predict
from redis_bridge.in_flight import InFlightBytes
from redis_bridge.jobs import JobStore
from redis_bridge.metrics import Recorder
from redis_bridge.presence import Presence
from redis_bridge.settings import BridgeSettings


@dataclass(frozen=True, slots=True)
class Door:
    """model_of: the model that answers for a queue now, None when there is none.
    taken_keys: Redis keys that no answer may overwrite."""

    predict: Predict
    model_of: Callable[[str], ModelRecord | None]
    taken_keys: Callable[[], Collection[str]]
    jobs: JobStore
    presence: Presence
    in_flight: InFlightBytes
    threads: Executor
    recorder: Recorder
    settings: BridgeSettings


@dataclass(frozen=True, slots=True)
class Signals:
    """stop: take nothing new, finish what is in flight.  abandon: give back what is still in flight."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    abandon: asyncio.Event = field(default_factory=asyncio.Event)
