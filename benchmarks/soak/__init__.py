"""A system under steady load for as long as one likes, while things happen to it: a model is woken and put to sleep
every minute, processes are killed. Shows whether something is lost, and whether memory grows.

    __main__ -> one_machine, soak -> load, events -> accounts;  memory;  verdict

`python -m benchmarks.soak` runs it on this machine; what it needs of a system is the `Site` of `soak.py`.
"""
