"""What is written down of every request, where the environment asks for it: a line in the log, a span in a trace.

Off by default, and then there is no `Watch`: whoever could report to it finds None. Every process of the system
begins with `watch.start_watching`.
"""
