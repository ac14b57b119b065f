"""The weights of models: fetched from where they are published into a cache that can be carried on board.

    weights_uri.py         URIs: what is allowed, and where a file lies in the cache
    settings.py            the environment variables FATHOM_WEIGHTS_*
    cache.py               the cache folder and its records
    transfer.py            brings the bytes of one file; http_client.py and answers.py: limits, redirects, web pages
    folders.py             the files of a repository that make a model together
    fetch.py               makes sure that a file is in the cache, one writer at a time
    publishers.py          where publishers are, and what they say of a file
    resolve.py             what replicas and doors call
    catalogue.py, commands.py, __main__.py    `python -m deployments.weights`

A new place of publication is a scheme: one entry and one parser in weights_uri.py, and its address in publishers.py.
Import this from anywhere in the product. It imports `deployments.definition`, small modules of the core and
the index of weights in `deployments.checkpoints`, and neither families nor Ray.
"""
