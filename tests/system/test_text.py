"""Commands for the shells of several systems, and texts as editors and shells write them."""

import shlex
from types import SimpleNamespace

import pytest

from impasto.system import text

WORDS = ["impasto", "resume", "a b.png", r"C:\My Pictures\x.png", "0.7,0.3", "it's", "100", ""]


def test_a_command_line_is_split_into_the_same_words_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "sys", SimpleNamespace(platform="linux"))
    assert shlex.split(text.command_line(WORDS)) == WORDS


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("resume", "resume"),
        (r"C:\out.png.impasto", r"C:\out.png.impasto"),
        (r"C:\My Pictures\x", r'"C:\My Pictures\x"'),
        ("0.7,0.3", '"0.7,0.3"'),  # PowerShell would make two of it
        ("a&b", '"a&b"'),
        ("it's", '"it\'s"'),
        ("", '""'),
    ],
)
def test_words_for_windows(monkeypatch: pytest.MonkeyPatch, word: str, written: str) -> None:
    monkeypatch.setattr(text, "sys", SimpleNamespace(platform="win32"))
    assert text.command_line(["impasto", word]) == f"impasto {written}"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_texts_of_editors_and_shells(encoding: str) -> None:
    mark = "" if encoding in ("utf-8", "utf-8-sig", "utf-16") else "\ufeff"
    assert text.decode((mark + 'name = "日"\r\n').encode(encoding)) == 'name = "日"\r\n'


def test_other_encodings_are_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        text.decode("é".encode("cp1252"))
