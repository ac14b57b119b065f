"""What jobs and answers look like on the wire, and the profiles that choose it. Pure: no Redis, no Ray.

May import the core and `redis_bridge.keys`. Imported by the bridge's
settings, `delivery`, `store` and `registry`.
A further encoding is one module and one row in `encodings.py`; a further preset is one row in `presets.py`.
"""
