"""GIF, read by Pillow; of an animation the first frame."""

from impasto.picture.formats.format import Format, begins_with
from impasto.picture.formats.pillow import PillowReader

_READER = PillowReader("GifImagePlugin.GifImageFile")
FORMAT = Format("GIF", begins_with(b"GIF87a", b"GIF89a"), _READER.decode, _READER.measure, (".gif",))
