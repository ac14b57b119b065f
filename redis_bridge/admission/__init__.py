"""What may be in work at once: limits of bytes and of jobs, and the lock that lets a suspect work alone.

Imports nothing of ours. Imported by `delivery`, `external` and `redis_bridge.bridge`.
"""
