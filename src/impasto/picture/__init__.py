"""Pictures, and the way from files to pictures and back. NumPy only, no torch.

Reading goes from `read` to a format of `formats/registry`, which returns `Samples`, to a `Picture`; writing goes from
`Picture.to_samples` to a format's writer. The package never prints and never warns: what a person should know is in
`Picture.notes` or in what `write_picture` returns.
"""

from impasto.picture.checks import ENDINGS, check_output, check_place, format_of
from impasto.picture.limits import DEFAULT_LIMITS, Limits
from impasto.picture.measure import Measure, measure
from impasto.picture.metadata import Credits
from impasto.picture.picture import Picture
from impasto.picture.printing import OutputProfile, output_profile
from impasto.picture.read import PictureSource, as_picture, read_picture
from impasto.picture.remembered import remembered
from impasto.picture.write import write_picture

__all__ = [
    "DEFAULT_LIMITS",
    "ENDINGS",
    "Credits",
    "Limits",
    "Measure",
    "OutputProfile",
    "Picture",
    "PictureSource",
    "as_picture",
    "check_output",
    "check_place",
    "format_of",
    "measure",
    "output_profile",
    "read_picture",
    "remembered",
    "write_picture",
]
