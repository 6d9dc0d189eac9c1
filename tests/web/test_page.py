"""The page in a real browser: what a person sees and does."""

import io
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from impasto.picture import read_picture, remembered
from impasto.recipe import presets
from tests.web.served import SAMPLES, SLOW, Served, order, start, state_of, until

WAIT = 60_000  # ms

DROP = """async ([target, files]) => {
  const data = new DataTransfer();
  for (const [name, base64] of files) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    data.items.add(new File([bytes], name, {type: "image/jpeg"}));
  }
  const options = {dataTransfer: data, bubbles: true, cancelable: true};
  for (const kind of ["dragover", "drop"]) document.querySelector(target).dispatchEvent(new DragEvent(kind, options));
}"""


@pytest.fixture
def page(browser: Any, served: Served) -> Iterator[Any]:
    """The page as it is opened; whatever it complains of fails the test."""
    context = browser.new_context(viewport={"width": 1360, "height": 900}, accept_downloads=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    page.on("request", lambda request: None if request.url.startswith(served.base) else complaints.append(request.url))
    page.set_default_timeout(WAIT)
    page.goto(served.address)
    page.wait_for_selector("html[data-ready]", state="attached")
    yield page
    page.goto("about:blank")
    context.close()
    assert [each for each in complaints if not each.startswith(("blob:", "about:"))] == []


def wait(page: Any, expression: str, argument: object = None) -> None:
    """Wait until an expression is true; Playwright's own way would evaluate a text, which the page's policy forbids."""
    end = time.monotonic() + WAIT / 1000
    while not page.evaluate(expression, argument):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


def drop(page: Any, target: str, *names: str) -> None:
    import base64

    files = [[name, base64.b64encode((SAMPLES / name).read_bytes()).decode()] for name in names]
    page.evaluate(DROP, [target, files])


def choose(page: Any, **values: Any) -> None:
    page.locator("#drawer").evaluate("drawer => { drawer.open = true }")
    for name, value in values.items():
        control = page.locator(f"#c-{name}")
        control.fill(str(value))
        control.dispatch_event("change")


def job(page: Any) -> str:
    wait(page, "/^#[0-9a-f]{16}$/.test(location.hash)")
    return str(page.url.partition("#")[2])


def test_drop_watch_reload_and_take_home(page: Any, served: Served, tmp_path: Path) -> None:
    assert "token" not in page.url
    drop(page, "#board", "chelsea.jpg", "woodcut.jpg")
    page.wait_for_selector("#style-cards figure")
    page.select_option("#recipe", "draft")
    choose(page, size=64, start_size=32, steps="12, 12")
    page.click("#paint")
    id = job(page)
    page.wait_for_selector("#shown[data-number]")
    first = page.get_attribute("#shown", "data-number")
    wait(page, "(before) => document.querySelector('#shown').dataset.number !== before", first)
    page.reload()
    page.wait_for_selector("#takeaway:not([hidden])")
    assert page.url.endswith(f"#{id}")
    assert page.locator("#style-cards figure").count() == 1
    assert page.input_value("#c-size") == "64"
    wait(page, "document.querySelector('#shown').naturalWidth === 64")
    for ending in (".png", ".jpg", ".tif"):
        page.select_option("#format", ending)
        with page.expect_download() as found:
            page.click("#download")
        file = tmp_path / f"out{ending}"
        found.value.save_as(file)
        memory = remembered(io.BytesIO(file.read_bytes()))
        assert memory is not None
        assert memory.recipe == presets.get("draft").replace(size=64, start_size=32, steps=(12, 12))
    page.click("#line-details summary")
    command = page.text_content("#command")
    assert command.startswith("impasto stylize chelsea.jpg woodcut.jpg --recipe draft --size 64")
    page.fill("#compare", "50")
    assert page.is_visible("#before")
    page.fill("#rewind", "0")
    wait(page, "document.querySelector('#shown').src.includes('/stages/0')")
    with served.client() as client:
        assert state_of(client, id) == "finished"


def test_pause_steer_and_stop(page: Any, client: httpx.Client) -> None:
    id = order(client, SLOW)
    page.goto(page.url.partition("#")[0] + f"#{id}")
    page.wait_for_selector("#pause:not([hidden])")
    wait(page, "document.querySelector('#line').textContent.includes('step')")
    page.click("#pause")
    wait(page, "document.querySelector('#pause').textContent === 'Go on'")
    assert state_of(client, id) == "paused"
    page.click("#pause")
    until(lambda: state_of(client, id) == "running")
    choose(page, style_scale=1.5)
    until(lambda: client.get(f"api/jobs/{id}").json()["order"]["settings"].get("style_scale") == 1.5)
    page.click("#stop")
    until(lambda: state_of(client, id) == "stopped")
    page.wait_for_selector("#takeaway:not([hidden])")
    wait(page, "document.querySelector('#line').textContent.includes('stopped')")


def test_a_sheet_of_values(page: Any, client: httpx.Client, tmp_path: Path) -> None:
    drop(page, "#board", "chelsea.jpg", "woodcut.jpg")
    page.wait_for_selector("#style-cards figure")
    page.select_option("#recipe", "draft")
    choose(page, size=48, start_size=48, steps="4")
    page.click("#sheet summary")
    page.click("#paint-sheet")
    assert page.text_content("#sheet-error") == "Choose a setting to compare."
    page.select_option("#vary-0", "content_weight")
    assert len(page.input_value("#vary-0-values").split(",")) == 3
    page.select_option("#vary-1", "colors")
    assert page.input_value("#vary-1-values") == "style, content, luminance, match"
    page.fill("#vary-1-values", "style, none")
    page.click("#paint-sheet")
    wait(page, "document.querySelector('#sheet-error').textContent.includes('colors')")
    page.fill("#vary-0-values", "0.03, 0.3")
    page.fill("#vary-1-values", "style, match")
    page.click("#paint-sheet")
    id = job(page)
    page.wait_for_selector("#takeaway:not([hidden])")
    assert state_of(client, id) == "finished"
    assert page.text_content("#sheet-error") == ""
    wait(page, "document.querySelector('#shown').naturalWidth > 2 * 48")
    with page.expect_download() as found:
        page.click("#download")
    found.value.save_as(tmp_path / "sheet.png")
    assert read_picture(tmp_path / "sheet.png").width == page.evaluate("document.querySelector('#shown').naturalWidth")
    assert page.is_hidden("#again")
    assert page.is_hidden("#compare-tool")
    command = page.text_content("#command")
    assert "impasto sweep chelsea.jpg woodcut.jpg" in command
    assert "--vary content-weight=0.03,0.3 --vary colors=style,match" in command
    page.reload()
    page.wait_for_selector("#takeaway:not([hidden])")
    assert page.input_value("#vary-1-values") == "style, match"


def test_errors_are_where_they_belong(page: Any, tmp_path: Path) -> None:
    page.click("#paint")
    assert "Choose a photo" in page.text_content("#order-error")
    choose(page, size=3)
    wait(page, "document.querySelector('#c-size-error').textContent.includes('size is 3; expected')")
    choose(page, size=64)
    wait(page, "document.querySelector('#c-size-error').textContent === ''")
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"nothing")
    page.set_input_files("#content-file", str(bad))
    wait(page, "document.querySelector('#tray-error').textContent.startsWith('bad.png: ')")


def test_a_mask_is_painted(page: Any, client: httpx.Client) -> None:
    drop(page, ".tray[data-role=content]", "chelsea.jpg")
    page.wait_for_selector("#content-cards figure")
    drop(page, ".tray[data-role=style]", "woodcut.jpg", "mosaic.jpg")
    wait(page, "document.querySelectorAll('#style-cards figure').length === 2")
    page.click("#content-cards button:has-text('Mask')")
    page.wait_for_selector("#masks[open]")
    wait(page, "document.querySelector('#masks-picture').naturalWidth > 0")
    box = page.locator("#masks-canvas").bounding_box()
    page.check("#brushes label:nth-of-type(2) input")
    page.mouse.move(box["x"] + 30, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 30, box["y"] + 60, steps=8)
    page.mouse.up()
    page.check("#brushes label:nth-of-type(3) input")
    page.focus("#masks-canvas")
    page.keyboard.press("Space")
    page.click("#masks-done")
    page.wait_for_selector("#content-cards button:has-text('Change mask')")
    choose(page, size=48, start_size=48, steps="2")
    page.click("#paint")
    id = job(page)
    detail = until(lambda: (d := client.get(f"api/jobs/{id}").json())["state"] in ("finished", "failed") and d)
    assert detail["error"] == ""
    assert detail["order"]["content_mask"]
    assert detail["order"]["protect"]
    assert "--content-mask" in detail["command"]


def test_a_mask_is_painted_with_a_finger(browser: Any, served: Served) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(served.address)
    page.wait_for_selector("html[data-ready]", state="attached")
    assert page.is_visible("label[for=content-camera]")
    drop(page, ".tray[data-role=content]", "chelsea.jpg")
    page.tap("#content-cards button:has-text('Mask')")
    wait(page, "document.querySelector('#masks-picture').naturalWidth > 0")
    page.locator("#masks-canvas").scroll_into_view_if_needed()
    box, before = page.locator("#masks-canvas").bounding_box(), page.evaluate("scrollY")
    finger = context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in places]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (0.2, 0.2))
    for step in range(1, 11):
        touch("touchMove", (0.2, 0.2 + 0.06 * step))
    touch("touchEnd")
    # The stroke is painted along the whole path, and the page did not scroll.
    opaque = """([x, y]) => { const canvas = document.querySelector('#masks-canvas');
        return canvas.getContext('2d').getImageData(x * canvas.width, y * canvas.height, 1, 1).data[3] }"""
    assert [page.evaluate(opaque, [0.2, y]) > 200 for y in (0.2, 0.5, 0.8)] == [True] * 3
    assert page.evaluate(opaque, [0.8, 0.5]) == 0
    assert page.evaluate("scrollY") == before
    # No tap: at the moment at which a drag ends, Chromium takes one as its end. A click is no part of a gesture.
    page.click("#masks-done")
    page.wait_for_selector("#content-cards button:has-text('Change mask')")
    context.close()


def test_each_painting_and_the_start_are_set(page: Any, client: httpx.Client) -> None:
    assert page.is_hidden("label[for=content-camera]")
    drop(page, "#board", "chelsea.jpg", "woodcut.jpg")
    page.wait_for_selector("#style-cards figure")
    card = page.locator("#style-cards figure")
    assert card.locator("input").count() == 0
    drop(page, ".tray[data-role=style]", "mosaic.jpg")
    wait(page, "document.querySelectorAll('#style-cards figure').length === 2")
    for index, (name, value) in enumerate((("Weight", "0.5"), ("Scale", "-1"))):
        assert name in card.nth(1).locator("label").nth(index).text_content()
        card.nth(1).locator("input").nth(index).fill(value)
    assert card.nth(1).locator("output").all_text_contents() == ["0.5", "0.5"]
    card.nth(0).locator("select").select_option("fine")
    page.click("#start summary")
    page.set_input_files("#start-file", str(SAMPLES / "coffee.jpg"))
    page.wait_for_selector("#start-cards figure")
    choose(page, size=48, start_size=48, steps="2")
    page.click("#paint")
    id = job(page)
    detail = until(lambda: (d := client.get(f"api/jobs/{id}").json())["state"] in ("finished", "failed") and d)
    assert detail["error"] == ""
    assert "--style-weights 1,0.5 --style-scales 1,0.5 --style-parts fine,all" in detail["command"]
    assert "--init coffee.jpg" in detail["command"]
    page.reload()
    page.wait_for_selector("#start-cards figure")
    assert card.nth(1).locator("output").all_text_contents() == ["0.5", "0.5"]
    assert card.nth(0).locator("select").input_value() == "fine"
    # More like this starts from the stage shown, and no longer from that of another photo.
    page.wait_for_selector("#takeaway:not([hidden])")
    page.click("#again")
    wait(page, "(id) => location.hash.length === 17 && location.hash !== `#${id}`", id)
    wait(page, "document.querySelector('#start-cards').textContent.includes('stage.jpg')")
    again = job(page)
    assert "--init stage.jpg" in client.get(f"api/jobs/{again}").json()["command"]
    drop(page, ".tray[data-role=content]", "coffee.jpg")
    wait(page, "document.querySelectorAll('#start-cards figure').length === 0")
    # A page opened while it is painted would show it, and no samples.
    until(lambda: client.get(f"api/jobs/{again}").json()["state"] == "finished")


def test_keyboard_alone(page: Any, client: httpx.Client) -> None:
    """From the top of the page to a painting, without a pointer."""

    def to(name: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            focused = page.evaluate("(document.activeElement.textContent || document.activeElement.id).trim()")
            # Between the last control and the first, the focus is on the page itself, whose text contains every name.
            if name in focused and not page.evaluate("document.activeElement === document.body"):
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none"
                return
        raise AssertionError(f"no way to {name}")

    to("Skip to the picture")
    page.keyboard.press("Enter")
    page.wait_for_selector("button:has-text('chelsea in watercolor')")
    to("chelsea in watercolor")
    page.keyboard.press("Enter")
    page.wait_for_selector("#style-cards figure")
    choose(page, size=48, start_size=48, steps="2")
    page.focus("#recipe")
    to("Paint")
    page.keyboard.press("Enter")
    id = job(page)
    until(lambda: state_of(client, id) == "finished")
    wait(page, "document.querySelector('#status').textContent === 'Finished'")
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "easel"
    assert job(page) == id
    # With other pictures chosen, no message or mark of the old one is left.
    assert page.locator("#gallery-list [aria-current]").count() == 1
    page.click("#content-cards button:has-text('Remove')")
    wait(page, "document.querySelector('#status').textContent === ''")
    assert page.locator("#gallery-list [aria-current]").count() == 0


def test_seven_pages_at_once(browser: Any, served: Served) -> None:
    context = browser.new_context()
    pages = [context.new_page() for _ in range(7)]
    for each in pages:
        each.goto(served.address)
        each.wait_for_selector("html[data-ready]", state="attached", timeout=WAIT)
    with served.client() as client:
        id = order(client, {"size": 32, "start_size": 32, "steps": [1]})
    for each in pages:
        # A hidden page sends no requests until it is shown.
        each.bring_to_front()
        each.wait_for_selector(f"#gallery-list a[href='#{id}']", state="attached", timeout=WAIT)
    context.close()


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from npm; its licence, MPL-2.0, is why it is not in the repository."""
    if named := os.environ.get("IMPASTO_AXE"):
        return Path(named).read_text(encoding="utf-8")
    npm = shutil.which("npm") or pytest.skip("no npm here to fetch axe-core with; or name axe.min.js in IMPASTO_AXE")
    folder = tmp_path_factory.mktemp("axe")
    fetched = subprocess.run(
        [npm, "pack", "axe-core@4.14.1"], cwd=folder, capture_output=True, check=False, timeout=120
    )
    if fetched.returncode:
        pytest.skip("axe-core cannot be fetched from here; name axe.min.js in IMPASTO_AXE")
    shutil.unpack_archive(next(folder.glob("*.tgz")), folder, "gztar", filter="data")
    return (folder / "package" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1360, 390])
def test_axe_finds_nothing(page: Any, client: httpx.Client, axe: str, scheme: str, width: int) -> None:
    def check(where: str) -> None:
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == [], where

    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    check("empty")
    id = order(client, {"size": 32, "start_size": 32, "steps": [2]})
    until(lambda: state_of(client, id) == "finished")
    page.goto(page.url.partition("#")[0] + f"#{id}")
    page.wait_for_selector("#takeaway:not([hidden])")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
    check("finished")
    page.locator("#content-cards button:has-text('Mask')").click()
    page.wait_for_selector("#masks[open]")
    check("masks")
    page.keyboard.press("Escape")
    page.wait_for_selector("#masks:not([open])", state="attached")


def test_says_when_the_server_is_gone(browser: Any, tmp_path: Path) -> None:
    served = start(tmp_path / "state")
    context = browser.new_context()
    page = context.new_page()
    page.goto(served.address)
    page.wait_for_selector("html[data-ready]", state="attached", timeout=WAIT)
    served.stop()
    wait(page, "document.querySelector('#order-error').textContent.includes('does not answer')")
    context.close()
