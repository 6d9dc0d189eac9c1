"""What a picture format is: how it is recognised, read and written, and what it keeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from impasto.picture.formats.samples import Samples
from impasto.picture.limits import Limits
from impasto.picture.printing import OutputProfile
from impasto.picture.profiles import srgb_profile


@dataclass(frozen=True)
class Options:
    """How a picture is to be written; see `impasto.picture.write_picture`."""

    bits: int = 8
    quality: int | None = None
    text: Mapping[str, str] = field(default_factory=dict)
    metadata: bool = True
    compression: str | None = None
    profile: OutputProfile | None = None

    @property
    def icc_profile(self) -> bytes:
        """The profile to embed."""
        return srgb_profile() if self.profile is None else self.profile.data

    @property
    def has_inks(self) -> bool:
        """Whether the colours are written as CMYK."""
        return self.profile is not None and self.profile.space == "cmyk"


@dataclass(frozen=True)
class Writer:
    """How a format is written.

    Attributes:
        encode: returns the bytes of a file, and what a person should know about it.
        endings: of file names, the usual one first.
        media_type: as servers name it.
        depths: bits of a channel.
        has_quality: whether it loses something, and so has a choice of quality, 1 to 100.
        has_inks: whether it holds CMYK.
        compressions: the choice of them, the default first.
        longest_side: in pixels, if it is bounded.

    """

    encode: Callable[[Samples, Options], tuple[bytes, tuple[str, ...]]]
    endings: tuple[str, ...]
    media_type: str
    depths: tuple[int, ...] = (8,)
    has_quality: bool = False
    has_inks: bool = False
    compressions: tuple[str, ...] = ()
    longest_side: int | None = None


@dataclass(frozen=True)
class Format:
    """A picture format. Functions get a file's bytes, the name it has in messages, and the limits.

    Attributes:
        title: as people write it.
        matches: whether a file's first bytes are of this format.
        decode: returns its first picture; may raise anything for a damaged file.
        measure: returns (height, width), upright, without decoding where the format allows.
        endings: of file names that are read, in lower case.
        document: returns what impasto wrote into the file of how it was painted; None where that holds nothing.
        writer: None where it is only read.

    """

    title: str
    matches: Callable[[bytes], bool]
    decode: Callable[[bytes, str, Limits], Samples]
    measure: Callable[[bytes, str, Limits], tuple[int, int]]
    endings: tuple[str, ...]
    document: Callable[[bytes, str, Limits], str | None] | None = None
    writer: Writer | None = None

    @property
    def name(self) -> str:
        """The name in code and in messages: the title in lower case."""
        return self.title.lower()


def begins_with(*magics: bytes) -> Callable[[bytes], bool]:
    """Return a test of a file's first bytes."""
    return lambda data: data.startswith(magics)


def brands(data: bytes) -> bytes:
    """Return the brands of an ISO base media file (ISO 14496-12, section 4.3): AVIF, HEIC and videos; else nothing."""
    return data[8:64] if data[4:8] == b"ftyp" else b""
