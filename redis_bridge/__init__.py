"""The Redis bridge: serves the legacy queue clients. Imports the core, never the HTTP door.

    queue --reserve--> lease --wire--> Request --predict--> Outcome --wire--> answer key
                              `--(the bridge dies)--> liveness --> head of the queue

    delivery    from a lease to its end            admission   what may be in work at once
    store       what the bridge keeps in Redis     wire        the format of jobs and answers
    external    models in other people's workers   registry    the key in which clients find models
    server      what the Redis server must be      client      connections to that server
    vectors     embeddings, and the nearest of them

Only this package opens a Redis connection.
"""
