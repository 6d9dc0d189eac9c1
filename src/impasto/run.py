"""The run: an iterator of events that paints a picture on the way."""

import dataclasses
import time
from collections.abc import Generator, Iterator

import torch

from impasto import backends, network, optimizers, resample, schedule
from impasto.errors import DeviceError, DivergedError, UsageError
from impasto.events import Event, Finished, ScaleStarted, Started, Stepped
from impasto.network import VGG
from impasto.objective import Evaluation, Objective
from impasto.optimizers import Optimizer
from impasto.picture import Picture
from impasto.recipe import LBFGS, Recipe
from impasto.scene import Scene
from impasto.types import Image


class Run:
    """One picture being painted.

    Iterating does the work; each event says how far it is. Not asking for the next event pauses the run, closing it or
    dropping it ends it, and `picture` gives what there is at any time.

    Args:
        scene: the pictures, the recipe and the device.

    """

    def __init__(self, scene: Scene) -> None:
        self.recipe = scene.recipe
        self.device = scene.device
        self.scales = scene.scales
        self.notes = scene.notes  # what a person should know about the pictures that were read
        self._scene = scene
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
    def expected_memory(self) -> int | None:
        """Bytes of main memory the process will use at its peak; None on devices where this was not measured."""
        if self.device.type != "cpu":
            return None
        height, width = self._scene.canvas_size(self.scales[-1])
        optimizer, steps = self.recipe.optimizer, self.scales[-1].steps
        history = min(optimizer.history, steps) if isinstance(optimizer, LBFGS) else 2
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
        # A free image is clipped when it is looked at.
        image = resample.without_margin(self._image, self._margin).float().cpu().clamp(0, 1)
        alpha = self._scene.content.alpha
        if alpha is not None:
            alpha = resample.resize(torch.from_numpy(alpha)[None, None], *image.shape[2:])[0, 0].numpy()
        return dataclasses.replace(
            self._scene.content, pixels=image[0].contiguous().numpy(), alpha=alpha, source="memory", notes=()
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
        vgg = load_network(self.recipe, self.device)
        optimizer = optimizers.build(self.recipe.optimizer, projected=self.recipe.bounds == "projected")
        for index, scale in enumerate(self.scales):
            yield ScaleStarted(index, *scale)
            photo, styles = self._scene.photo(scale), self._scene.style_images(scale)
            objective = Objective(vgg, self.recipe, photo, styles)
            if self._image is None:
                image = self._scene.first_image(scale, photo, styles)
            else:
                image = self._scene.resized(self._image, *photo.shape[2:])
                optimizer.restart(*photo.shape[2:])
            # Together: a picture asked for between two events must not be cut by the other scale's margin.
            self._image, self._margin = image, self._scene.margin(scale)
            final = yield from self._descend(objective, optimizer, index, begun)
        steps = sum(scale.steps for scale in self.scales)
        yield Finished(final.loss, final.terms, steps, time.perf_counter() - begun)

    def _descend(
        self, objective: Objective, optimizer: Optimizer, index: int, begun: float
    ) -> Generator[Event, None, Evaluation]:
        """Go down from `self._image`, leave there the best image of the scale, and return what it was worth."""
        assert self._image is not None
        start = image = best = self._image
        first: Evaluation | None = None
        lowest: Evaluation | None = None
        known: Evaluation | None = None
        failures = 0
        steps = self.scales[index].steps
        for step in range(1, steps + 1):
            evaluation = known or objective.evaluate(image)
            if not evaluation.finite:
                failures += 1
                if failures > _RETRIES:
                    raise _diverged(failures)
                optimizer.slow_down()
                image, known = best, None
                continue
            first = first or evaluation
            if lowest is None or evaluation.loss < lowest.loss:
                best, lowest = image, evaluation
            self._image = image
            yield Stepped(index, step, steps, evaluation.loss, evaluation.terms, time.perf_counter() - begun)
            image, known = optimizer.step(image, evaluation, objective.evaluate)
        shown = optimizer.result(image)
        contenders = [(shown, known if shown is image else None), (best, lowest), (start, first)]
        settled = [_clipped(objective, *contender) for contender in contenders if contender[1] or contender[0] is shown]
        finite = [(picture, worth) for picture, worth in settled if worth.finite]
        if not finite:
            raise _diverged(failures)
        self._image, final = min(finite, key=lambda pair: pair[1].loss)
        return final


def evaluate(scene: Scene) -> Evaluation:
    """Return what the objective of a scene's last scale says of the picture that it starts from.

    Raises:
        UsageError: that picture has another aspect ratio than the photo.

    """
    scale = scene.scales[-1]
    start = scene.start
    assert start is not None
    fitted = schedule.fit(start.height, start.width, max(scale.height, scale.width))
    if max(abs(fitted[0] - scale.height), abs(fitted[1] - scale.width)) > 1:
        raise UsageError(
            f"{start.source}: is {start.width}x{start.height}, which is not the photo's aspect ratio "
            f"({scene.content.width}x{scene.content.height}); give a picture painted from that photo"
        )
    photo, styles = scene.photo(scale), scene.style_images(scale)
    objective = Objective(load_network(scene.recipe, scene.device), scene.recipe, photo, styles)
    return objective.evaluate(scene.on_canvas(start, scale), gradient=False)


def load_network(recipe: Recipe, device: torch.device) -> VGG:
    """Return the network that `recipe` asks for.

    Raises:
        WeightsError: its weights are missing or damaged.

    """
    vgg = network.load(recipe.network, pooling=recipe.pooling, padding=recipe.padding, activity=recipe.activity)
    return vgg.to(device)


# Ours: enough to get past a chance overflow, few enough to end soon.
_RETRIES = 5


# Measured by scripts/bench: the default recipe's peak at 256, 512 and 1024 px, fitted; within 10 % of each.
_PROCESS_BYTES = 400e6
_BYTES_PER_PIXEL = 2960


def _clipped(objective: Objective, image: Image, known: Evaluation | None) -> tuple[Image, Evaluation]:
    """Return `image` as it will be saved, and what that is worth."""
    clipped = image.clamp(0, 1)
    if known is None or not torch.equal(clipped, image):
        known = objective.evaluate(clipped, gradient=False)
    return clipped, known


def _diverged(failures: int) -> DivergedError:
    return DivergedError(
        f"the loss or its gradient was not finite {failures} times, in spite of smaller and smaller steps; "
        "try lower weights, or the recipe 'default'"
    )
