"""What the bridge keeps in Redis, and the scripts that move it: leases, retry records, heartbeats, dead letters.

May import `wire`, `client`, `redis_bridge.keys` and `redis_bridge.settings`; never `delivery`.
"""
