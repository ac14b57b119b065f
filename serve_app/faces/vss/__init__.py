"""The face for clients of MBARI's fastapi-vss: embeddings of images, and the nearest of labelled images.

    routes.py      the paths
    submitted.py   one request with images, from its form to the number of its job
    sent.py        the form
    projects.py    which model a project means
    embedding.py   images through their model
    jobs.py        work that goes on when its request was answered
    answers.py     what is kept of a job, and what its client is told
    waiting.py     the WebSocket on which a client waits for a job
    labelled.py    adding labelled images to a project, and removing them
    described.py   what the OpenAPI document says

Shapes are those of mbari-org/fastapi-vss at 6784c22 (`src/app/main.py`, `predictors/tasks.py`), and of those who call
it: `run_vss` of mbari-org/aipipeline, which asks for jobs below the address of `/knn` and reads `results`, and
mbari-org/fiftyone-sync (`embeddings_viz.py`), which gives up a request after 5 s and waits on the WebSocket.

A job's answer is kept in Redis, so that any door can be asked for it; the work is done by the door that took it.
fastapi-vss answers errors with status 200; here an error has its own status, and the same member `error`.
"""
