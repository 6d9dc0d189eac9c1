"""The paper's recipe from noise, with the real network: ten seeds, none of which may fail."""

import numpy as np
import pytest

import impasto
from tests.conftest import SAMPLES

STEPS = 60


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_no_seed_ends_in_nan_an_early_stop_or_a_grey_image(seed: int) -> None:
    changed = impasto.recipe.presets.GATYS_2016.replace(size=64, steps=(STEPS,), seed=seed)
    run = impasto.Job(
        impasto.Inputs.of(SAMPLES / "chelsea.jpg", [SAMPLES / "night_swirls.jpg"]),
        changed,
        compute=impasto.Compute("cpu"),
    ).start()
    events = [event for event in run if isinstance(event, impasto.Stepped)]
    pixels = run.picture().pixels
    assert len(events) == STEPS
    assert np.isfinite([event.loss for event in events]).all()
    assert events[-1].loss < 0.1 * events[0].loss
    assert np.isfinite(pixels).all()
    # The start is grey noise that varies by one level of 255.
    assert pixels.std() > 0.08
