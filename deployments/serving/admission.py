"""How many images a replica has taken in, so that more than it can hold are refused."""

from deployments.errors import Overloaded


class Admission:
    """Counts, on one event loop. limit: images at once; may be changed at any time."""

    def __init__(self, model: str, limit: int) -> None:
        self.limit = limit
        self.in_work = 0
        """Images taken in and not answered yet; each tile counts."""
        self.held_up = 0
        """Those of them that have their outcome and wait for the others of their call."""
        self._model = model

    @property
    def room(self) -> int:
        """How many more may be taken in."""
        return max(self.limit - self.in_work, 0)

    def overloaded(self, also: str = "") -> Overloaded:
        """The error for an image that is not taken in. also: goes on after 'has 5 images in work'."""
        return Overloaded(f"{self._model} has {self.in_work} images in work{also}, the limit is {self.limit}")
