"""The face of the system itself: health, models, metrics and the web page. No predictions.

`serve_app.api` mounts `routes.system_face`; `serve_app.app` builds the `System` that it describes.
"""
