"""The connection to Redis: addresses, pools, retries, and the commands that redis-py is too slow or too strict for.

The lowest room: knows no key and no job.
"""
