"""For print: output profiles, soft proofs, TIFF's compressions, wide-gamut inputs; against independent arithmetic."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from impasto.errors import OutputError
from impasto.picture import Picture, as_picture, check_output, output_profile, write_picture
from impasto.picture.profiles import srgb_profile
from tests.picture import samples as making
from tests.picture.test_profiles import cmyk_profile, grid


class Options(making.WriteOptions, total=False):
    format: str


P3 = making.icc_profile(making.P3, making.srgb_curve)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_display_p3_is_read_as_the_closed_form_says(dtype: type[making.Levels]) -> None:
    values = grid(dtype)
    picture = as_picture(making.tiff_file(values, photometric="rgb", iccprofile=P3))
    error = np.abs(picture.to_numpy(np.float32) - making.p3_to_srgb(values / np.iinfo(dtype).max))
    # 8 bits go through 16-bit tables, right to a third of a level; see profiles.py.
    assert error.max() < (0.0014 if dtype == np.uint8 else 0.0006)


def inside() -> Picture:
    """Colours that every profile here holds."""
    return Picture(np.ascontiguousarray(np.moveaxis(0.2 + 0.5 * making.deep_scene() / 65535, -1, 0), np.float32))


@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg", "webp", "avif"])
@pytest.mark.parametrize("profile", [P3, making.adobe_rgb()])
def test_an_output_profile_is_embedded_and_followed(kind: str, profile: bytes) -> None:
    data = making.written(inside(), kind, profile=profile, quality=100 if kind == "webp" else None)
    image = Image.open(io.BytesIO(data))
    assert image.info["icc_profile"] == profile
    back = as_picture(data)
    # Half a level of a wide space is more than half a level of sRGB, most of all near the edge of sRGB.
    limit = 0.05 if kind in ("jpeg", "avif") else 0.01
    assert np.abs(back.pixels - inside().pixels).max() < limit
    # The numbers themselves are the profile's, by the closed form.
    closed = making.p3_to_srgb if profile == P3 else making.adobe_to_srgb
    assert np.abs(closed(np.asarray(image) / 255) - inside().to_numpy(np.float32)).max() < limit


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bits_through_a_profile_and_back(kind: str) -> None:
    back = as_picture(making.written(inside(), kind, bits=16, profile=P3))
    assert back.bits == 16
    assert np.abs(back.pixels - inside().pixels).max() < 0.0015
    assert np.unique(back.pixels[0]).size > 4000


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_alpha_goes_past_the_profile(kind: str) -> None:
    picture = dataclasses.replace(inside(), alpha=np.linspace(0, 1, 61 * 91, dtype=np.float32).reshape(61, 91))
    back = as_picture(making.written(picture, kind, bits=16, profile=P3))
    assert back.alpha is not None
    assert picture.alpha is not None
    assert np.abs(back.alpha - picture.alpha).max() < 1e-5


def test_paper_white_under_a_transparent_jpeg_is_white() -> None:
    picture = dataclasses.replace(inside(), alpha=np.zeros((61, 91), np.float32))
    assert as_picture(making.written(picture, "jpeg", profile=P3)).to_numpy().min() > 250


@pytest.mark.parametrize(("kind", "bits"), [("tiff", 8), ("tiff", 16), ("jpeg", 8)])
def test_inks(kind: str, bits: int) -> None:
    colours = np.array([[255, 255, 255], [0, 255, 255], [255, 0, 255], [255, 255, 0]], np.uint8)
    picture = as_picture(np.repeat(np.repeat(colours[np.newaxis], 16, axis=0), 16, axis=1))
    # The printer's profile has nine steps a side, enough to distinguish the inks from each other and from RGB.
    profile = printer()
    data = making.written(picture, kind, bits=bits, profile=profile)
    if kind == "tiff":
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            assert (page.photometric, page.samplesperpixel, page.bitspersample) == (5, 4, bits)
            inks = page.asarray()[8, 8::16] / (2**bits - 1)
    else:
        image = Image.open(io.BytesIO(data))
        assert image.mode == "CMYK"
        inks = np.asarray(image)[8, 8::16] / 255
    assert np.abs(inks - [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]).max() < 0.25
    back = as_picture(data).to_numpy()
    assert np.abs(back.astype(int) - picture.to_numpy()).mean() < 25


def printer(darkest: int = 0) -> bytes:
    """The tests' CMYK profile with the way back, Lab to inks: a table of 9 x 9 x 9, inks by subtraction, no black."""
    data = cmyk_profile(darkest)
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    light, a, b = np.meshgrid(steps, steps, steps, indexing="ij")
    # Pillow counts a and b as signed bytes.
    lab = np.stack([light, a ^ np.uint8(128), b ^ np.uint8(128)], axis=-1)
    image = Image.fromarray(np.ascontiguousarray(lab.reshape(1, -1, 3)), "LAB")
    rgb = np.asarray(
        ImageCms.profileToProfile(
            image,
            ImageCms.createProfile("LAB"),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
        )
    ).reshape(-1, 3)
    reach = np.clip((rgb.astype(float) - darkest) / (255 - darkest), 0, 1)
    inks = np.dstack([255 * (1 - reach[:, i]) for i in range(3)] + [np.zeros(len(rgb))]).round().astype(np.uint8)
    table = b"mft1\0\0\0\0" + bytes([3, 4, 9, 0])
    for value in (1, 0, 0, 0, 1, 0, 0, 0, 1):
        table += (value << 16).to_bytes(4, "big")
    table += bytes(range(256)) * 3 + inks.tobytes() + bytes(range(256)) * 4
    table += b"\0" * (-len(table) % 4)
    return with_tags(data, {b"B2A0": table, b"B2A1": table})


def with_tags(profile: bytes, tags: dict[bytes, bytes]) -> bytes:
    count = int.from_bytes(profile[128:132], "big")
    found = {}
    for at in range(132, 132 + 12 * count, 12):
        offset, size = (int.from_bytes(profile[at + k : at + k + 4], "big") for k in (4, 8))
        found[profile[at : at + 4]] = profile[offset : offset + size]
    found |= tags
    table, body, start = b"", b"", 132 + 12 * len(found)
    for name, content in found.items():
        table += name + (start + len(body)).to_bytes(4, "big") + len(content).to_bytes(4, "big")
        body += content
    header = (start + len(body)).to_bytes(4, "big") + profile[4:12] + b"prtr" + profile[16:128]
    return header + len(found).to_bytes(4, "big") + table + body


def test_a_proof_is_what_littlecms_makes_of_it() -> None:
    picture, profile = as_picture(making.scene()), printer(darkest=60)
    proof = picture.proof(profile)
    srgb = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    transform = ImageCms.buildProofTransform(
        srgb,
        srgb,
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        "RGB",
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        proofRenderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.SOFTPROOFING | ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOOPTIMIZE,
    )
    expected = np.asarray(ImageCms.applyTransform(picture.to_pil(), transform)).astype(int)
    assert np.abs(proof.to_numpy().astype(int) - expected).max() <= 2
    black, white = (as_picture(np.full((4, 4, 3), v, np.uint8)).proof(profile).to_numpy().mean() for v in (0, 255))
    assert 45 < black < 80  # as dark as the ink gets
    assert white > 250


def test_a_proof_in_a_profile_that_holds_the_picture_is_the_picture() -> None:
    assert np.abs(inside().proof(P3).pixels - inside().pixels).max() < 0.0015
    assert inside().proof(P3).size == inside().size


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("compression", "tag"), [("deflate", 8), ("lzw", 5), ("none", 1), (None, 8)])
def test_tiff_compressions(compression: str | None, tag: int, bits: int) -> None:
    array = making.deep_scene() if bits == 16 else making.scene()
    data = making.written(making.with_alpha(array), "tiff", bits=bits, compression=compression)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.pages.first.compression == tag
    expected = as_picture(making.with_alpha(array)).to_numpy(array.dtype)
    assert np.array_equal(as_picture(data).to_numpy(array.dtype), expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"format": "png", "compression": "lzw"}, "no choice of compression"),
        ({"format": "tiff", "compression": "zip"}, "choose from deflate, lzw, none"),
        ({"format": "png", "profile": printer()}, "holds no CMYK"),
        ({"format": "webp", "profile": printer()}, "holds no CMYK"),
        ({"format": "png", "profile": b"garbage"}, "no ICC profile"),
        ({"format": "png", "profile": P3[:400]}, "cannot be converted"),
        ({"format": "tiff", "profile": cmyk_profile()}, "cannot be converted"),
        ({"format": "png", "profile": P3[:16] + b"\x1b[2J" + P3[20:]}, "profile of"),
        ({"format": "png", "profile": "missing\x1b.icc"}, "no such file"),
    ],
)
def test_what_cannot_be_written_so(options: Options, words: str) -> None:
    stream = io.BytesIO()
    with pytest.raises(OutputError, match=words) as error:
        write_picture(as_picture(making.scene()), stream, **options)
    assert str(error.value).isprintable()
    assert stream.getvalue() == b""


def test_outputs_are_checked_with_their_profile(tmp_path: Path) -> None:
    (tmp_path / "p.icc").write_bytes(printer())
    profile = output_profile(tmp_path / "p.icc")
    assert check_output(tmp_path / "a.tif", profile=profile, compression="lzw") == "tiff"
    with pytest.raises(OutputError, match=r"holds no CMYK"):
        check_output(tmp_path / "a.png", profile=profile)
