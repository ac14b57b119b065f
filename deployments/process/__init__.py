"""What every process of the system needs, whatever it serves: background tasks, counters, folders, the environment,
addresses without their secrets.

Imports nothing else of `deployments` but `logs`; everybody may import it.
"""
