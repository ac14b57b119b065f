"""The measuring instrument: our system beside the bare model, a hand-written server, plain Ray Serve and the
legacy design, in one interleaved run. Start it with `python -m benchmarks`; see README.md beside this file.

Everything runs on this machine and listens on its loopback address only.
"""
