"""The routes that tell about the system itself: health, models, metrics. No predictions.

Imported by `serve_app.api` and `serve_app.app`. Knows no other face.
"""
