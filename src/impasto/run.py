"""The run: an iterator of events that paints a picture on the way."""

import dataclasses
import time
from collections.abc import Generator, Iterator, Sequence

import numpy as np
import torch

from impasto import backends, color, init, network, optimizers, resample, schedule
from impasto.errors import DeviceError, DivergedError, UsageError
from impasto.events import Event, Finished, ScaleStarted, Started, Stepped
from impasto.moments import blend, moments
from impasto.objective import Evaluation, Objective
from impasto.optimizers import Optimizer
from impasto.picture import Picture
from impasto.recipe import LBFGS, Recipe
from impasto.schedule import Scale
from impasto.types import Image


class Run:
    """One picture being painted.

    Iterating does the work; each event says how far it is. Not asking for the next event pauses the run, closing it or
    dropping it ends it, and `picture` gives what there is at any time.

    Args:
        content: the photo.
        styles: the style pictures and their weights, which need not sum to 1.
        recipe: how to paint.
        device: where.
        start: a picture to start from instead of what `recipe.init` says.

    """

    def __init__(
        self,
        content: Picture,
        styles: Sequence[tuple[Picture, float]],
        recipe: Recipe,
        device: torch.device,
        start: Picture | None = None,
    ) -> None:
        self.recipe = recipe
        self.device = device
        self.scales = schedule.scales(content.height, content.width, recipe)
        self._content = content
        self._styles = styles
        self._start = start
        self._image: Image | None = None  # with its margin, on the device
        self._margin = 0
        self._events = self._within_memory(self._paint())

    def __iter__(self) -> Iterator[Event]:
        """Return the events; they can be gone through once."""
        return self._events

    def close(self) -> None:
        """End the run; `picture` still gives what there is."""
        self._events.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about the pictures that were read."""
        pictures = [self._content, *(style for style, _ in self._styles)]
        return tuple(f"{picture.source}: {note}" for picture in pictures for note in picture.notes)

    @property
    def expected_memory(self) -> int | None:
        """Bytes of main memory the process will use at its peak; None on devices where this was not measured."""
        if self.device.type != "cpu":
            return None
        height, width = _canvas_size(self.scales[-1], self._margin_of(self.scales[-1]))
        history = self.recipe.optimizer.history if isinstance(self.recipe.optimizer, LBFGS) else 2
        # A pair of L-BFGS is two images of three float32 channels; Adam's two moments are about as much as one.
        return round(_PROCESS_BYTES + height * width * (_BYTES_PER_PIXEL + 24 * history))

    @property
    def begun(self) -> bool:
        """Whether there is a picture to ask for: true from the first `Stepped` on."""
        return self._image is not None

    def picture(self) -> Picture:
        """Return what is painted so far, at the scale it has reached, with the photo's transparency.

        Raises:
            UsageError: nothing has been painted yet.

        """
        if self._image is None:
            raise UsageError("nothing has been painted yet; ask for the picture after the first Stepped event")
        image = resample.without_margin(self._image, self._margin).float().cpu()
        alpha = self._content.alpha
        if alpha is not None:
            alpha = resample.resize(torch.from_numpy(alpha)[None, None], *image.shape[2:])[0, 0].numpy()
        return dataclasses.replace(
            self._content, pixels=image[0].contiguous().numpy(), alpha=alpha, source="memory", notes=()
        )

    def _within_memory(self, events: Generator[Event, None, None]) -> Generator[Event, None, None]:
        """Pass `events` on; where memory runs out, say so and what to do."""
        scale = self.scales[0]
        try:
            for event in events:
                if isinstance(event, ScaleStarted):
                    scale = self.scales[event.scale]
                yield event
        except (RuntimeError, MemoryError) as error:
            if not backends.is_out_of_memory(error):
                raise
            raise DeviceError(
                f"not enough memory on {self.device} for {scale.width}x{scale.height}; "
                f"choose a --size under {max(scale.height, scale.width)}, or another device"
            ) from error

    def _paint(self) -> Generator[Event, None, None]:
        begun = time.perf_counter()
        yield Started(self.scales, str(self.device), self.recipe.digest)
        vgg = network.load(self.recipe.network, pooling=self.recipe.pooling, padding=self.recipe.padding)
        vgg = vgg.to(self.device)
        optimizer = optimizers.build(self.recipe.optimizer)
        for index, scale in enumerate(self.scales):
            yield ScaleStarted(index, *scale)
            margin = self._margin_of(scale)
            height, width = _canvas_size(scale, margin)
            content = self._canvas(self._content, height, width)
            styles = [(self._style(picture, scale), weight) for picture, weight in self._styles]
            objective = Objective(vgg, self.recipe, content, styles)
            if self._image is None:
                image = self._first_image(content, styles)
            else:
                image = resample.resize(self._image, height, width)
                optimizer.restart(height, width)
            # Together: a picture asked for between two events must not be cut by the other scale's margin.
            self._image, self._margin = image, margin
            final = yield from self._descend(objective, optimizer, index, begun)
        steps = sum(scale.steps for scale in self.scales)
        yield Finished(final.loss, final.terms, steps, time.perf_counter() - begun)

    def _descend(
        self, objective: Objective, optimizer: Optimizer, index: int, begun: float
    ) -> Generator[Event, None, Evaluation]:
        """Go down from `self._image`, leave there the best image of the scale, and return what it was worth."""
        assert self._image is not None
        image = best = self._image
        lowest: Evaluation | None = None
        failures = 0
        steps = self.scales[index].steps
        for step in range(1, steps + 1):
            evaluation = objective.evaluate(image)
            gradient = evaluation.gradient
            if gradient is None or not evaluation.finite:
                failures += 1
                if failures > _RETRIES:
                    raise _diverged(failures)
                optimizer.slow_down()
                image = best
                continue
            if lowest is None or evaluation.loss < lowest.loss:
                best, lowest = image, evaluation
            self._image = image
            yield Stepped(index, step, steps, evaluation.loss, evaluation.terms, time.perf_counter() - begun)
            image = optimizer.step(image, gradient)
        self._image = optimizer.result(image)
        last = objective.evaluate(self._image, gradient=False)
        if lowest is None and not last.finite:
            raise _diverged(failures)
        if lowest is None or last.loss <= lowest.loss:
            return last
        self._image = best
        return lowest

    def _margin_of(self, scale: Scale) -> int:
        return round(self.recipe.margin * max(scale.height, scale.width))

    def _canvas(self, picture: Picture, height: int, width: int) -> Image:
        """Return a picture of the photo's frame, with the margin mirrored around it, at the size given."""
        margin = round(self.recipe.margin * max(picture.height, picture.width))
        return resample.resize(resample.with_margin(self._tensor(picture), margin), height, width)

    def _style(self, picture: Picture, scale: Scale) -> Image:
        """Return a style picture with as many pixels as the result, times the square of its scale."""
        area = scale.height * scale.width * self.recipe.style_scale**2
        return resample.resize(self._tensor(picture), *schedule.fit_area(picture.height, picture.width, area))

    def _first_image(self, content: Image, styles: Sequence[tuple[Image, float]]) -> Image:
        height, width = content.shape[2:]
        if self._start is not None:
            return self._canvas(self._start, height, width)
        if self.recipe.init == "content":
            return content
        # Colours are matched on the CPU: it is quick, and MPS has no float64.
        colors = blend((moments(style.cpu()), weight) for style, weight in styles)
        match self.recipe.init:
            case "noise":
                image = init.noise(height, width, self.recipe.seed)
            case "style":
                image = init.style_noise(colors, height, width, self.recipe.seed)
            case "matched":
                image = color.match(content.cpu(), colors)
        return image.to(self.device)

    def _tensor(self, picture: Picture) -> Image:
        return torch.from_numpy(np.ascontiguousarray(picture.pixels))[None].to(self.device)


# Ours: enough to get past a chance overflow, few enough to end soon.
_RETRIES = 5


def _canvas_size(scale: Scale, margin: int) -> tuple[int, int]:
    return scale.height + 2 * margin, scale.width + 2 * margin


# Measured by scripts/bench: the default recipe's peak at 256, 512 and 1024 px, fitted; within 10 % of each.
_PROCESS_BYTES = 400e6
_BYTES_PER_PIXEL = 2960


def _diverged(failures: int) -> DivergedError:
    return DivergedError(
        f"the loss or its gradient was not finite {failures} times, in spite of smaller and smaller steps; "
        "try lower weights, or the recipe 'default'"
    )
