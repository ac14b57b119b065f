"""Refuses a request for classes that the model does not have, and suggests those that it has."""

from collections.abc import Sequence

from deployments.classes.labels import check_labels
from deployments.errors import InvalidRequest, ModelUnavailable
from deployments.request import SHOWN_CHARACTERS
from deployments.text.nearest_name import nearest_in_any_case

SHOWN = 3
"""Names that a message shows; a model may have thousands."""


class KnownClasses:
    """The classes of one model. Raises ModelUnavailable when they are more than a model may have."""

    def __init__(self, labels: Sequence[str]) -> None:
        try:
            check_labels(labels)
        except ValueError as error:
            raise ModelUnavailable(str(error)) from None
        self._labels = tuple(dict.fromkeys(labels))
        self._known = frozenset(labels)

    def check(self, classes: Sequence[str] | None, field: str = "classes") -> None:
        """Raises InvalidRequest when one of `classes` is none of the model's. An answer without it would look as if
        nothing of that class were in the image. field: what named them, for the message."""
        if classes is None or self._known.issuperset(classes):
            return
        unknown = next(name for name in classes if name not in self._known)
        shown = repr(unknown[:SHOWN_CHARACTERS])
        raise InvalidRequest(f"{field}: this model has no class {shown}; {self._instead_of(unknown)}")

    def _instead_of(self, unknown: str) -> str:
        near = nearest_in_any_case(unknown[:SHOWN_CHARACTERS], self._labels, SHOWN)
        if near:
            return f"did you mean {' or '.join(map(repr, near))}?"
        some = ", ".join(repr(label) for label in self._labels[:SHOWN])
        return f"it has {len(self._labels)}, such as {some}"
