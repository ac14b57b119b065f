"""The client of our own models, not of the service: in the process of a door, finds models and calls their replicas.

Who asks a door is called a client too, in all other places. Here a door is the one that asks.

    ModelClient -> CallBatcher -> ReplicaCalls -> (Serve handle) -> a replica      Discovery: which models there are

Never imports `deployments.serving`, families or runtimes.
"""
