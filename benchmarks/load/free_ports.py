"""Free TCP ports of the loopback address, as the launcher finds them. Knows sockets only."""

from serve_app.launcher.processes.ports import free_ports

__all__ = ["LOOPBACK", "free_ports"]

LOOPBACK = "127.0.0.1"
