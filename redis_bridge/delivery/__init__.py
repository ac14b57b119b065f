"""From a job in a queue to its end: lease, decode, model call, and ack, requeue or dead-letter.

The top room of the bridge: may import every other room but `external`; imported by `redis_bridge.bridge` only.
"""
