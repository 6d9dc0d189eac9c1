"""Code that the encoders of all formats share."""

import json
import sys
from collections.abc import Mapping
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image

from impasto.picture.formats.format import Options
from impasto.picture.formats.samples import Samples
from impasto.picture.levels import Stored, quantize
from impasto.picture.metadata import exif_block

# Ours, measured on a stylised 512 x 384 picture with hard strokes and on a 1024 x 768 photograph: at equal file size
# full chroma is 1 dB better than halved chroma with a higher quality.
FULL_CHROMA: Final = "4:4:4"


def to_levels(samples: Samples, options: Options) -> Stored:
    """Return (H, W, C) as it is stored: the colours of the profile, and alpha where there is some."""
    dtype = np.uint16 if options.bits == 16 else np.uint8
    colours = samples.values if options.profile is None else options.profile.convert(samples.values)
    stored = quantize(colours, dtype)
    return stored if samples.alpha is None else np.dstack([stored, quantize(samples.alpha, dtype)])


def save(samples: Samples, options: Options, kind: str, **settings: object) -> bytes:
    """Return the bytes that Pillow writes of the samples' levels.

    Args:
        samples: of the picture.
        options: of the file, with the format's own settings.
        kind: the format's name in Pillow.
        **settings: of the format.

    """
    stored = to_levels(samples, options)
    image = Image.fromarray(stored, "CMYK") if options.has_inks else Image.fromarray(stored)
    stream = BytesIO()
    image.save(stream, kind, icc_profile=options.icc_profile, **settings)
    return stream.getvalue()


def exif_with_notes(samples: Samples, text: Mapping[str, str], longest: int = sys.maxsize) -> tuple[bytes, list[str]]:
    """Return EXIF data of at most `longest` bytes, and notes on what there was no room for.

    Args:
        samples: give dpi and orientation.
        text: by keyword.
        longest: number of bytes that the format has room for.

    """
    description, document, notes = to_text(text), samples.document, []
    if description and len(exif_block(samples.credits, samples.dpi, description)) > longest:
        description = ""
        notes.append(TEXT_LEFT_OUT)
    if document and len(exif_block(samples.credits, samples.dpi, description, document)) > longest:
        document = ""
        notes.append(RECIPE_LEFT_OUT)
    return exif_block(samples.credits, samples.dpi, description, document), notes


TEXT_LEFT_OUT: Final = "The text is longer than a JPEG can hold and was left out."
RECIPE_LEFT_OUT: Final = "The recipe is longer than a JPEG can hold and was left out."


def to_text(text: Mapping[str, str]) -> str:
    """Return names and values as one text. ASCII is all these fields may hold; JSON escapes the rest."""
    return json.dumps(dict(text)) if text else ""
