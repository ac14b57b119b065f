"""Configuration: YAML documents and environment variables, checked before anything starts.

May import the core, and of the launcher only `processes`, `app_status` and `console`. Nothing here starts a
process or uses the network.
"""
