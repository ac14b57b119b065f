"""The client of Redis, not of the service: the connections of a bridge to the Redis server.

Addresses, pools, retries, and the commands that redis-py is too slow or too strict for. The programs that push jobs,
which are called clients in all other places, are not meant. Imports nothing of ours but the core.
"""
