"""Embeddings in Redis, and the nearest of them.

    store.py    what lies in Redis, and the scripts that change it
    jobs.py     answers of jobs, for a while
    table.py    a project's vectors in memory, and the search, by brute force; without Redis
    keeper.py   what the HTTP door asks: `deployments.vectors.Vectors`

Every vector of a project is looked at for each query: exact, and fast enough for as many as there may be. No module
of the server is needed for it, so that any Redis and any Valkey will do.

May import `client`, and the bridge's keys.
"""
