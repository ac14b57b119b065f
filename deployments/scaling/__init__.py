"""How many replicas a model has, and which one gives way when there are fewer places than models.

    policies -> board -> spare, view -> places
    reports: what replicas report.  cluster: asks Ray, for the board.

Runs inside Ray Serve's controller, once for each model in each round of its loop. A
configuration names a policy of `deployments/autoscaling.py`.
"""
