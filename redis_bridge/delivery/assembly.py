"""Builds the consumer of each queue from its parts, and holds what all queues of a bridge share."""

from concurrent.futures import ThreadPoolExecutor

from redis_bridge.admission.fair_rw_lock import FairRWLock
from redis_bridge.admission.limits import InFlightBytes
from redis_bridge.delivery.attempts import Attempts
from redis_bridge.delivery.consumer import Consumer
from redis_bridge.delivery.decoding import JobDecoder
from redis_bridge.delivery.model_calls import ModelCalls, Models
from redis_bridge.delivery.parking import Parking
from redis_bridge.delivery.processing import Processing
from redis_bridge.delivery.quarantine import Quarantine
from redis_bridge.delivery.queue_load import QueueLoad, Readiness
from redis_bridge.delivery.reservation import JobReserver
from redis_bridge.delivery.retry_policy import RetryPolicy
from redis_bridge.delivery.served_queue import RedisErrors, RedisRetry, ServedQueue
from redis_bridge.delivery.settlement import Settlement
from redis_bridge.metrics import Recorder
from redis_bridge.settings import BridgeSettings
from redis_bridge.store.job_store import JobStore
from redis_bridge.store.liveness import Liveness


class Delivery:
    """From the queues of one bridge to their answers."""

    def __init__(
        self, models: Models, jobs: JobStore, liveness: Liveness, settings: BridgeSettings, recorder: Recorder
    ) -> None:
        self.taken_keys: frozenset[str] = frozenset({settings.registry_key, *settings.external_queues})
        """Redis keys that no answer may overwrite."""
        self.memory = InFlightBytes(settings.max_in_flight_bytes)
        """The budget of bytes for the jobs of all queues."""
        self.errors = RedisErrors(liveness, recorder)
        self._models = models
        self._jobs = jobs
        self._liveness = liveness
        self._settings = settings
        self._recorder = recorder
        self._threads = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")
        self._lock = FairRWLock()

    def consumer(self, name: str) -> Consumer:
        """A consumer of the queue `name`, not started."""
        queue = ServedQueue(name, self._settings, self._recorder)
        jobs, clock = self._jobs, self._liveness.clock
        retry = RedisRetry(self.errors, queue.signals.abandon)
        readiness = Readiness(queue, self._models)
        calls = ModelCalls(queue, self._models)
        load = QueueLoad(queue, readiness, calls)
        settlement = Settlement(queue, jobs, retry, clock, load)
        parking = Parking(queue, calls)

        def is_given_up(model: str | None) -> bool:
            return parking.is_given_up(model) if queue.is_routed else readiness.is_given_up()

        attempts = Attempts(queue, calls, RetryPolicy(self._settings, clock, is_given_up), settlement)
        decoder = JobDecoder(queue, jobs, retry, self._threads, lambda: self.taken_keys)
        quarantine = Quarantine(queue, self._lock, jobs, retry)
        processing = Processing(decoder, attempts, settlement, parking, quarantine)
        reserver = JobReserver(queue, jobs, self.memory, load.limit, self.errors)
        return Consumer(queue, reserver, load, processing, self._liveness)

    def close(self) -> None:
        """Ends the threads, once all consumers have stopped."""
        self._threads.shutdown(wait=False)
