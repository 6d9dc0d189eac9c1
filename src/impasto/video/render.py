"""The painting of a film: an iterator of events that paints one frame after the other."""

import dataclasses
import functools
import hashlib
import math
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from impasto import __version__
from impasto.engine.run import Run
from impasto.engine.scene import PreviousFrame
from impasto.errors import UsageError
from impasto.jobs.job import Job
from impasto.ops import color_transfer, resample
from impasto.ops.shapes import Image
from impasto.picture import as_picture
from impasto.recipe import presets, schedule
from impasto.system.digests import file_digest
from impasto.system.tables import Table
from impasto.video.clip import Clip, Shot
from impasto.video.events import FilmEvent, FilmFinished, FilmStarted, FramePainted
from impasto.video.flow import Motion, motion
from impasto.video.frames import FrameStore, of_pixels
from impasto.video.settings import FilmSettings
from impasto.video.warp_error import WarpError

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Frame:
    """A frame of the clip and its painting, (H, W, 3) sRGB each, of the film's size."""

    source: Pixels
    painted: Pixels


@dataclass(frozen=True)
class Past:
    """The earlier frames as far as they show the present one.

    Attributes:
        motion: to the frame before.
        image: (1, 3, H, W) each pixel from the latest frame that shows it; where none does, the frame of the clip,
            recoloured like the painting before.
        reliable: (H, W) 1 where one of them shows the pixel, else 0.

    """

    motion: Motion
    image: Image
    reliable: NDArray[np.float32]


class VideoRun:
    """A film being painted.

    Iterating does the work. Not asking for the next event pauses it, closing it ends it. Painted frames are in the
    store, from which another `VideoRun` of the same film continues.

    Args:
        clip: to be painted.
        job: the styles, the recipe and how to compute; its photo is not used.
        settings: how a frame follows from those before it.
        until: seconds of the clip to paint; None for all.

    Raises:
        UsageError: the recipe recolours the finished picture, which would make the film flicker.

    """

    def __init__(self, clip: Clip, job: Job, settings: FilmSettings, until: float | None = None) -> None:
        recipe = presets.resolve(job.recipe)
        if recipe.colors == "content":
            raise UsageError("colors 'content' would flicker in a film; take 'match' or 'luminance'")
        self.clip = clip
        self.settings = settings
        self.shimmer = WarpError()
        self.painted = 0  # number of frames so far, with those of earlier runs
        self._until = until
        # Scaled to this size, then cut to even sides, which the encoders that every player supports need.
        self._scaled = schedule.scales(clip.height, clip.width, recipe)[-1]
        self.height, self.width = (max(2, side // 2 * 2) for side in self._scaled[:2])
        # The frames are resized before they are painted.
        self._recipe = recipe.replace(size="original")
        self._job = dataclasses.replace(job, recipe=self._recipe)
        self._recent: deque[Frame] = deque(maxlen=max(settings.lags))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the clip and the film's size."""
        height, width, _ = self._scaled
        if (height, width) == (self.height, self.width):
            return self.clip.notes
        cut = f"{width}x{height} becomes {self.width}x{self.height}: the encoder takes even sides only"
        return *self.clip.notes, cut

    @property
    def frames(self) -> int | None:
        """Number of frames to paint, approximately; None if the clip does not say."""
        if self._until is None:
            return self.clip.frames
        limit = math.ceil(self._until * self.clip.rate)
        return limit if self.clip.frames is None else min(limit, self.clip.frames)

    @functools.cached_property
    def identity(self) -> Table:
        """All that decides how the frames look, as plain values; not the device, which changes only the last digits."""
        clip = file_digest(self.clip.path)
        inputs = self._job.inputs
        return {
            "version": __version__,
            "clip": clip,
            "styles": [
                hashlib.sha256(as_picture(style.picture).pixels.tobytes()).hexdigest()
                for style in self._job.inputs.styles
            ],
            "weights": inputs.weights,
            "recipe": self._recipe.digest,
            "settings": self.settings.to_table(),
            "size": [self.height, self.width],
            "precision": self._job.compute.precision,
        }

    @property
    def opening_run(self) -> Run:
        """The run of the first frame of a scene, for its cost."""
        return self._make_run(np.zeros((self.height, self.width, 3), np.uint8), None)

    @property
    def following_run(self) -> Run:
        """The run of any other frame, for its cost."""
        black = np.zeros((self.height, self.width, 3), np.uint8)
        still = motion(black, black)
        return self._make_run(black, Past(still, _image(black), still.reliable))

    def shots(self) -> Iterator[Shot]:
        """Yield the clip's frames that are to be painted."""
        start = None
        for shot in self.clip.shots():
            start = shot.time if start is None else start
            if self._until is not None and shot.time - start >= self._until:
                return
            yield shot

    def paint(self, store: FrameStore) -> Generator[FilmEvent, None, None]:
        """Paint the frames that are not in the store yet, and add them to it.

        Raises:
            ImpastoError: the clip is damaged, or a frame cannot be painted or written.

        """
        started = time.perf_counter()
        scenes = 0
        yield FilmStarted(self.frames, self.height, self.width, self._job.compute.device)
        for shot in self.shots():
            filmed = self._resize(shot.pixels)
            past = self._compare_with_past(filmed)
            painted = store.frame(shot.index)
            is_kept = painted is not None and painted.shape == filmed.shape
            if painted is None or not is_kept:
                painted = self._paint_frame(filmed, past)
                store.keep(shot.index, painted)
            if past is not None:
                before = self._recent[-1]
                pairs = (painted, before.painted), (filmed, before.source)
                self.shimmer.add(past.motion, *((_image(frame), _image(then)) for frame, then in pairs))
            self._recent.append(Frame(filmed, painted))
            self.painted, scenes = shot.index + 1, scenes + (past is None)
            uncertain = 1.0 if past is None else 1 - float(past.reliable.mean())
            seconds = time.perf_counter() - started
            yield FramePainted(self.painted, float(shot.time), past is None, is_kept, uncertain, seconds)
        seconds = time.perf_counter() - started
        yield FilmFinished(self.painted, scenes, self.shimmer.of_painted, self.shimmer.of_filmed, seconds)

    def _resize(self, pixels: Pixels) -> Pixels:
        """Return a frame at the film's size."""
        height, width = max(self.height, self._scaled.height), max(self.width, self._scaled.width)
        image = resample.resize(_image(pixels), height, width)[:, :, : self.height, : self.width]
        return _pixels(image)

    def _compare_with_past(self, filmed: Pixels) -> Past | None:
        """Return what earlier frames show of a frame; None if it begins a scene."""
        if not self._recent:
            return None
        nearest = motion(filmed, self._recent[-1].source)
        if nearest.lost > self.settings.cut:
            self._recent.clear()
            return None
        before = _image(self._recent[-1].painted)
        # Content warped to a wrong place would stay: the few steps of one frame do not paint over it.
        fresh = color_transfer.recolor(
            _image(filmed), color_transfer.palette([(before, 1.0, None)]), self._recipe.color_match
        )
        image = fresh.lerp(nearest.warp(before), torch.from_numpy(nearest.seen))
        reliable = nearest.reliable
        for lag in self.settings.lags[1:]:
            if lag > len(self._recent):
                break
            frame = self._recent[-lag]
            vectors = motion(filmed, frame.source)
            # Ruder et al. 2016, long-term consistency: each pixel is taken from the latest frame that shows it.
            share = np.minimum(vectors.reliable, 1 - reliable)
            image = image.lerp(vectors.warp(_image(frame.painted)), torch.from_numpy(share))
            reliable = reliable + share
        return Past(nearest, image, reliable)

    def _paint_frame(self, filmed: Pixels, past: Past | None) -> Pixels:
        run = self._make_run(filmed, past)
        for _ in run:
            pass
        return run.picture().to_numpy()

    def _make_run(self, filmed: Pixels, past: Past | None) -> Run:
        content = of_pixels(filmed)
        inputs = dataclasses.replace(self._job.inputs, photo=content)
        if past is None:
            return dataclasses.replace(self._job, inputs=inputs).start()
        before = dataclasses.replace(content, pixels=past.image[0].numpy())
        return dataclasses.replace(
            self._job,
            inputs=dataclasses.replace(inputs, start=before),
            recipe=self._recipe.replace(start_size="final", steps=(self.settings.frame_steps,)),
            previous_frame=PreviousFrame(before, past.reliable, self.settings.temporal_weight),
        ).start()


def _image(pixels: Pixels) -> Image:
    return torch.from_numpy(of_pixels(pixels).pixels)[None]


def _pixels(image: Image) -> Pixels:
    return (image[0].permute(1, 2, 0) * 255).round().to(torch.uint8).contiguous().numpy()
