"""The HTTP door: uploads in, JSON out; its web page; and, as a program of its own, the launcher."""
