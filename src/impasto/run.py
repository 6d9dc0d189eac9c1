"""The run: an iterator of events that paints a picture on the way."""

import contextlib
import dataclasses
import functools
import gc
import time
from collections.abc import Generator, Iterator, Sequence

import torch

from impasto import backends, layers, network, optimizers, planning, resample, schedule
from impasto.backends import Precision
from impasto.caching import Cache
from impasto.descent import Descent
from impasto.errors import DeviceError, DivergedError, UsageError
from impasto.events import Adapted, Event, Finished, ScaleStarted, Started, Stepped
from impasto.network import VGG
from impasto.objective import Evaluation, Objective
from impasto.optimizers import Optimizer
from impasto.picture import Picture
from impasto.planning import Canvas, Plan
from impasto.recipe import LBFGS, Recipe
from impasto.scene import Scene
from impasto.schedule import Scale
from impasto.types import Image


class Run:
    """One picture being painted.

    Iterating does the work; each event says how far it is. Not asking for the next event pauses the run, closing it or
    dropping it ends it, and `picture` gives what there is at any time.

    Args:
        scene: the pictures, the recipe and the device.
        others: further devices that share the tiles of a picture computed in tiles.
        max_memory: bytes of the device's memory, or for the CPU of the process, to make do with; what is there if None.
        precision: see `backends.dtype`.

    """

    def __init__(
        self,
        scene: Scene,
        *,
        others: Sequence[torch.device] = (),
        max_memory: int | None = None,
        precision: Precision = "auto",
    ) -> None:
        self.recipe = scene.recipe
        self.device = scene.device
        self.scales = scene.scales
        self.notes = scene.notes  # what a person should know about the pictures that were read
        self._scene = scene
        self._devices = (scene.device, *others)
        self._limit = max_memory
        self._precision = precision
        self._dtype = backends.dtype(precision, scene.device)
        self._optimizer: Optimizer | None = None
        self._image: Image | None = None  # with its margin, on the device
        self._present: Scale = scene.scales[0]
        self._done = 0  # steps of the present scale
        self._finished = False
        self._events = self._paint()

    def __iter__(self) -> Iterator[Event]:
        """Return the events; they can be gone through once."""
        return self._events

    def close(self) -> None:
        """End the run; `picture` still gives what there is."""
        self._events.close()

    @functools.cached_property
    def plans(self) -> tuple[Plan, ...]:
        """How each scale is computed, within the memory there is or what was asked to make do with.

        Raises:
            DeviceError: there is no way; the message says what size would fit.

        """
        limit = self._limit or backends.available_memory(self.device)
        found = self._planned(self._scene, limit)
        if found is None:
            assert limit is not None
            raise self._refusal(limit)
        return found

    @property
    def expected_memory(self) -> int | None:
        """Bytes of main memory the process will use at its peak; None on devices where this was not measured."""
        return max(plan.memory for plan in self.plans) if self.device.type == "cpu" else None

    @property
    def expected_seconds(self) -> float | None:
        """Seconds that the steps will take; None on devices where this was not measured."""
        if self.device.type != "cpu":
            return None
        pairs = zip(self.scales, self.plans, strict=True)
        return sum(planning.seconds(self.recipe, self._canvas(self._scene, scale), plan) for scale, plan in pairs)

    def _planned(self, scene: Scene, limit: int | None) -> tuple[Plan, ...] | None:
        """Return the plans of `scene`, which need not be that of this run; None if one of its scales fits in no way."""
        plans = [planning.choose(scene.recipe, self._canvas(scene, scale), limit) for scale in scene.scales]
        return tuple(plan for plan in plans if plan) if all(plans) else None

    def _refusal(self, limit: int) -> DeviceError:
        """Return the error for a run that fits in no way, with the largest size that would."""
        recipe, largest = self.recipe, self._canvas(self._scene, self.scales[-1])
        full = max(self.scales[-1].height, self.scales[-1].width) if recipe.size == "original" else recipe.size
        smaller = (
            size
            for size in range(full - 16, 15, -16)
            if self._planned(dataclasses.replace(self._scene, recipe=recipe.replace(size=size)), limit)
        )
        fits = next(smaller, None)
        return DeviceError(
            f"not enough memory: {largest.width}x{largest.height} needs about "
            f"{planning.least_memory(recipe, largest) / 1e9:.1f} GB at the least, and there are {limit / 1e9:.1f} GB; "
            f"{f'choose a --size up to about {fits}' if fits else 'no size fits'}, or say otherwise with --max-memory"
        )

    def _canvas(self, scene: Scene, scale: Scale) -> Canvas:
        banded = self.device.type == "cpu" and layers.planar() and not scene.divided
        style = scene.style_pixels(scale)
        return Canvas(*scene.canvas_size(scale), style, scale.steps, self._dtype.itemsize, banded)

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
        image = self._scene.finished(self._image, self._present).float().cpu().clamp(0, 1)
        alpha = self._scene.content.alpha
        if alpha is not None:
            alpha = resample.resize(torch.from_numpy(alpha)[None, None], *image.shape[2:])[0, 0].numpy()
        return dataclasses.replace(
            self._scene.content,
            pixels=image[0].contiguous().numpy(),
            alpha=alpha,
            source="memory",
            sha256=None,
            remembered=self._scene.remembered(image.shape[3], image.shape[2], finished=self._finished),
            notes=(),
        )

    def _paint(self) -> Generator[Event, None, None]:
        begun = time.perf_counter()
        plans = self.plans
        yield Started(self.scales, str(self.device), self.recipe.digest)
        networks = [load_network(self.recipe, device, self._dtype) for device in self._devices]
        final: Evaluation | None = None
        exact = self._precision == "float32"
        # What is kept is not always used again: not where every byte is counted.
        kept = backends.memory_kept(self.device) if self._limit is None else contextlib.nullcontext()
        with kept, backends.arithmetic(self.device, exact=exact):
            for index, scale in enumerate(self.scales):
                yield ScaleStarted(index, *scale)
                self._prepare(plans[index])
                self._done = 0
                final = yield from self._within_memory(index, networks, begun)
        assert final is not None
        self._finished = True
        steps = sum(scale.steps for scale in self.scales)
        yield Finished(final.loss, final.terms, steps, time.perf_counter() - begun)

    def _prepare(self, plan: Plan) -> None:
        """Have an optimiser as `plan` says; one that fits already keeps what it knows."""
        settings = self.recipe.optimizer
        if isinstance(settings, LBFGS):
            settings = dataclasses.replace(settings, history=max(1, plan.history))
        if self._optimizer is None or settings != self._optimizer.settings:
            self._optimizer = optimizers.build(settings, projected=self.recipe.bounds == "projected")

    def _within_memory(self, index: int, networks: list[VGG], begun: float) -> Generator[Event, None, Evaluation]:
        """Paint a scale; where memory runs out in spite of the plan, go on from there in a way that takes less."""
        scale, plan = self.scales[index], self.plans[index]
        while True:
            try:
                return (yield from self._scale(index, plan, networks, begun))
            except (RuntimeError, MemoryError) as error:
                if not backends.is_out_of_memory(error):
                    raise
                smaller = planning.below(self.recipe, self._canvas(self._scene, scale), plan)
                if smaller is None:
                    raise DeviceError(
                        f"not enough memory on {self.device} for {scale.width}x{scale.height}; "
                        f"choose a --size under {max(scale.height, scale.width)}, or another device"
                    ) from error
                plan = smaller
            # Only out here has the error let go of what was computed.
            self._optimizer = None
            gc.collect()
            self._prepare(plan)
            yield Adapted(index, plan.tile, plan.history)

    def _scale(self, index: int, plan: Plan, networks: list[VGG], begun: float) -> Generator[Event, None, Evaluation]:
        assert self._optimizer is not None
        scale = self.scales[index]
        photo, styles, regions = self._scene.photo(scale), self._scene.style_images(scale), self._scene.regions(scale)
        kept = self._scene.kept(scale)
        objective = Objective(networks, self.recipe, photo, styles, plan.tile, regions=regions, kept=kept)
        if self._image is None:
            image = self._scene.first_image(scale, photo, styles, regions)
        elif self._done == 0:
            image = self._scene.next_image(self._image, photo, styles, regions)
            self._optimizer.restart(*photo.shape[2:])
        else:
            image = self._image
        # They have said what they had to say, and take memory.
        del photo, styles, regions, kept
        # Together: a picture asked for between two events must not be cut by the other scale's margin.
        self._image, self._present = image, scale
        del image
        return (yield from self._descend(objective, index, begun))

    def _descend(self, objective: Objective, index: int, begun: float) -> Generator[Event, None, Evaluation]:
        """Go down from `self._image`, leave there the best image of the scale, and return what it was worth."""
        assert self._image is not None
        assert self._optimizer is not None
        # A free image may be worth less clipped than what it started from; a projected one is never above its start.
        start = self._image if self.recipe.bounds == "free" else None
        first: Evaluation | None = None
        steps = self.scales[index].steps
        failures = 0
        while self._done < steps:
            descent = Descent(objective, self._optimizer, self._image, steps - self._done)
            try:
                for found in descent.go(backends.burst(self.device)):
                    self._image = descent.image
                    if found is None:
                        break
                    self._done += 1
                    first = first or found
                    yield Stepped(index, self._done, steps, found.loss, found.terms, time.perf_counter() - begun)
                else:
                    contenders = [descent.after(), (descent.best, descent.lowest), (start, first)]
                    self._image = descent.best
                    break
            except (RuntimeError, MemoryError):
                # Where memory ran out, it goes on from here.
                self._image = descent.best
                raise
            failures += 1
            if failures > _RETRIES:
                raise _diverged(failures)
            self._optimizer.slow_down()
            self._image = descent.best
        else:
            # Memory ran out after the last step.
            contenders = [(self._image, None)]
        settled = [_clipped(objective, image, known) for image, known in contenders if image is not None]
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
    network = load_network(scene.recipe, scene.device)
    photo, styles, regions, kept = (
        scene.photo(scale),
        scene.style_images(scale),
        scene.regions(scale),
        scene.kept(scale),
    )
    objective = Objective(network, scene.recipe, photo, styles, regions=regions, kept=kept)
    return objective.evaluate(scene.on_canvas(start, scale), gradient=False)


def load_network(recipe: Recipe, device: torch.device, dtype: torch.dtype = torch.float32) -> VGG:
    """Return the network that `recipe` asks for; the last ones used are kept for the next run.

    Raises:
        WeightsError: its weights are missing or damaged.

    """
    key = (recipe.network, recipe.pooling, recipe.padding, recipe.activity, device, dtype)
    return _NETWORKS.get(key, lambda: _loaded(recipe).to(device, dtype))


def _loaded(recipe: Recipe) -> VGG:
    return network.load(recipe.network, pooling=recipe.pooling, padding=recipe.padding, activity=recipe.activity)


# Each takes some 120 MB.
_NETWORKS: Cache[VGG] = Cache(2)


# Ours: enough to get past a chance overflow, few enough to end soon.
_RETRIES = 5


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
