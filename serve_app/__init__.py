"""The HTTP door: uploads in, JSON out; its web page; and, as a program of its own, the launcher.

app           what Ray Serve runs; only wiring           launch      the command line of the launcher
api           mounts the faces; CORS, counting           launcher/   what `make serve`, `add`, `deploy`, ... do
settings      the door's settings                        faces/      one room for each protocol
activity      what is asked of each model                access/     API keys: who may call what
api_document  the OpenAPI document                       bodies/     bodies and forms, read within limits
direct_routes the short way that uploads take            formats/    answers as COCO, VOC, Darwin Core, ...
watched_http  log lines and spans of requests            fetching/   images by address
change_program  adds and removes models over HTTP        http/       problem documents, headers, parts of OpenAPI
known_faces   the names of the faces                     page/, docs_page/   the web page, and the viewer of the API

A new protocol is a room in `faces/`; what several faces need goes into `bodies/`, `formats/` or `http/`.
"""
