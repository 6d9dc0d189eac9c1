"""Masks: which regions there are, in which order, and all the ways in which a mask may not fit."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from impasto.engine.masks import Area, Masks, assign, hue_order, palette
from impasto.errors import UsageError
from impasto.picture import Picture, read_picture
from impasto.recipe import Inputs, pair_styles

RED, YELLOW, GREEN, CYAN = (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1)
BLUE, MAGENTA, WHITE, GREY, BLACK = (0, 0, 1), (1, 0, 1), (1, 1, 1), (0.5, 0.5, 0.5), (0, 0, 0)


def stripes(
    *colors: tuple[float, float, float], height: int = 24, width: int = 36, source: str = "mask.png"
) -> Picture:
    """Return a colour map of vertical stripes of equal width."""
    columns = np.arange(width) * len(colors) // width
    pixels = np.array(colors, np.float32)[columns].T[:, None, :].repeat(height, 1)
    return Picture(np.ascontiguousarray(pixels), source=source)


def stripe(index: int, count: int, height: int = 24, width: int = 36) -> NDArray[np.float32]:
    return np.broadcast_to((np.arange(width) * count // width == index).astype(np.float32), (height, width))


def through_jpeg(mask: Picture, quality: int = 75) -> Picture:
    file = io.BytesIO()
    Image.fromarray(mask.to_numpy()).save(file, "JPEG", quality=quality)
    file.seek(0)
    return read_picture(file)


PHOTO = stripes(GREY, height=48, width=72, source="photo.jpg")
STYLE = stripes(GREY, height=24, width=36, source="style.jpg")


def assigned(
    content: Picture | None = None,
    *,
    styles: int = 1,
    of_styles: tuple[Picture | None, ...] = (),
    protect: Picture | None = None,
) -> Masks:
    return assign(Inputs(PHOTO, pair_styles([STYLE] * styles, masks=of_styles), content_mask=content, protect=protect))


def mask_of(area: Area) -> NDArray[np.float32]:
    assert area.mask is not None
    return area.mask


def refused(*given: Picture | None, **more: Any) -> str:
    with pytest.raises(UsageError) as error:
        assigned(*given, **more)
    message = str(error.value)
    assert "\n" not in message
    assert message.isprintable()
    return message


def test_without_masks_nothing_is_divided() -> None:
    assert assigned(styles=2, of_styles=(None, None)) == assigned(styles=2) or assigned().areas == ()
    assert assigned(styles=2, of_styles=(None, None)).areas == ()
    assert assigned().protected is None


def test_a_grey_mask_and_one_style_leave_black_to_the_photo() -> None:
    found = assigned(stripes(WHITE, BLACK))
    (area,) = found.areas
    np.testing.assert_array_equal(area.mask, stripe(0, 2))
    assert area.styles == ((0, None),)
    np.testing.assert_array_equal(found.protected, stripe(1, 2))


def test_a_grey_mask_and_two_styles_leave_nothing() -> None:
    found = assigned(stripes(WHITE, (0.25, 0.25, 0.25), BLACK), styles=2)
    first, second = found.areas
    np.testing.assert_allclose(mask_of(first), stripe(0, 3) + 0.25 * stripe(1, 3))
    np.testing.assert_allclose(mask_of(first) + mask_of(second), 1)
    assert [area.styles for area in found.areas] == [((0, None),), ((1, None),)]
    assert found.protected is None


@pytest.mark.parametrize("quality", [95, 75, 40])
def test_grey_is_grey_after_jpeg_too(quality: int) -> None:
    mask = stripes(WHITE, BLACK, WHITE, height=48, width=72)
    found = assigned(through_jpeg(mask, quality), styles=2)
    assert len(found.areas) == 2
    np.testing.assert_allclose(mask_of(found.areas[0]), stripe(0, 3, 48, 72) + stripe(2, 3, 48, 72), atol=0.2)


@pytest.mark.parametrize("quality", [95, 75, 40])
def test_colours_are_regions_after_jpeg_too(quality: int) -> None:
    mask = stripes(BLUE, RED, GREEN, height=48, width=72)
    found = assigned(through_jpeg(mask, quality), styles=3)
    for area, place in zip(found.areas, (1, 2, 0), strict=True):
        assert np.abs(mask_of(area) - stripe(place, 3, 48, 72)).mean() < 0.03
    np.testing.assert_array_equal(sum(mask_of(area) for area in found.areas), 1)


def test_colours_stand_in_the_order_of_the_rainbow_then_white_to_black() -> None:
    rainbow = [RED, YELLOW, GREEN, CYAN, BLUE, MAGENTA, WHITE, GREY, BLACK]
    found = palette(stripes(*reversed(rainbow), width=72))
    np.testing.assert_allclose(found, rainbow)
    # Hues just below and above 0 degrees are both red.
    assert hue_order(np.array([1, 0, 0.2], np.float32)) < hue_order(np.array([1, 0.5, 0], np.float32))
    assert hue_order(np.array([1, 0, 0.2], np.float32))[1] == hue_order(np.array([1, 0, 0], np.float32))[1] == 0


def test_a_colour_is_its_mean_and_specks_and_edges_do_not_count() -> None:
    mask = stripes(RED, BLUE, height=48, width=72).pixels.copy()
    mask[:, 0, 0] = (0, 1, 0)
    mask += np.random.default_rng(0).normal(0, 0.02, mask.shape).astype(np.float32)
    found = palette(Picture(mask.clip(0, 1)))
    np.testing.assert_allclose(found, [RED, BLUE], atol=0.03)


def test_a_large_map_has_the_colours_of_a_small_one() -> None:
    found = palette(stripes(RED, BLUE, GREEN, height=1200, width=900))
    np.testing.assert_allclose(found, [RED, GREEN, BLUE])


def test_soft_edges_of_a_map_leave_no_gap() -> None:
    mask = np.asarray(Image.fromarray(stripes(RED, BLUE).to_numpy()).resize((216, 144), Image.Resampling.BICUBIC))
    found = assigned(Picture(np.ascontiguousarray(mask.transpose(2, 0, 1) / np.float32(255))), styles=2)
    np.testing.assert_array_equal(mask_of(found.areas[0]) + mask_of(found.areas[1]), 1)
    assert abs(float(mask_of(found.areas[0]).mean()) - 0.5) < 0.02


def test_a_style_less_than_colours_leaves_the_last_to_the_photo() -> None:
    found = assigned(stripes(BLACK, GREEN, RED), styles=2)
    np.testing.assert_array_equal(found.areas[0].mask, stripe(2, 3))
    np.testing.assert_array_equal(found.areas[1].mask, stripe(1, 3))
    np.testing.assert_array_equal(found.protected, stripe(0, 3))


def test_styles_without_a_mask_of_the_photo_are_blended_everywhere() -> None:
    (area,) = assigned(styles=2, of_styles=(None, stripes(WHITE, BLACK))).areas
    assert area.mask is None
    assert area.styles[0] == (0, None)
    np.testing.assert_array_equal(area.styles[1][1], stripe(0, 2))


def test_a_grey_mask_of_a_style_goes_with_its_region() -> None:
    found = assigned(stripes(RED, BLUE), styles=2, of_styles=(None, stripes(BLACK, WHITE)))
    assert found.areas[0].styles == ((0, None),)
    np.testing.assert_array_equal(found.areas[1].styles[0][1], stripe(1, 2))
    found = assigned(stripes(WHITE, BLACK), of_styles=(stripes(BLACK, WHITE),))
    np.testing.assert_array_equal(found.areas[0].styles[0][1], stripe(1, 2))


def test_coloured_masks_of_styles_pair_by_colour() -> None:
    # The colours in the style's mask differ a little, and it has a green that the photo's mask lacks.
    style = stripes((0.1, 0.1, 0.9), GREEN, (0.9, 0.1, 0.1), source="s.png")
    found = assigned(stripes(RED, BLUE), of_styles=(style,))
    assert [[index for index, _ in area.styles] for area in found.areas] == [[0], [0]]
    np.testing.assert_array_equal(found.areas[0].styles[0][1], stripe(2, 3))
    np.testing.assert_array_equal(found.areas[1].styles[0][1], stripe(0, 3))
    assert found.protected is None


def test_a_colour_that_no_style_has_is_left_to_the_photo() -> None:
    found = assigned(stripes(RED, GREEN, BLUE), styles=2, of_styles=(stripes(RED, BLUE), stripes(BLUE, GREY)))
    assert [[index for index, _ in area.styles] for area in found.areas] == [[0], [0, 1]]
    np.testing.assert_array_equal(found.areas[0].mask, stripe(0, 3))
    np.testing.assert_array_equal(found.protected, stripe(1, 3))


def test_a_style_without_a_mask_counts_beside_one_that_has_colours() -> None:
    found = assigned(stripes(RED, BLUE), styles=2, of_styles=(stripes(RED, GREY),))
    assert [[index for index, _ in area.styles] for area in found.areas] == [[0, 1], [1]]
    assert found.areas[1].styles == ((1, None),)
    assert found.protected is None


@pytest.mark.parametrize("size", [(24, 36), (12, 18), (96, 144)])
def test_what_is_protected_adds_to_what_is_left_at_the_finer_size(size: tuple[int, int]) -> None:
    found = assigned(stripes(WHITE, WHITE, BLACK), protect=stripes(WHITE, BLACK, BLACK, height=size[0], width=size[1]))
    finer = max((24, 36), size)
    np.testing.assert_array_equal(found.protected, stripe(0, 3, *finer) + stripe(2, 3, *finer))


def test_protection_alone_divides_nothing() -> None:
    found = assigned(protect=stripes(BLACK, GREY, WHITE))
    assert found.areas == ()
    assert found.protected is not None
    np.testing.assert_allclose(found.protected, 0.5 * stripe(1, 3) + stripe(2, 3))


def test_what_is_transparent_is_black() -> None:
    mask = stripes(WHITE)
    transparent = Picture(mask.pixels, alpha=np.ascontiguousarray(stripe(0, 2)))
    np.testing.assert_array_equal(assigned(protect=transparent).protected, stripe(0, 2))
    np.testing.assert_array_equal(assigned(transparent).protected, stripe(1, 2))


def test_sixteen_bits_are_as_fine_as_they_are() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 36, dtype=np.float32), (3, 24, 36))
    found = assigned(Picture(np.ascontiguousarray(ramp), bits=16), styles=2)
    np.testing.assert_allclose(mask_of(found.areas[0]), ramp[0], atol=1e-6)
    np.testing.assert_allclose(mask_of(found.areas[0]) + mask_of(found.areas[1]), 1, atol=1e-6)


CONSTANT = [
    stripes(color, height=height, width=width)
    for color in (BLACK, GREY, WHITE, RED, (1, 0.8, 0.8))
    for height, width in ((24, 36), (2, 3))
]


@pytest.mark.parametrize("styles", [1, 2, 3])
@pytest.mark.parametrize("role", ["content", "protect", "style"])
@pytest.mark.parametrize("mask", CONSTANT, ids=lambda mask: f"{mask.pixels[:, 0, 0]}-{mask.width}")
def test_a_mask_of_one_colour_is_used_or_refused_in_one_line(mask: Picture, role: str, styles: int) -> None:
    paired = pair_styles([STYLE] * styles, masks=[mask] if role == "style" else ())
    given = {"content": {"content_mask": mask}, "protect": {"protect": mask}, "style": {}}[role]
    try:
        found = assign(Inputs(PHOTO, paired, **given))
    except UsageError as refusal:
        said = str(refusal)
    else:
        said = "mask.png: used"
        planes = [area.mask for area in found.areas] + [found.protected]
        planes += [plane for area in found.areas for _, plane in area.styles]
        for plane in planes:
            assert plane is None or (plane.dtype == np.float32 and plane.min() >= 0 and plane.max() <= 1)
    assert said.startswith("mask.png: ")
    assert "\n" not in said


def test_a_mask_of_one_pixel_fits_a_square_photo() -> None:
    square, pixel = stripes(GREY, height=8, width=8), stripes(WHITE, height=1, width=1)
    (area,) = assign(Inputs(square, pair_styles([square]), content_mask=pixel, protect=pixel)).areas
    assert area.mask is not None
    assert area.mask.shape == (1, 1)


@pytest.mark.parametrize("role", ["content", "protect"])
def test_another_aspect_ratio_than_the_photo_s(role: str) -> None:
    mask = stripes(WHITE, BLACK, height=30, width=36, source="m.png")
    message = refused(**{role: mask}) if role == "protect" else refused(mask)
    assert message == "m.png: is 36x30, which is not the photo's aspect ratio (72x48)"
    # A difference of one pixel is not another aspect ratio.
    assigned(stripes(WHITE, BLACK, height=67, width=100), protect=stripes(WHITE, BLACK, height=331, width=500))


def test_another_aspect_ratio_than_the_style_s() -> None:
    mask = stripes(WHITE, BLACK, height=36, width=36, source="m.png")
    message = refused(styles=2, of_styles=(None, mask))
    assert message == "m.png: is 36x36, which is not the style's aspect ratio (36x24)"


def test_more_masks_than_styles() -> None:
    assert refused(of_styles=(None, None)) == "2 style masks for 1 style pictures; give at most one for each"


def test_a_grey_mask_for_three_styles() -> None:
    assert refused(stripes(WHITE, BLACK), styles=3) == (
        "mask.png: a grey mask has two regions, for 3 styles; give colours"
    )


def test_more_colours_than_styles() -> None:
    assert refused(stripes(BLACK, RED, BLUE)) == (
        "mask.png: has 3 colours, for 1 styles; in order they are #ff0000, #0000ff, #000000"
    )
    assert "2 colours, for 3 styles" in refused(stripes(RED, BLUE), styles=3)


def test_a_coloured_mask_of_a_style_alone() -> None:
    for content in (None, stripes(WHITE, BLACK)):
        assert refused(content, of_styles=(stripes(RED, BLUE, source="s.png"),)) == (
            "s.png: has colours, but the photo has no mask with the same; give one, or a grey mask"
        )


def test_a_mask_of_a_style_with_other_colours() -> None:
    expected = "s.png: has none of the colours of mask.png: #ff0000, #0000ff"
    assert refused(stripes(RED, BLUE), of_styles=(stripes(GREEN, YELLOW, source="s.png"),)) == expected
    both = (stripes(RED, BLUE), stripes(WHITE, BLACK, source="s.png"))
    assert refused(stripes(RED, BLUE), styles=2, of_styles=both) == expected


def test_a_black_mask_of_a_style() -> None:
    for content, styles in ((None, 1), (stripes(WHITE, BLACK), 1), (stripes(RED, BLUE), 2)):
        assert refused(content, styles=styles, of_styles=(stripes(BLACK, source="s.png"),)) == (
            "s.png: is black, so nothing of the style counts; make white what should"
        )


def test_a_picture_is_no_map(picture: Callable[..., Picture]) -> None:
    hues = (
        np.stack(np.meshgrid(*[np.linspace(0, 1, 4, dtype=np.float32)] * 3)).reshape(3, 8, 8).repeat(8, 1).repeat(8, 2)
    )
    square = stripes(GREY, height=64, width=64)
    with pytest.raises(UsageError, match=r"colours that can be told apart: \d\d; give a map of 2 to 12 plain colours"):
        assign(Inputs(square, pair_styles([square]), content_mask=Picture(hues, source="m.png")))
    with pytest.raises(UsageError, match=r"^mask.png: colours that can be told apart: 1; give"):
        assigned(stripes(RED), styles=2)
    # In noise no colour occurs twice.
    noise = Picture(np.random.default_rng(0).random((3, 480, 720), np.float32), source="noise.png")
    assert refused(noise).startswith("noise.png: ")
    assert len(palette(stripes(RED, YELLOW, GREEN, CYAN, BLUE, MAGENTA, WHITE, GREY, BLACK, width=90))) == 9
