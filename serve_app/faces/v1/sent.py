"""What a client sent: images and options, by the content type of the body."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from starlette.exceptions import HTTPException

from deployments.byte_budget import HeldBytes
from deployments.errors import InvalidImage, InvalidRequest, ServingError
from serve_app.bodies.forms import MAX_FIELD_BYTES
from serve_app.bodies.json_bodies import read_bounded
from serve_app.bodies.uploads import field_text, form_parts
from serve_app.faces.v1 import options
from serve_app.faces.v1.json_body import read_json
from serve_app.fetching.fetcher import ImageFetcher
from serve_app.fetching.web_address import file_name_of

MAX_IMAGES = 32
"""Of one request."""

MAX_PARTS = 2 * MAX_IMAGES
"""Of a form: as many fields as images."""

IMAGE_PARTS = ("image", "file")

READ = "multipart/form-data, application/json, image/*, application/octet-stream"
"""The content types of a body, as the header Accept of a 415 says them."""


@dataclass(frozen=True, slots=True)
class SentImage:
    """One image file. name: as the client called it. url: where it is fetched from; content is empty until then."""

    content: bytes
    name: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """images: 1 to MAX_IMAGES, none of them empty but those that are still to be fetched."""

    images: Sequence[SentImage]
    given: options.Given


async def read_sent(content_type: str, body: bytes, held: HeldBytes) -> Sent:
    """Images and options of a body. Raises InvalidRequest, InvalidImage, HTTPException (415), and what
    `HeldBytes.grow` raises."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        return _of_form(content_type, body)
    if media_type == "application/json":
        return await _of_json(body, held)
    if media_type in ("", "application/octet-stream") or media_type.startswith("image/"):
        if not body:
            raise InvalidImage("the body is empty; it must be an image file, a form or JSON")
        return Sent([SentImage(body)], {})
    raise HTTPException(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"content-type {content_type[:100]!r} is not read; it must be one of {READ}",
        {"Accept": READ},
    )


async def fetched(
    images: Sequence[SentImage], fetcher: ImageFetcher, held: HeldBytes, ends_at_s: float
) -> Sequence[SentImage]:
    """The same images, with the contents of those that are given as addresses. ends_at_s: on the clock of the event
    loop. Raises what `ImageFetcher.fetch` raises, of the first that fails; the others are given up then."""
    if all(image.url is None for image in images):
        return images

    async def whole(number: int, image: SentImage) -> SentImage:
        if image.url is None:
            return image
        try:
            content = await fetcher.fetch(image.url, held, ends_at_s)
        except ServingError as error:
            raise type(error)(f"image {number}: {error.message}") from None
        return SentImage(content, file_name_of(image.url))

    try:
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(whole(number, image)) for number, image in enumerate(images, start=1)]
    except* ServingError as errors:
        first = errors.exceptions[0]
    else:
        return [task.result() for task in asked]
    raise first


async def _of_json(body: bytes, held: HeldBytes) -> Sent:
    files, given = await read_bounded(lambda text: read_json(text, MAX_IMAGES), body, held)
    return Sent([SentImage(b"", url=file) if isinstance(file, str) else SentImage(file) for file in files], given)


def _of_form(content_type: str, body: bytes) -> Sent:
    images: list[SentImage] = []
    fields: list[tuple[str, str]] = []
    for part in form_parts(content_type, body, IMAGE_PARTS[0], MAX_PARTS):
        if part.name in IMAGE_PARTS:
            if not part.content:
                raise InvalidImage(f"the part {part.name!r} is empty (image {len(images) + 1})")
            images.append(SentImage(part.content, part.file_name))
        elif part.name in options.NAMES:
            fields.append((part.name, field_text(part, MAX_FIELD_BYTES)))
        else:
            known = options.NAMES | set(IMAGE_PARTS)
            raise options.unknown("field", part.name, known)
    if not 1 <= len(images) <= MAX_IMAGES:
        raise InvalidRequest(f"the form has {len(images)} parts named image or file, it must have 1 to {MAX_IMAGES}")
    return Sent(images, options.from_texts(fields))
