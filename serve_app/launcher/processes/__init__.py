"""Processes, ports, folders and log files of this machine, whatever runs in them. May not import the rest of the
launcher but `app_status` and `console`."""
