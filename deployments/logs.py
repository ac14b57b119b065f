"""The log of our own code inside Ray Serve's replicas, and what Serve itself writes there. Knows no model.

Serve makes a record for every request and throws it away afterwards where `enable_access_log: false` says so; for
small requests that is a tenth of all work. Our own records go by a child of Serve's logger, with a level of its
own and Serve's handlers, so that Serve's can be stopped before they are made.
"""

import logging

SERVE_LOGGER = "ray.serve"
OWN_LOGGER = "ray.serve.fathom"
_FILTER = "log_access_log_filter"
"""Serve's own name of the filter that drops access records, put on a handler when nobody wants them."""


def make_no_unwanted_records() -> None:
    """Called inside a replica. Where its log has no access records, Serve's INFO records are not even made."""
    logging.getLogger(OWN_LOGGER).setLevel(logging.INFO)
    serve = logging.getLogger(SERVE_LOGGER)
    filters = [[getattr(one, "__name__", "") for one in handler.filters] for handler in serve.handlers]
    if filters and all(_FILTER in names for names in filters):
        serve.setLevel(logging.WARNING)
