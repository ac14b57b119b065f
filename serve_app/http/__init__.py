"""What every request and every answer of the HTTP door has: one way to write errors, headers, ids, and timings.

Knows no face, no route and no body.
"""
