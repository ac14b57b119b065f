"""Processes, ports, folders and log files of this machine. Knows neither Ray nor models."""
