"""For tools that fetch their answers themselves. Each module needs the tool's own package, which an extra of this
distribution names; nothing else of the client imports them.

    cvat.py     the function that `cvat-cli` runs
    squidle.py  `fathom squidle`: a bot for SQUIDLE+
    tator.py    `fathom tator`: from media of Tator to localizations in it
"""
