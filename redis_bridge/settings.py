"""The settings of the Redis door, as they stand in YAML `args`. They hold no secret: the address of Redis, with its
password, comes from the environment variable REDIS_URL only.
"""

from typing import Self

from pydantic import Field, model_validator

from deployments.definition import Name, Settings
from deployments.request import MAX_DEADLINE_S
from redis_bridge.wire.profiles import CVISIONAI, QueueProfile

REDIS_URL_VARIABLE = "REDIS_URL"
"""Environment variable with the address of a real Redis; without it the embedded Valkey is used."""


class BridgeSettings(Settings):
    """What the bridge may do, and how long it may take. All sizes in bytes, all times in seconds."""

    valkey_application: Name = "valkey"
    """Application of the embedded Valkey, which is used when REDIS_URL is not set."""

    registry_key: str = Field(default="model-registry", min_length=1, max_length=256)
    """Redis key that lists queues and the models behind them."""

    profiles: dict[Name, QueueProfile] = Field(default={})
    """Queue -> its wire format: the name of a preset, or a mapping. Other queues have the preset `cvisionai`."""

    external_queues: tuple[Name, ...] = ()
    """Queues whose jobs only external workers take, even where a model of ours lists them."""

    result_ttl_s: int = Field(default=3600, ge=1)
    """How long an answer is kept that nobody fetches."""

    job_deadline_s: float = Field(default=60.0, gt=0, le=MAX_DEADLINE_S)
    """How long one attempt at a job may take in the model."""

    slots_per_queue: int = Field(default=32, ge=1, le=1024)
    """Jobs of one queue in flight at once; three times as many while the model answers within 0.1 s."""

    max_in_flight_bytes: int = Field(default=512 * 2**20, ge=2**20)
    """Payloads and images that the bridge holds at once, over all queues."""

    max_job_bytes: int = Field(default=256 * 2**20, ge=1024)
    """A job with a longer payload is refused."""

    max_external_jobs: int = Field(default=64, ge=1, le=10_000)
    """Jobs that wait for external workers at once; further requests are refused as overloaded."""

    decode_threads: int = Field(default=2, ge=1, le=64)
    """Jobs decoded at the same time."""

    max_attempts: int = Field(default=3, ge=1)
    """Attempts at a job that fails in the model or takes a bridge down with it, before it is dead-lettered."""

    pause_after: int = Field(default=8, ge=1)
    """A model in which this many different jobs fail in a row is paused: it gets no jobs."""

    longest_pause_s: float = Field(default=60.0, gt=0)
    """A paused model gets one job after 1 s, 2 s, 4 s, ..., and at least this often."""

    max_set_aside: int = Field(default=1000, ge=0, le=10_000)
    """Jobs of one queue that are parked for the models that they name; further ones go to its end."""

    give_up_after_s: float = Field(default=600.0, ge=0)
    """How long jobs wait for a model that cannot answer, before their clients get an error."""

    longest_block_s: float = Field(default=1.0, gt=0, le=5)
    """Longest wait of one blocking read; a stop may be noticed this late."""

    heartbeat_s: float = Field(default=2.0, gt=0)
    """How often the bridge writes its heartbeat and refreshes the registry."""

    takeover_after_s: float = Field(default=10.0, gt=0)
    """A bridge without a heartbeat for this long is dead: its leases are reclaimed."""

    orphan_scan_s: float = Field(default=300.0, gt=0)
    """How often all leases in Redis are checked, besides the checks after a death or a reconnect."""

    dead_letters: int = Field(default=1000, ge=1)
    """Dead letters that are listed; older ones are dropped."""

    dead_letter_payloads: int = Field(default=16, ge=1, le=1000)
    """The newest dead letters whose payload is kept, for a replay."""

    dead_letter_payload_bytes: int = Field(default=512 * 2**20, ge=0)
    """Most bytes of all payloads that are kept; what does not fit beside newer ones is dropped."""

    dead_letter_ttl_s: int = Field(default=7 * 24 * 3600, ge=1)
    """All dead letters are forgotten when none was added for this time."""

    # Ray Serve waits 30 s for the whole system, and Valkey is stopped after the bridge.
    drain_s: float = Field(default=15.0, ge=0)
    """At shutdown, how long jobs in flight may still finish before they go back to their queue."""

    settle_s: float = Field(default=30.0, gt=0)
    """At start, how long the bridge waits until the configured models are built."""

    @model_validator(mode="after")
    def _silence_outlasts_the_heartbeat(self) -> Self:
        shortest_s = max(2 * self.heartbeat_s, 3 * self.longest_block_s)
        if self.takeover_after_s < shortest_s:
            raise ValueError(
                f"takeover_after_s must be at least {shortest_s:g} (twice heartbeat_s and three times "
                f"longest_block_s), got {self.takeover_after_s:g}; otherwise living bridges lose their jobs"
            )
        return self

    def profile_of(self, queue: str) -> QueueProfile:
        """The wire format of `queue`."""
        return self.profiles.get(queue, CVISIONAI)

    def result_ttl_of(self, queue: str) -> int:
        """Seconds that an answer to a job of `queue` waits for its client."""
        return self.profile_of(queue).result_ttl_s or self.result_ttl_s
