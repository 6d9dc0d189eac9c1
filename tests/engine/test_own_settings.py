"""impasto in a program that has changed PyTorch's settings: it paints the same picture and keeps the settings."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from impasto.jobs.job import Job
from impasto.picture import Picture, read_picture
from impasto.picture.formats.bounds import decoding
from impasto.recipe import Compute, Inputs, presets
from impasto.vgg import network
from impasto.vgg.network import VGG


@contextlib.contextmanager
def default_dtype(kind: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def default_device(name: str) -> Iterator[None]:
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


SETTINGS: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "another device": lambda: default_device("meta"),
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "deterministic": deterministic,
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("colors", ["style", "luminance", "content"])
def test_the_picture_is_the_same_under_any_settings(
    name: str,
    colors: str,
    picture: Callable[..., Picture],
    small_network: Callable[..., VGG],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "load", lambda name, activity, **settings: small_network(**settings))
    recipe = presets.get("default").with_layers("content", "relu4_1")
    recipe = recipe.replace(size=40, start_size=20, steps=(3, 2), colors=colors)
    job = Job(Inputs.of(picture(24, 32, 1), [picture(40, 30, 2)]), recipe, Compute("cpu"))
    expected = job.paint().pixels
    with SETTINGS[name]():
        before = (torch.get_default_dtype(), torch.is_inference_mode_enabled(), torch.is_grad_enabled())
        run = job.start()
        for _ in run:
            # Between two events the settings are those of the program.
            assert (torch.get_default_dtype(), torch.is_inference_mode_enabled(), torch.is_grad_enabled()) == before
        painted = run.picture().pixels
    assert (painted == expected).all()


@pytest.mark.skipif(sys.platform == "win32", reason="no forks there")
def test_a_child_forked_while_a_picture_was_read_reads_pictures(
    picture: Callable[..., Picture], tmp_path: Path
) -> None:
    picture(24, 32, 1).save(tmp_path / "a.png")
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with decoding("a"):
            held.set()
            over.wait(30)

    reading = threading.Thread(target=hold)
    reading.start()
    held.wait(30)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)
        try:
            read_picture(tmp_path / "a.png")
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    over.set()
    reading.join()
    assert status == 0
