"""HAProxy in front of the HTTP door: its settings, the configuration that Ray generates, and its own answers.

What stands in its place without HAProxy (`in_front`) is here, too, and the certificate of HTTPS. May import
`configuration`, `console` and `processes` of the launcher, and `serve_app.http.problems`.
"""
