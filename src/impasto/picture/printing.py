"""Colour for printers and other screens: sRGB into an output profile, and a soft proof of what that loses.

Relative colorimetric with black point compensation, as in reading, in littlecms' float path (see `profiles`).
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from impasto.errors import OutputError
from impasto.picture.files import path_name
from impasto.picture.levels import Floats
from impasto.picture.limits import DEFAULT_LIMITS
from impasto.picture.profiles import from_srgb, to_screen
from impasto.system.text import printable, reason

_SPACES: dict[bytes, Literal["rgb", "cmyk"]] = {b"RGB ": "rgb", b"CMYK": "cmyk"}


@dataclass(frozen=True)
class OutputProfile:
    """A profile that pixels can be converted into.

    Attributes:
        data: the ICC profile.
        space: "rgb", or "cmyk" for inks.
        name: of the file, for messages.

    """

    data: bytes = field(repr=False)
    space: Literal["rgb", "cmyk"]
    name: str = "profile"

    def convert(self, pixels: Floats) -> Floats:
        """Return sRGB pixels (H, W, 3) in [0, 1] in the profile's own numbers, (H, W, 3 or 4) in [0, 1]; 1 is full ink.

        Raises:
            OutputError: littlecms cannot convert into it: a scanner's profile, say.
        """
        try:
            return from_srgb(pixels, self.space, self.data)
        except (RuntimeError, ValueError, TypeError) as error:
            raise OutputError(
                f"{printable(self.name)}: colours cannot be converted into this profile ({reason(error)}); "
                "take one of a printer, a screen or a colour space"
            ) from error

    def proof(self, pixels: Floats) -> Floats:
        """Return sRGB pixels (H, W, 3) as they will look printed, in sRGB: paper is white, black as dark as it gets.

        Raises:
            OutputError: littlecms cannot convert into it, or back.
        """
        inks = self.convert(pixels)
        try:
            return to_screen(inks, self.space, self.data)
        except (RuntimeError, ValueError, TypeError) as error:
            raise OutputError(
                f"{printable(self.name)}: this profile does not say how its colours look "
                f"({reason(error)}); take another"
            ) from error


def output_profile(source: str | os.PathLike[str] | bytes) -> OutputProfile:
    """Return the profile in a file, or given as bytes, after a trial.

    Raises:
        OutputError: it cannot be read, is no ICC profile of RGB or CMYK, or nothing can be converted into it.
    """
    limit = DEFAULT_LIMITS.max_profile_bytes
    if isinstance(source, bytes):
        data, name = source, "profile"
    else:
        name = path_name(source)
        try:
            if not Path(name).is_file():
                raise OutputError(f"{printable(name)}: no such file; name an ICC profile (.icc or .icm)")
            with Path(name).open("rb") as file:
                data = file.read(limit + 1)
        except (OSError, ValueError) as error:
            raise OutputError(f"{printable(name)}: cannot be read ({reason(error)}); name an ICC profile") from error
    # ICC.1:2022, 7.2: the signature, and the space of the device's numbers
    if len(data) > limit or data[36:40] != b"acsp":
        raise OutputError(f"{printable(name)}: is no ICC profile; name a file that ends in .icc or .icm")
    space = _SPACES.get(data[16:20])
    if space is None:
        model = printable(data[16:20].decode("latin-1")).strip()
        raise OutputError(f"{printable(name)}: is a profile of {model}; take one of RGB or CMYK")
    profile = OutputProfile(data, space, name)
    profile.convert(np.full((1, 1, 3), 0.5, np.float32))
    return profile
