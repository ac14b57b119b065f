"""The client of our own models, not of the service: in the process of a door, finds models and calls their replicas.

In all other places a client is a program that asks a door. Here the door is the one that asks.

    RevisionClient -> ModelClient -> CallBatcher -> ReplicaCalls -> (Serve handle) -> a replica
    Discovery: which models there are

Never imports `deployments.serving`, families or runtimes.
"""
