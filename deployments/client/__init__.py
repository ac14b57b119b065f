"""In the process of a door: finds models and calls their replicas.

Never imports `deployments.serving`, families or runtimes.
"""
