"""Models that run in workers of their own: the bridge writes their jobs and waits for their answers.

May import `admission`, `client`, and the bridge's keys, metrics and settings; never `delivery`, which is beside it.
"""
