"""Locust users for both doors, which load them as their real clients do.

Speaks to the doors over HTTP and Redis only. May import `deployments`, for the sample frames; nothing imports this
package.
"""
