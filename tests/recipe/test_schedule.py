import pytest

from impasto.recipe import Recipe
from impasto.recipe.schedule import Scale, fit, fit_area, lengths, scales


@pytest.mark.parametrize(
    ("start", "end", "factor", "expected"),
    [
        (128, 512, 2, (128, 256, 512)),
        (128, 1024, 2, (128, 256, 512, 1024)),
        (128, 128, 2, (128,)),
        (128, 100, 2, (100,)),
        (128, 700, 2, (128, 226, 397, 700)),
        (128, 512, 2**0.5, (128, 181, 256, 362, 512)),
        (512, 513, 2, (512, 513)),
    ],
)
def test_lengths(start: int, end: int, factor: float, expected: tuple[int, ...]) -> None:
    assert lengths(start, end, factor) == expected


def test_sizes_keep_the_aspect_ratio() -> None:
    assert fit(600, 800, 512) == (384, 512)
    assert fit(3, 5000, 512) == (1, 512)
    height, width = fit_area(600, 800, 400 * 300)
    assert (height, width) == (300, 400)
    assert fit_area(1, 5000, 10) == (1, 224)


def test_the_last_number_of_steps_holds_for_all_further_scales() -> None:
    recipe = Recipe(size=1024, start_size=128, steps=(30, 20))
    assert scales(768, 1024, recipe) == (
        Scale(96, 128, 30),
        Scale(192, 256, 20),
        Scale(384, 512, 20),
        Scale(768, 1024, 20),
    )
    assert scales(90, 60, recipe.replace(size="original"))[-1] == Scale(90, 60, 30)
