"""In the process of a door: finds models and calls their replicas.

    ModelClient -> CallBatcher -> ReplicaCalls -> (Serve handle) -> a replica      Discovery: which models there are

Never imports `deployments.serving`, families or runtimes.
"""
