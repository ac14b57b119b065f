"""The connection to Redis: addresses, pools, retries, and the commands that redis-py is too slow or too strict for.

Imports nothing of ours but the core.
"""
