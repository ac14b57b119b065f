"""The bare model on this machine: the upper bound that systems are compared with."""
