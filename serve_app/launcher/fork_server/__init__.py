"""Ray's workers are forked from one process that has imported their libraries already.

A start of the system makes a dozen workers, and a wake one more: each would spend seconds on the same imports, and
hold the same code in memory once more.

    libraries       which libraries those are
    rays_python     for the process that starts Ray: the server's life, and the program that stands in for Python
    start_worker    that program: asks the server for a worker, or starts what Ray asked for
    server          imports, then forks a worker for each request

May import of the launcher only `processes`, and of the core only the table of families. Ray knows nothing of it:
where the server cannot help, Ray's own command runs.
"""
