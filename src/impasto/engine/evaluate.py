"""The loss of a finished picture."""

from impasto.engine.networks import load_network
from impasto.engine.objective import Evaluation, Objective
from impasto.engine.scene import Scene
from impasto.errors import UsageError
from impasto.recipe import schedule


def evaluate(scene: Scene) -> Evaluation:
    """Return the evaluation of the scene's start picture by the objective of the last scale, without a gradient.

    Raises:
        UsageError: the start picture has another aspect ratio than the photo.

    """
    scale = scene.scales[-1]
    start = scene.inputs.start
    assert start is not None
    fitted = schedule.fit(start.height, start.width, max(scale.height, scale.width))
    if max(abs(fitted[0] - scale.height), abs(fitted[1] - scale.width)) > 1:
        raise UsageError(
            f"{start.source}: is {start.width}x{start.height}, which is not the photo's aspect ratio "
            f"({scene.inputs.photo.width}x{scene.inputs.photo.height}); give a picture painted from that photo"
        )
    network = load_network(scene.recipe, scene.device)
    photo, styles, regions, protected = (
        scene.photo(scale),
        scene.style_images(scale),
        scene.regions(scale),
        scene.protected(scale),
    )
    objective = Objective(network, scene.recipe, photo, styles, regions=regions, protected=protected)
    return objective.evaluate(scene.padded(start, scale), gradient=False)
