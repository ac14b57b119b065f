"""Models that run in workers of their own: the bridge writes their jobs and waits for their answers.

Beside `delivery`, which it never imports.
"""
