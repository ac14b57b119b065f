"""For tools that fetch their answers themselves. All but one need the tool's own package, which an extra of this
distribution names.

    biigle.py   `fathom biigle`: from volumes of BIIGLE to annotations in them
    cvat.py     the function that `cvat-cli` runs
    squidle.py  `fathom squidle`: a bot for SQUIDLE+
    tator.py    `fathom tator`: from media of Tator to localizations in it
"""
