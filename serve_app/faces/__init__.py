"""The faces of the HTTP door: one room for each protocol that clients speak.

A face reads requests in the words of its clients and answers in them. It may import the core (`deployments`) and the
HTTP modules of `serve_app` (uploads, forms, problems, settings), and never another face. `serve_app.api` mounts them.
"""
