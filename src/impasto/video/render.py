"""The loop of a film: an iterator of events that paints a frame after the other, and remembers only a few."""

import dataclasses
import functools
import hashlib
import math
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

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
from impasto.video.clip import Clip, Shot
from impasto.video.events import FilmEvent, FilmFinished, FilmStarted, FramePainted
from impasto.video.flow import Motion, motion
from impasto.video.frames import FrameStore, of_pixels
from impasto.video.settings import FilmSettings
from impasto.video.warp_error import WarpError

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Frame:
    """A frame as it was filmed and as it was painted, (H, W, 3) sRGB each, of the film's size."""

    source: Pixels
    painted: Pixels


@dataclass(frozen=True)
class Past:
    """What the frames before show of the present one, as far as they do.

    Attributes:
        motion: to the frame before.
        image: (1, 3, H, W) each pixel from the latest frame in which it was in sight; where it was in none, as it was
            filmed, in the colours that the frame before is painted in.
        certain: (H, W) 1 where it was in one of them, 0 elsewhere.

    """

    motion: Motion
    image: Image
    reliable: NDArray[np.float32]


class VideoRun:
    """A film being painted.

    Iterating does the work. Not asking for the next event pauses it, closing it ends it; what is painted is in the
    ledger, and another `Filming` of the same goes on from there.

    Args:
        clip: what was filmed.
        job: the styles and how each frame is painted; its content is none of them.
        settings: how a frame follows from those before it.
        until: seconds of the clip to be painted; all of it if None.

    Raises:
        UsageError: the recipe gives the finished picture colours of its own, which would flicker.

    """

    def __init__(self, clip: Clip, job: Job, settings: FilmSettings, until: float | None = None) -> None:
        recipe = presets.resolve(job.recipe)
        if recipe.colors == "content":
            raise UsageError("colors 'content' would flicker in a film; take 'match' or 'luminance'")
        self.clip = clip
        self.settings = settings
        self.shimmer = WarpError()
        self.painted = 0  # frames, so far, with those that were there before
        self._until = until
        # Scaled to this, and cut to whole pairs of pixels: the encoders that every player knows want them.
        self._scaled = schedule.scales(clip.height, clip.width, recipe)[-1]
        self.height, self.width = (max(2, side // 2 * 2) for side in self._scaled[:2])
        # The frames come at the film's size.
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
        """How many frames there are to paint, about; None if the clip does not say."""
        if self._until is None:
            return self.clip.frames
        limit = math.ceil(self._until * self.clip.rate)
        return limit if self.clip.frames is None else min(limit, self.clip.frames)

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """All that decides what the frames look like, as plain values; the device counts for little, and not here."""
        with self.clip.path.open("rb") as file:
            clip = hashlib.file_digest(file, "sha256").hexdigest()
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
        """The run of a scene's first frame, to ask what it takes."""
        return self._make_run(np.zeros((self.height, self.width, 3), np.uint8), None)

    @property
    def following_run(self) -> Run:
        """The run of every other frame, to ask what it takes."""
        black = np.zeros((self.height, self.width, 3), np.uint8)
        still = motion(black, black)
        return self._make_run(black, Past(still, _image(black), still.reliable))

    def shots(self) -> Iterator[Shot]:
        """Yield the frames that are to be painted, as they were filmed."""
        start = None
        for shot in self.clip.shots():
            start = shot.time if start is None else start
            if self._until is not None and shot.time - start >= self._until:
                return
            yield shot

    def paint(self, ledger: FrameStore) -> Generator[FilmEvent, None, None]:
        """Paint what is not in the ledger yet, and put it there.

        Raises:
            ImpastoError: the clip is damaged, or a frame cannot be painted or kept.

        """
        started = time.perf_counter()
        scenes = 0
        yield FilmStarted(self.frames, self.height, self.width, self._job.compute.device)
        for shot in self.shots():
            filmed = self._resize(shot.pixels)
            past = self._compare_with_past(filmed)
            painted = ledger.frame(shot.index)
            is_kept = painted is not None and painted.shape == filmed.shape
            if painted is None or not is_kept:
                painted = self._paint_frame(filmed, past)
                ledger.keep(shot.index, painted)
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
        """Return what is known of a frame from those before it; None if a scene begins with it."""
        if not self._recent:
            return None
        nearest = motion(filmed, self._recent[-1].source)
        if nearest.lost > self.settings.cut:
            self._recent.clear()
            return None
        before = _image(self._recent[-1].painted)
        # What was moved from elsewhere would stay: the steps of one frame are too few to paint it over.
        fresh = color_transfer.recolor(
            _image(filmed), color_transfer.palette([(before, 1.0, None)]), self._recipe.color_match
        )
        image = fresh.lerp(nearest.warp(before), torch.from_numpy(nearest.seen))
        certain = nearest.reliable
        for lag in self.settings.lags[1:]:
            if lag > len(self._recent):
                break
            frame = self._recent[-lag]
            vectors = motion(filmed, frame.source)
            # Ruder et al. 2016, long-term consistency: a pixel counts for the latest frame in which it was in sight.
            share = np.minimum(vectors.reliable, 1 - certain)
            image = image.lerp(vectors.warp(_image(frame.painted)), torch.from_numpy(share))
            certain = certain + share
        return Past(nearest, image, certain)

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
