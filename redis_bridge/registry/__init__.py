"""The model-registry key that clients read to find models and queues.

May import `wire` and `redis_bridge.keys`.
"""
