"""THE REDIS DOOR: serves the legacy queue clients. Imports the core, never the other door.

    queue --jobs.reserve--> slot --wire--> Request --predict--> Outcome --wire--> answer key
                              `--(the bridge dies)--> presence.sweep --> head of the queue

Only this package opens a Redis connection.
"""
