"""The folder in which a running system keeps its state, when nobody names one."""

from collections.abc import Mapping
from pathlib import Path

DEFAULT_STATE_FOLDER = Path("~/.local/state/fathomnet-serve")


def default_state_folder(environ: Mapping[str, str]) -> Path:
    """XDG_STATE_HOME/fathomnet-serve; `DEFAULT_STATE_FOLDER`, with its `~`, where XDG_STATE_HOME is not set."""
    home = environ.get("XDG_STATE_HOME")
    return Path(home, "fathomnet-serve") if home else DEFAULT_STATE_FOLDER
