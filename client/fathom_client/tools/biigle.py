"""From the images of a volume of BIIGLE to annotations in it; `fathom biigle` is its command. It needs no extra.

Source of requests, answers and rules: biigle/core, `app/Http/Controllers/Api/`, `app/Rules/AnnotationPoints.php` and
`app/Shape.php`. Running it again writes nothing twice: what is there, with the same shape, points and label, is left
out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from fathom_client.answers import Detection
from fathom_client.client import Client
from fathom_client.errors import FathomError, InvalidImage, ServerNotReachable, UnexpectedAnswer, UnusableImage
from fathom_client.images import MOST_BYTES
from fathom_client.version import VERSION

POLYGON, RECTANGLE = 3, 5
"""BIIGLE's shapes."""

MOST_AT_ONCE = 100
"""Annotations that BIIGLE takes in one request, all of them or none."""

DECIMALS = 2
"""To which BIIGLE rounds points."""

Key = tuple[int, tuple[float, ...], int]
"""Shape, points and label of an annotation."""


class Biigle:
    """One BIIGLE. Raises ServerNotReachable where it is not, and FathomError for what it refuses. user: email and API
    token. transport: of httpx, in place of the network."""

    def __init__(
        self, host: str, user: tuple[str, str], timeout_s: float, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._host = host.rstrip("/")
        self._http = httpx.Client(
            base_url=f"{self._host}/api/v1/",
            auth=user,
            timeout=timeout_s,
            headers={"Accept": "application/json", "User-Agent": f"fathom-client/{VERSION}"},
            # Images of a volume may lie elsewhere; the password is not sent on to there.
            follow_redirects=True,
            transport=transport,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def images(self, volume: int) -> dict[int, str]:
        """Number -> name of each image of a volume. Raises FathomError for a volume of videos."""
        with self._as_biigle():
            listed = _members(self._get(f"volumes/{volume}/filenames"))
            names = {int(number): str(name) for number, name in listed.items()}
            for first in list(names)[:1]:
                # The numbers of videos are those of other images.
                image = _members(self._get(f"images/{first}"))
                if image.get("filename") != names[first] or _number_of(image, "volume") != volume:
                    raise FathomError(f"volume {volume} has no images: videos of BIIGLE are not looked at")
            return names

    def labels(self, volume: int) -> dict[str, set[int]]:
        """Name -> numbers of the labels that the projects of a volume use."""
        found: dict[str, set[int]] = {}
        with self._as_biigle():
            for project in _members(self._get(f"volumes/{volume}")).get("projects") or ():
                for tree in self._get(f"projects/{project['id']}/label-trees"):
                    for label in tree.get("labels") or ():
                        found.setdefault(label["name"], set()).add(int(label["id"]))
        return found

    def file(self, image: int) -> bytes:
        """The image file. Raises UnusableImage where it is not to be had."""
        content = bytearray()
        try:
            with self._http.stream("GET", f"images/{image}/file") as answer:
                if answer.status_code >= 400:
                    raise UnusableImage(f"its file is answered with the status {answer.status_code}")
                if "json" in answer.headers.get("content-type", ""):
                    raise UnusableImage("it is so large that BIIGLE has it in tiles, which are not put together here")
                for piece in answer.iter_bytes():
                    content += piece
                    if len(content) > MOST_BYTES:
                        raise UnusableImage(f"it has more than {MOST_BYTES:,} bytes")
        except httpx.HTTPError as error:
            raise UnusableImage(f"its file cannot be fetched: {error}") from error
        return bytes(content)

    def there(self, image: int) -> set[Key]:
        """What is annotated in an image, by anybody."""
        with self._as_biigle():
            found = self._get(f"images/{image}/annotations")
            return {
                (int(one["shape_id"]), tuple(round(float(at), DECIMALS) for at in one["points"]), label_id)
                for one in found
                for label_id in (_number_of(label, "label") for label in one.get("labels") or ())
            }

    def write(self, annotations: Sequence[Mapping[str, Any]]) -> None:
        """Adds annotations."""
        for start in range(0, len(annotations), MOST_AT_ONCE):
            self._ask("POST", "image-annotations", list(annotations[start : start + MOST_AT_ONCE]))

    @contextmanager
    def _as_biigle(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnexpectedAnswer(f"{self._host} does not answer as BIIGLE does: {error!r}") from error

    def _get(self, path: str) -> Any:
        return self._ask("GET", path)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise ServerNotReachable(f"{self._host} cannot be reached: {error or type(error).__name__}") from error
        except httpx.HTTPError as error:
            raise FathomError(f"{self._host}: {error}") from error
        if answer.status_code >= 400:
            raise FathomError(f"{self._host} refuses {method} {path} with {answer.status_code}: {_said(answer)}")
        try:
            return answer.json()
        except ValueError as error:
            raise UnexpectedAnswer(f"{self._host} does not answer as BIIGLE does: {path} is no JSON") from error


@dataclass
class Run:
    """What is asked for each image, and what became of it. label_map: labels of the model -> numbers of labels of
    BIIGLE, before those that have the same name."""

    client: Client
    biigle: Biigle
    model: str
    options: Mapping[str, Any]
    named: Mapping[str, set[int]]
    label_map: Mapping[str, int] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)
    """Label -> how many animals have no label in BIIGLE."""

    def annotate(self, image: int, put: Callable[[list[dict[str, Any]]], None]) -> int:
        """How many annotations were new. Raises UnusableImage and InvalidImage, which concern this image alone, and
        what ends the run."""
        prediction = self.client.predict(self.biigle.file(image), self.model, **self.options)
        wanted = list(self._annotations(image, prediction.detections))
        if not wanted:
            return 0
        there = self.biigle.there(image)
        new = [one for one in wanted if (one["shape_id"], tuple(one["points"]), one["label_id"]) not in there]
        if new:
            put(new)
        return len(new)

    def _annotations(self, image: int, found: Iterable[Detection]) -> Iterator[dict[str, Any]]:
        for one in found:
            label = self._label(one.label)
            if label is None:
                self.passed_over[one.label] += 1
                continue
            shape, points = _shape(one)
            # BIIGLE takes no shape without an area.
            if len(set(zip(points[::2], points[1::2], strict=True))) >= (4 if shape == RECTANGLE else 3):
                known = {"image_id": image, "shape_id": shape, "label_id": label}
                yield {**known, "confidence": one.score, "points": points}

    def _label(self, name: str) -> int | None:
        if name in self.label_map:
            return self.label_map[name]
        numbers = sorted(self.named.get(name, ()))
        if len(numbers) > 1:
            raise ValueError(f"{name!r} is the name of {len(numbers)} labels, {numbers}: --label-map says which")
        return numbers[0] if numbers else None


CONCERNS_ONE = (UnusableImage, InvalidImage)


def _shape(one: Detection) -> tuple[int, list[float]]:
    """The outline of the largest piece of a mask, closed; or the corners of a box, rotated where it is."""
    if len(one.polygon) >= 3:
        return POLYGON, _flat([*one.polygon, one.polygon[0]])
    x1, y1, x2, y2 = one.box
    return RECTANGLE, _flat(one.corners or [(x1, y1), (x2, y1), (x2, y2), (x1, y2)])


def _flat(points: Iterable[tuple[float, float]]) -> list[float]:
    return [round(float(at), DECIMALS) for point in points for at in point]


def _number_of(members: Mapping[str, Any], name: str) -> int:
    """Of a thing that is there as `NAME_id`, or as `NAME` with its `id`."""
    number = members.get(f"{name}_id")
    return int(number if number is not None else (members.get(name) or {}).get("id", 0))


def _members(found: Any) -> dict[str, Any]:
    if isinstance(found, dict):
        return found
    if found == []:  # PHP's way to write an empty object
        return {}
    raise UnexpectedAnswer("BIIGLE answered no JSON object where it should have")


def _said(answer: httpx.Response) -> str:
    try:
        said = answer.json()
        return " ".join([str(said["message"]), *(str(one) for one in (said.get("errors") or {}).values())])
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.text[:200]
