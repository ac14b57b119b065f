"""Bodies of requests: read within limits of bytes and time, and taken apart into files, fields and options.

Knows no face. What is wrong with a body is an error of the core, or of HTTP.
"""
