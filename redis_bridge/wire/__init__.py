"""What jobs and answers look like on the wire, and the profiles that choose it. Pure: no Redis, no Ray.

May import the core and `redis_bridge.keys`.
"""
