"""Observation of a run's pictures and losses: what `impasto.reports.advice` says of them."""

from collections.abc import Callable, Sequence

from impasto.engine import devices
from impasto.engine.scene import Scene
from impasto.ops import resample
from impasto.picture import Picture
from impasto.reports import advice
from impasto.reports.advice import Advice


def inputs(scene: Scene) -> tuple[Advice, ...]:
    """Return the advice on the input pictures."""
    styles = [style.picture.pixels for style in scene.inputs.styles]
    return advice.foresee(scene.inputs.photo.pixels, styles, scene.recipe)


def result(scene: Scene, picture: Callable[[], Picture], losses: Sequence[float]) -> tuple[Advice, ...]:
    """Return the advice on a finished picture; none where memory does not suffice for it.

    Args:
        scene: the pictures and the recipe.
        picture: returns the finished picture.
        losses: of the last scale, step by step, and of the result.

    """
    scale = scene.scales[-1]
    try:
        photo = resample.without_margin(scene.photo(scale), scene.margin(scale))[0].cpu().numpy()
        styles = [style[0].cpu().numpy() for style, _ in scene.style_images(scale)]
        return advice.advise(picture().pixels, photo, styles, scene.recipe, losses)
    except (RuntimeError, MemoryError) as error:
        # The picture is finished; without memory for more, only the advice on it is left out.
        if not devices.is_out_of_memory(error):
            raise
        return ()
