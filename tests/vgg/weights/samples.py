"""Small seeded weights, files of them in every form, and a server on the loopback with chosen faults."""

import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import torch

from impasto.recipe.vgg_layers import Convolution
from impasto.vgg.weights.spec import CAFFE, TORCHVISION, Official, WeightsSpec

SMALL = (Convolution("conv1_1", 3, 4), Convolution("conv1_2", 4, 4), Convolution("conv2_1", 4, 6))
RGB_CORNER = (-0.5, 0.25, 0.125)
BGR_CORNER = (0.75, 0.5, -0.25)
# The indices of SMALL in torchvision's `features`: convolution, ReLU, convolution, ReLU, pooling, convolution.
PLACES = {"conv1_1": 0, "conv1_2": 2, "conv2_1": 5}


def specs(official: dict[str, Official] | None = None) -> dict[str, WeightsSpec]:
    """Two specifications, like vgg19 and vgg19-caffe, of a network with three convolutions."""
    official = official or {}
    return {
        "small": WeightsSpec("small", SMALL, TORCHVISION, "tests", "none", None, official.get("small"), RGB_CORNER),
        "small-caffe": WeightsSpec(
            "small-caffe", SMALL, CAFFE, "tests", "none", None, official.get("small-caffe"), BGR_CORNER
        ),
    }


def tensors(
    convolutions: tuple[Convolution, ...] = SMALL, seed: int = 0, corner: tuple[float, ...] | None = None
) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for layer in convolutions:
        shape = (layer.out_channels, layer.in_channels, 3, 3)
        made[f"{layer.name}.weight"] = torch.randn(shape, generator=generator) * (2 / (9 * layer.in_channels)) ** 0.5
        made[f"{layer.name}.bias"] = torch.rand(layer.out_channels, generator=generator) * 0.1
    if corner:
        made[f"{convolutions[0].name}.weight"][0, :, 0, 0] = torch.tensor(corner)
    return made


def by_places(made: Mapping[str, torch.Tensor], places: dict[str, int] = PLACES) -> dict[str, torch.Tensor]:
    return {f"features.{places[key.split('.')[0]]}.{key.split('.')[1]}": tensor for key, tensor in made.items()}


def pth(path: Path, table: object, *, legacy: bool = False) -> Path:
    torch.save(table, path, _use_new_zipfile_serialization=not legacy)
    return path


def h5(path: Path, made: dict[str, torch.Tensor], naming: str = "{layer}_{old}_1:0", *, top: bool = False) -> Path:
    """Write a file like Keras; `naming` names a dataset in the group of its layer."""
    with h5py.File(path, "w") as file:
        for key, tensor in made.items():
            name, part = key.split(".")
            layer = name.replace("conv", "block").replace("_", "_conv")
            weight = part == "weight"
            words = {"layer": layer, "old": "W" if weight else "b", "new": "kernel" if weight else "bias"}
            array = tensor.permute(2, 3, 1, 0).numpy() if weight else tensor.numpy()
            file.require_group(layer)[naming.format(**words)] = np.ascontiguousarray(array)
        file.require_group("block1_pool")
        if top:
            file.require_group("fc1")["fc1_W_1:0"] = np.zeros((8, 8), np.float32)
            file.require_group("predictions")["predictions_b_1:0"] = np.zeros(8, np.float32)
    return path


def official(url: str, content: bytes, algorithm: Literal["sha256", "md5"] = "sha256") -> Official:
    return Official(url, len(content), algorithm, hashlib.new(algorithm, content).hexdigest())


class Visit:
    """One request to the server, with ways to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler, number: int, stop: threading.Event) -> None:
        self.handler, self.number, self.stop = handler, number, stop
        self.range = handler.headers.get("Range")
        self.if_range = handler.headers.get("If-Range")

    def head(self, status: int, **headers: Any) -> None:
        self.handler.send_response(status)
        for key, value in headers.items():
            self.handler.send_header(key.replace("_", "-"), str(value))
        self.handler.end_headers()

    def write(self, content: bytes) -> None:
        with contextlib.suppress(OSError):
            self.handler.wfile.write(content)
            self.handler.wfile.flush()

    def file(self, content: bytes, tag: str = '"one"') -> None:
        """Answer without a fault."""
        if self.range and self.if_range in (None, tag):
            start = int(self.range.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.head(416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
                return
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.head(206, Content_Range=span, Content_Length=len(content) - start, ETag=tag)
            self.write(content[start:])
        else:
            self.head(200, Content_Length=len(content), ETag=tag)
            self.write(content)

    def reset(self) -> None:
        """Reset the connection."""
        self.handler.wfile.flush()
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()


class Server:
    """Answers every GET with `answer(visit)`."""

    def __init__(self) -> None:
        self.answer: Callable[[Visit], None] = lambda visit: visit.head(404)
        self.visits: list[Visit] = []
        self.stop = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                visit = Visit(self, len(server.visits), server.stop)
                server.visits.append(visit)
                with contextlib.suppress(OSError, ValueError):
                    server.answer(visit)

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # a test has broken the connection

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/weights.pth"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05})


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    server.thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.http.shutdown()
        server.thread.join()
        server.http.server_close()
