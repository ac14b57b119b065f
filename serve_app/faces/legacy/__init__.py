"""The face that FathomNet's clients have spoken since 2022: `/predictor/` and the SAM routes, byte for byte.

Imported by `serve_app.api` only. Knows no other face.
"""
