"""The face for roboflow's `inference-sdk`, and for whatever speaks to a roboflow inference server.

    routes.py      the paths
    inference.py   one request, from its body to its answer
    sent.py        images and options of a body or a query
    options.py     roboflow's options in the words of this server
    answers.py     what was found, as roboflow writes it
    registry.py    models under roboflow's ids, such as `benthic-demo/1`
    described.py   what the OpenAPI document says

Written against inference-sdk 1.8.3 (`http/client.py`, `http/entities.py`) and the response classes of
roboflow/inference. The SDK puts its paths behind whatever `api_url` is, so all of them are below `/roboflow`.

The SDK shows its API key in the query (v0) or in the JSON (v1), unless it is told
`InferenceConfiguration(api_key_transport="header")`, which it recommends itself. This server takes keys from headers,
and from the query, out of which it takes them before anything is logged. It does not look for one in a body: who may
call is decided before any of it is read. So v1 needs `"header"` or `"both"` where this server asks for keys.
"""
