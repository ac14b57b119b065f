"""The Redis server: what it must be able to do, whether it works now, and the embedded Valkey.

May import `client` and `redis_bridge.keys`.
"""
