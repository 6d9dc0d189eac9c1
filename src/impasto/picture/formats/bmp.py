"""BMP, read by Pillow."""

from impasto.picture.formats.format import Format, begins_with
from impasto.picture.formats.pillow import PillowReader

_READER = PillowReader("BmpImagePlugin.BmpImageFile")
FORMAT = Format("BMP", begins_with(b"BM"), _READER.decode, _READER.measure, (".bmp",))
