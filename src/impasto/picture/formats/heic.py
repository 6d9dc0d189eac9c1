"""HEIC (HEIF with HEVC, what phones write), through libheif as the extra package pillow-heif binds it."""

from io import BytesIO

import numpy as np
from PIL import Image

from impasto.errors import PictureError
from impasto.picture.formats.bounds import upright_size, without_long_profile
from impasto.picture.formats.format import Format, brands
from impasto.picture.formats.samples import Samples, with_code_points
from impasto.picture.formats.tags import overlapping
from impasto.picture.levels import Stored
from impasto.picture.limits import Limits
from impasto.picture.metadata import credits_of
from impasto.system.text import printable

SEVERAL = "The HEIC file holds several pictures; its primary one was taken."

_MODES = {"L": "gray", "I;16": "gray", "RGB": "rgb", "RGB;16": "rgb", "RGBA": "rgb", "RGBA;16": "rgb"}


def _decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the primary picture of a HEIC file. libheif has turned it upright already.

    Raises:
        PictureError: pillow-heif is not installed, the declared size is over the limits, or an odd kind of pixels.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise PictureError(
            f"{printable(name)}: is a HEIC picture, and reading it takes one more package: pip install pillow-heif"
        ) from error
    file = pillow_heif.open_heif(BytesIO(data), convert_hdr_to_8bit=False)
    # The size is in the header; pixels are decoded when they are asked for.
    width, height = file.size
    limits.check(width, height, name)
    values: Stored = np.asarray(file)
    if file.mode not in _MODES or file.premultiplied_alpha:
        raise PictureError(f"{printable(name)}: a HEIC of mode {file.mode!r} is not read; convert it to RGB")
    values = np.atleast_3d(values)
    depth = int(file.info.get("bit_depth", 8))
    if values.dtype != np.uint8:
        # Fewer bits are shifted up to 16.
        top = (2**depth - 1) << (16 - depth)
        values = np.minimum(values.astype(np.float32) / np.float32(top), np.float32(1))
    colours = 1 if _MODES[file.mode] == "gray" else 3
    nclx = file.info.get("nclx_profile") or {}
    profile = file.info.get("icc_profile") or None
    points = (int(nclx.get("color_primaries", 2)), int(nclx.get("transfer_characteristics", 2))) if nclx else None
    exif = Image.Exif()
    try:
        block = file.info.get("exif") or b""
        exif.load(b"" if len(block) > limits.max_exif_bytes or overlapping(block) else block)
    except Exception:
        exif = Image.Exif()  # the pixels are fine
    samples = Samples(
        values=values[:, :, :colours],
        space="gray" if colours == 1 else "rgb",
        alpha=values[:, :, -1] if values.shape[2] in (2, 4) else None,
        icc_profile=profile,
        bits=8 if depth <= 8 else 16,
        dpi=None,
        credits=credits_of(exif),
        notes=((SEVERAL,) if len(file) > 1 else ()),
    )
    return samples if profile is not None else with_code_points(samples, points)


def decode(data: bytes, name: str, limits: Limits) -> Samples:
    """Return the primary picture, without a profile that is over the limits."""
    return without_long_profile(_decode(data, name, limits), limits)


FORMAT = Format(
    "HEIC",
    lambda data: any(brand in brands(data) for brand in (b"mif1", b"hei", b"hevc")),
    decode,
    lambda data, name, limits: upright_size(decode(data, name, limits)),
    (".heic", ".heif"),
)
