"""The systems that are compared, one module each: a `start` function, and the server's own code beside it.

They share a model, a port of the loopback address and an endpoint, and nothing else.
"""
