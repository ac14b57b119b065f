"""What the launcher is told: YAML documents and environment variables, checked before anything starts.

May import the core; starts no process and asks no network.
"""
