"""The launcher behind `make serve`, `check`, `deploy`, `add`, `remove` and `status`: starts Ray and watches over it.

A program of its own beside the HTTP door, in its own processes. It may import the core and, of the door, only
`serve_app.problems`; the door never imports it. Entered through `serve_app.launch`.
"""
