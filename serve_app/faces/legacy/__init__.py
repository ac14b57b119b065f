"""The face that FathomNet's clients have spoken since 2022: `/predictor/` and the SAM routes, byte for byte.

`serve_app.api` mounts `routes.legacy_face` and imports nothing else of it.
"""
