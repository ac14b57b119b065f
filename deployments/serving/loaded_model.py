"""The work of one loaded model on one image. Each step runs in a thread and touches nothing but its image."""

import logging
import time
from typing import Any

from deployments.classes.score_threshold import named_in
from deployments.definition import ModelDefinition, ModelKnobs
from deployments.errors import DeadlineExceeded, InvalidRequest
from deployments.families.contract import Family, Thresholds, score_floors
from deployments.logs import OWN_LOGGER
from deployments.prediction import Prediction, Result, Timings
from deployments.request import Options
from deployments.serving.decoding import Decoding
from deployments.serving.known_classes import KnownClasses
from deployments.serving.request_state import BatchedImage, CutImage, MustWait, PreparedImage, Received
from deployments.serving.tiling.tiles import Tile, cut_into_regions, cut_into_tiles

logger = logging.getLogger(OWN_LOGGER)


class LoadedModel:
    """knobs: may be changed at any time; classes in them that the model lacks are told in the log.

    Raises ModelUnavailable when the model has too many classes.
    """

    def __init__(self, name: str, definition: ModelDefinition, family: Family[Any]) -> None:
        self.name = name
        self.family = family
        self._knobs = ModelKnobs()
        self._definition = definition
        self._classes = KnownClasses(family.labels)

    @property
    def knobs(self) -> ModelKnobs:
        """The live knobs."""
        return self._knobs

    @knobs.setter
    def knobs(self, knobs: ModelKnobs) -> None:
        try:
            self._classes.check(named_in(knobs.score_threshold), "user_config.score_threshold")
        except InvalidRequest as error:
            # Not an error: it would end a model that serves.
            logger.warning("%s; for the other classes it counts", error.message)
        self._knobs = knobs

    @property
    def batch_limit(self) -> int:
        """Images of a batch at most."""
        largest = self._definition.largest_batch
        return min(self.knobs.batch_limit or largest, largest)

    def prepare(self, received: Received, decoding: Decoding) -> PreparedImage | CutImage | MustWait:
        """Decodes and preprocesses. Raises InvalidRequest, with InvalidImage and ImageTooLarge, for what is wrong
        with the request, and DeadlineExceeded when nobody waits for it any more."""
        started_at_s = time.monotonic()
        if started_at_s >= received.expires_at_s:
            raise DeadlineExceeded("the time was over before the image was decoded")
        options = received.request.options
        self._classes.check(options.classes)
        self._classes.check(named_in(options.score_threshold), "score_threshold")
        with received.room.in_thread():
            pixels = decoding.pixels(received)
            if isinstance(pixels, MustWait):
                return pixels
            size_px = pixels.shape[0], pixels.shape[1]
            tiles = self._tiles(options, size_px)
            if len(tiles) > 1 or options.regions is not None:
                received.room.keep(pixels)
                return CutImage(received, size_px, time.monotonic() - started_at_s, tiles)
            prepared = self.family.preprocess(pixels)
        return PreparedImage(received, size_px, time.monotonic() - started_at_s, prepared)

    def finish(self, inferred: BatchedImage) -> None:
        """Postprocesses, and ends the request with its prediction."""
        image, batched = inferred.image, inferred.batched
        started_at_s = time.monotonic()
        thresholds = self.thresholds(image.received.request.options)
        result = self.family.postprocess(batched.result, image.prepared.geometry, thresholds)
        timings = Timings(
            decode_s=image.decode_s,
            wait_s=batched.wait_s,
            inference_s=batched.run_s,
            postprocess_s=time.monotonic() - started_at_s,
            batch_size=batched.batch_size,
        )
        inferred.end(self.prediction(image, result, timings))

    def prediction(self, image: PreparedImage | CutImage, result: Result, timings: Timings) -> Prediction:
        """What this model answers for `image`."""
        return Prediction(result, image.size_px, self.name, self._definition.revision, timings)

    def thresholds(self, options: Options) -> Thresholds:
        """Those of the request and, where it says nothing, of the live knobs."""
        knobs = self.knobs
        iou, most = options.iou_threshold, options.max_detections
        return Thresholds(
            score_threshold=score_floors(self.family.labels, options.score_threshold, knobs.score_threshold),
            iou_threshold=knobs.iou_threshold if iou is None else iou,
            max_detections=knobs.max_detections if most is None else most,
            classes=options.classes,
        )

    def _tiles(self, options: Options, size_px: tuple[int, int]) -> tuple[Tile, ...]:
        tiling = options.tiling or self.knobs.tiling
        if tiling == "off":
            tiling = None
        if options.regions is not None:
            tiles = cut_into_regions(size_px, options.regions, tiling, self.family.input_px)
        elif tiling is not None:
            tiles = cut_into_tiles(size_px, tiling, self.family.input_px)
        else:
            return ()
        most = self.knobs.max_waiting_images
        if len(tiles) > most:
            raise InvalidRequest(
                f"tiling: the image is cut into {len(tiles)} pieces, and {self.name} takes at most {most} images "
                f"at once (max_waiting_images); use larger tiles"
            )
        return tiles
