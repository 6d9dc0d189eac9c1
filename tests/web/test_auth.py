"""Authentication, limits, headers: a test for each sentence of docs/page.md, "Closed to everyone else"."""

import io
import socket
import struct
import zlib
from pathlib import Path

import httpx
import pytest
from PIL import Image

from impasto.web import auth
from tests.web.served import SAMPLES, Served, order, start, upload

REFUSED = 403


def ask(served: Served, path: str = "", method: str = "GET", **headers: str) -> httpx.Response:
    """Send a request with these headers; the token is not sent unless one of them has it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with httpx.Client(trust_env=False) as client:
        return client.request(method, served.base + path, headers=named)


def raw(served: Served, text: bytes, seconds: float = 5) -> bytes:
    """Return the answer to a request of exactly these bytes, up to the end of its headers."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=seconds) as line:
        line.sendall(text)
        answer = b""
        while b"\r\n\r\n" not in answer and (part := line.recv(65536)):
            answer += part
        return answer


class TestToken:
    PATHS = (
        "",
        "api/schema",
        "api/jobs",
        "api/events",
        "page/main.js",
        "samples/chelsea.jpg",
        "api/pictures/x",
        "none",
    )

    @pytest.mark.parametrize("path", PATHS)
    def test_is_needed_everywhere(self, served: Served, path: str) -> None:
        tried: list[dict[str, str]] = [
            {},
            {"Cookie": "impasto=wrong"},
            {"Authorization": "Bearer wrong"},
            {"Cookie": "impasto=é"},
        ]
        for headers in tried:
            with httpx.Client(trust_env=False) as client:
                answer = client.get(served.base + path, headers={k.encode(): v.encode() for k, v in headers.items()})
            assert answer.status_code == REFUSED
            assert "open the address" in answer.text

    def test_outside_the_room_there_is_nothing(self, served: Served) -> None:
        root = f"http://127.0.0.1:{served.port}"
        for path in ("/", "/api/jobs", "/favicon.ico", f"/?token={served.token}"):
            assert httpx.get(root + path, trust_env=False).status_code == REFUSED

    def test_in_the_address_opens_the_page_only(self, served: Served) -> None:
        assert ask(served, f"api/jobs?token={served.token}").status_code == REFUSED
        assert ask(served, f"?token={served.token}x").status_code == REFUSED
        assert ask(served, "?token=").status_code == REFUSED

    def test_becomes_a_cookie_that_only_the_room_sees(self, served: Served) -> None:
        answer = ask(served, f"?token={served.token}")
        cookie = answer.headers["set-cookie"]
        room = served.base.split("/")[3]
        assert answer.status_code == 200
        assert f"Path=/{room}/" in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert served.token not in answer.text
        page = ask(served, "", Cookie=cookie.partition(";")[0])
        assert page.status_code == 200
        assert "<title>impasto" in page.text

    def test_is_another_at_every_start_and_the_room_is_not(self, tmp_path: Path) -> None:
        one = start(tmp_path / "state")
        one.stop()
        two = start(tmp_path / "state")
        two.stop()
        assert one.token != two.token
        assert len(one.token) >= 40
        assert one.base.split("/")[3] == two.base.split("/")[3]


class TestHostAndOrigin:
    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example", "[::1]", ""]
    )
    def test_other_names_are_refused(self, served: Served, host: str) -> None:
        assert ask(served, Host=host, Authorization=f"Bearer {served.token}").status_code == REFUSED

    def test_localhost_is_the_same(self, served: Served) -> None:
        host = f"localhost:{served.port}"
        assert ask(served, Host=host, Authorization=f"Bearer {served.token}").status_code == 200

    def test_two_hosts_are_none(self, served: Served) -> None:
        path = "/" + served.base.split("/", 3)[3]
        host = f"Host: 127.0.0.1:{served.port}\r\n"
        head = f"GET {path} HTTP/1.1\r\n{host}Host: x\r\nAuthorization: Bearer {served.token}\r\n\r\n"
        assert raw(served, head.encode()).split()[1] in (b"400", b"403")

    @pytest.mark.parametrize(
        "origin", ["null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1:1", ""]
    )
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_other_pages_are_refused(self, served: Served, origin: str, method: str) -> None:
        cookie = f"impasto={served.token}"
        origin = origin.format(port=served.port)
        assert ask(served, "api/check", method, Cookie=cookie, Origin=origin).status_code == REFUSED

    def test_a_change_with_the_cookie_needs_an_origin(self, served: Served) -> None:
        cookie = f"impasto={served.token}"
        assert ask(served, "api/check", "POST", Cookie=cookie).status_code == REFUSED
        own = f"http://127.0.0.1:{served.port}"
        assert ask(served, "api/check", "POST", Cookie=cookie, Origin=own).status_code == 200

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_a_picture_in_another_page_is_refused(self, served: Served, site: str) -> None:
        cookie = f"impasto={served.token}"
        assert ask(served, "samples/chelsea.jpg", Cookie=cookie, Sec_Fetch_Site=site).status_code == REFUSED


class TestHeaders:
    def test_are_on_everything(self, served: Served, client: httpx.Client) -> None:
        answers = [client.get(path) for path in ("", "page/style.css", "api/jobs", "nowhere/at/all", "api/jobs/x")]
        for answer in [*answers, ask(served), ask(served, Host="evil.example")]:
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert "access-control-allow-origin" not in answer.headers
            assert "server" not in answer.headers

    def test_the_page_asks_nobody_else_and_has_nothing_inline(self, client: httpx.Client) -> None:
        page = client.get("").text
        assert "http" not in page.replace("http-equiv", "")
        assert " style=" not in page
        assert " on" + "click" not in page
        assert "<script>" not in page

    def test_no_page_of_ours_may_be_a_path(self, client: httpx.Client) -> None:
        for path in ("page/..%2fguard.py", "page/%2e%2e/guard.py", "page/../guard.py", "samples/%00", "web/guard.py"):
            assert client.get(path).status_code == 404


class TestBodies:
    def test_announced_too_long(self, served: Served) -> None:
        path = "/" + served.base.split("/", 3)[3]
        for target, size in (("api/check", auth.MOST_REQUEST + 1), ("api/pictures", 10**12), ("api/check", "9" * 400)):
            head = f"POST {path}{target} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
            head += f"Authorization: Bearer {served.token}\r\nContent-Length: {size}\r\n\r\n"
            assert raw(served, head.encode()).split()[1] in (b"413", b"400")

    def test_longer_than_announced_nothing(self, client: httpx.Client) -> None:
        answer = client.post("api/check", content=(b" " * 65536 for _ in range(64)))
        assert answer.status_code == 413
        assert client.get("api/jobs").status_code == 200

    def test_of_a_request_that_has_none(self, client: httpx.Client) -> None:
        assert client.request("GET", "api/jobs", content=b"x" * 100).status_code == 413

    @pytest.mark.parametrize(
        "body", [b"{", b"[" * 100_000, b"\xff", b"[]", b'"x"', b"null", b'{"settings": {"a.b": 1}}']
    )
    def test_that_says_nothing_sensible(self, client: httpx.Client, body: bytes) -> None:
        for path in ("api/check", "api/jobs"):
            answer = client.post(path, content=body)
            assert answer.status_code == 422, answer.text
            assert answer.json()["error"]

    def test_a_silent_connection_is_closed(self, served: Served) -> None:
        # Without its end, reading raises an error after the seconds.
        assert raw(served, b"GET /", seconds=60) == b""

    def test_a_body_that_stops_is_given_up(self, served: Served) -> None:
        path = "/" + served.base.split("/", 3)[3]
        head = f"POST {path}api/pictures HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
        head += f"Authorization: Bearer {served.token}\r\nContent-Length: 1000\r\n\r\nabc"
        assert raw(served, head.encode(), seconds=60).split()[1] == b"408"


def bomb() -> bytes:
    """A PNG of some hundred bytes that declares 50,000 x 50,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


class TestPictures:
    @pytest.mark.parametrize("data", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n", bomb()])
    def test_what_is_none_is_refused_in_one_line_with_its_name(self, client: httpx.Client, data: bytes) -> None:
        answer = client.post("api/pictures", params={"name": "../../dir/evil.png"}, content=data)
        assert answer.status_code == 422
        error = answer.json()["error"]
        assert error.startswith("evil.png: ")
        assert "\n" not in error

    def test_is_stored_anew(self, served: Served, client: httpx.Client) -> None:
        stream = io.BytesIO()
        exif = Image.Exif()
        exif[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
        Image.new("RGB", (20, 10), "red").save(stream, "JPEG", exif=exif, comment=b"<script>")
        answer = client.post(
            "api/pictures", params={"name": "a<b>.jpg"}, content=stream.getvalue() + b"<script>alert(1)"
        )
        id = answer.json()["id"]
        assert (answer.json()["width"], answer.json()["height"]) == (20, 10)
        kept = (served.state / "pictures" / f"{id}.png").read_bytes()
        assert kept.startswith(b"\x89PNG")
        assert b"script" not in kept
        assert client.get(f"api/pictures/{id}").content.startswith(b"\xff\xd8")

    @pytest.mark.parametrize(
        "name", ["../../../etc/passwd", "/etc/passwd", "C:\\x\\y.jpg", "nul", "x" * 5000, "\u202egpj.exe"]
    )
    def test_its_name_is_no_path(self, served: Served, client: httpx.Client, name: str) -> None:
        before = {path.name for path in (served.state / "pictures").iterdir()}
        data = (SAMPLES / "rocket.jpg").read_bytes()
        stored = client.post("api/pictures", params={"name": name}, content=data).json()
        new = {path.name for path in (served.state / "pictures").iterdir()} - before
        assert new == {f"{stored['id']}{ending}" for ending in (".png", ".jpg", ".json")}
        assert "/" not in stored["name"]
        assert len(stored["name"]) <= 80

    @pytest.mark.parametrize(
        "id", ["../room", "..%2froom", "/etc/passwd", "%2e%2e%2f%2e%2e", "0" * 32, "http://127.0.0.1/"]
    )
    def test_names_made_elsewhere_are_unknown(self, client: httpx.Client, id: str) -> None:
        assert client.get(f"api/pictures/{id}").status_code in (404, 405)
        assert client.get(f"api/jobs/{id}").status_code in (404, 405)
        style = upload(client, "woodcut.jpg")
        for asked in ({"content": id, "styles": [{"picture": style}]}, {"content": style, "styles": [{"picture": id}]}):
            answer = client.post("api/jobs", json=asked)
            assert answer.status_code == 422
            assert "no longer here" in answer.json()["error"]

    def test_a_recipe_is_never_a_path(self, client: httpx.Client, tmp_path: Path) -> None:
        file = tmp_path / "mine.toml"
        file.write_text("size = 100\n")
        answer = client.post("api/check", json={"recipe": str(file)})
        assert answer.status_code == 422
        assert "there is no recipe" in answer.json()["error"]


class TestOrders:
    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"settings": {"size": 5}}, "size is 5; expected a whole number at least 16 and at most 65536"),
            ({"settings": {"sise": 5}}, "a recipe has no field 'sise'; did you mean 'size'?"),
            ({"recipe": "draught"}, "there is no recipe 'draught'; did you mean 'draft'?"),
            ({"styles": []}, "no style picture was given; name at least one"),
            ({"nothing": 1}, "has no field 'nothing'"),
            ({"toml": "size ="}, "not TOML"),
            ({"styles": [{"picture": "x"}] * 9}, "9 style pictures; at most 8"),
        ],
    )
    def test_what_is_wrong_is_said_in_the_words_of_the_command_line(
        self, client: httpx.Client, change: dict[str, object], words: str
    ) -> None:
        style = upload(client, "woodcut.jpg")
        asked = {"content": style, "styles": [{"picture": style}], **change}
        answer = client.post("api/jobs", json=asked)
        assert answer.status_code == 422
        assert words in answer.json()["error"]

    def test_streams_are_bounded(self, served: Served) -> None:
        path = "/" + served.base.split("/", 3)[3]
        head = f"GET {path}api/events HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
        head += f"Authorization: Bearer {served.token}\r\n\r\n"
        lines = [socket.create_connection(("127.0.0.1", served.port), timeout=5) for _ in range(30)]
        codes = []
        for line in lines:
            line.sendall(head.encode())
            codes.append(line.recv(4096).split()[1])
        for line in lines:
            line.close()
        assert codes.count(b"503") >= 5
        with served.client() as client:
            assert client.get("api/jobs").status_code == 200

    def test_the_results_name_and_format_are_ours(self, client: httpx.Client) -> None:
        id = order(client, {"size": 32, "start_size": 32, "steps": [1]})
        for path in (f"api/jobs/{id}/result?ending=../../x", f"api/jobs/{id}/stages/99", f"api/jobs/{id}/stages/-1"):
            assert client.get(path).status_code in (200, 404)


class TestStarting:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--host", "0.0.0.0"], "name the one that you will open"),
            (["--host", "::"], "name the one that you will open"),
            (["--host", "192.0.2.1"], "--token-file"),
            (["--host", "evil.example"], "is no address"),
            (["--keep", "much"], "not an amount"),
        ],
    )
    def test_an_address_of_others_needs_more(self, options: list[str], words: str) -> None:
        from click.testing import CliRunner

        from impasto.cli import command

        result = CliRunner().invoke(command, ["serve", "--no-browser", *options])
        assert result.exit_code != 0
        assert words in f"{result.exception} {result.output}"

    def test_listens_on_this_computer_only(self, served: Served) -> None:
        name = socket.gethostbyname(socket.gethostname())
        if name.startswith("127."):
            pytest.skip("this computer has no other address")
        with pytest.raises(OSError, match=r"."):
            socket.create_connection((name, served.port), timeout=2)

    def test_a_folder_has_one_server(self, served: Served) -> None:
        with pytest.raises(AssertionError, match="another impasto serve"):
            start(served.state)

    def test_the_address_is_for_its_owner_only(self, served: Served) -> None:
        assert served.file.stat().st_mode & 0o077 == 0
        assert served.state.stat().st_mode & 0o077 == 0
