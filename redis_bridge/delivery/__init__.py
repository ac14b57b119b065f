"""From a job in a queue to its end: lease, decode, model call, and ack, requeue or dead-letter.

Start with `processing`, where the end of each job is decided; `assembly` builds the parts. May import every other
room but `external` and `registry`; imported by `redis_bridge.bridge` only.
"""
