"""The Redis bridge: serves the legacy queue clients. Imports the core, never the HTTP door.

    queue --reserve--> lease --wire--> Request --predict--> Outcome --wire--> answer key
                              `--(the bridge dies)--> liveness --> head of the queue

Only this package opens a Redis connection.
"""
