"""The weights of models: fetched from where they are published into a cache that can be carried on board.

    weights_uri.py         URIs: what is allowed, and where a file lies in the cache
    settings.py            the environment variables FATHOM_WEIGHTS_*
    cache.py               the cache folder and its records
    transfer.py            brings the bytes of one file; http_client.py and answers.py: limits, redirects, web pages
    fetch.py               makes sure that a file is in the cache, one writer at a time
    resolve.py             what replicas and doors call
    catalogue.py, commands.py, __main__.py    `python -m deployments.weights`

A new place of publication is a scheme: one entry and one parser in weights_uri.py, and its address in fetch.py.
Import this from anywhere in the product. It imports `deployments.definition` and small modules of the core, and
neither families nor Ray.
"""
