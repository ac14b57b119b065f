"""The weights of models: fetched from where they are published into a cache that can be carried on board.

`weights_uri` parses URIs, `cache` knows the folder, `transfer` brings bytes over HTTP, `fetch` puts these together,
`resolve` is what the rest of the core uses, `catalogue` and `commands` are `python -m deployments.weights`.
Knows neither Ray, nor families, nor any door.
"""
