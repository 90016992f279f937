"""The portal as a person meets it: Chromium, every page, both languages, desk and phone."""

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from kernel import clock
from pipeline.settings import ROOT
from tests.browser import launched, opened
from tests.pipeline.world import CLAIM
from tests.portal.county import NAME, OTHER_NAME, PASSWORD, SCRIPT

pytestmark = pytest.mark.browser

SHOTS = ROOT / "artefacts" / "screenshots"
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
PAGES = {
    "streams": "/streams",
    "quarantine": "/quarantine",
    "metrics": "/metrics",
    "claims": "/claims",
    "claim": f"/claims/{CLAIM}",
}


@pytest.fixture(scope="module")
def address(portal: FastAPI) -> Iterator[str]:
    """Serve the portal on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        config = uvicorn.Config(portal, ws="none", log_level="warning", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
        thread.start()
        deadline = clock.monotonic() + 30
        while not server.started and thread.is_alive() and clock.monotonic() < deadline:
            clock.sleep(0.01)
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    SHOTS.mkdir(parents=True, exist_ok=True)
    with launched() as browser:
        yield browser


def log_in(page: Page, name: str) -> None:
    page.goto("/login")
    page.get_by_label("用户名").fill(name)
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("button", name="退出")).to_be_visible()


def look(page: Page, name: str) -> None:
    """Open every detail, see that only cards scroll sideways, and keep a picture."""
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    page.evaluate("document.fonts.ready")
    width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0, f"{name} is {width} pixels wider than the screen"
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


@pytest.mark.parametrize(("device", "size"), [("desk", DESK), ("phone", PHONE)])
def test_an_engineer_sees_every_page(
    chromium: Browser, address: str, device: str, size: dict[str, int]
) -> None:
    with opened(chromium, address, size) as page:
        page.goto("/login")
        look(page, f"{device}-login")
        log_in(page, "engineer")
        for name, path in PAGES.items():
            page.goto(path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            if name == "metrics":
                expect(page.locator(".chart svg path[stroke='#0f766e']").first).to_be_visible()
            look(page, f"{device}-{name}")


@pytest.mark.parametrize(("device", "size"), [("desk", DESK), ("phone", PHONE)])
def test_every_page_reads_in_english(
    chromium: Browser, address: str, device: str, size: dict[str, int]
) -> None:
    with opened(chromium, address, size) as page:
        log_in(page, "engineer")
        page.goto("/quarantine?reason=seller_uscc.format")
        page.get_by_role("button", name="English").click()
        expect(page).to_have_url(re.compile(r"/quarantine\?reason=seller_uscc\.format$"))
        expect(page.locator("html")).to_have_attribute("lang", "en")
        for name, path in PAGES.items():
            page.goto(path)
            look(page, f"{device}-{name}-en")
        expect(page.get_by_text("Provisional readings").first).to_be_visible()


def test_the_chart_draws_a_line_for_each_factory(chromium: Browser, address: str) -> None:
    with opened(chromium, address, DESK) as page:
        log_in(page, "leader")
        chart = page.locator(".chart svg")
        expect(chart.locator("path[stroke='#0f766e']").first).to_be_visible()
        expect(chart.locator("path[stroke='#b45309']").first).to_be_visible()
        expect(chart.get_by_text("2023-11").first).to_be_visible()
        # The tooltip is made of the same names: a hostile one must stay a name.
        page.locator(".chart").hover()
        expect(page.locator(".chart").get_by_text(OTHER_NAME).last).to_be_visible()
        assert page.locator(".chart img").count() == 0


def test_a_planted_script_is_text(chromium: Browser, address: str) -> None:
    with opened(chromium, address, DESK) as page:
        log_in(page, "factory")
        page.goto("/quarantine")
        page.locator("summary", has_text="PI-HOSTILE").click()
        expect(page.locator("pre", has_text=SCRIPT)).to_be_visible()


def test_the_keyboard_alone_opens_a_line(chromium: Browser, address: str) -> None:
    with opened(chromium, address, DESK) as page:
        log_in(page, "auditor")
        page.goto(f"/claims/{CLAIM}")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="跳到正文")).to_be_focused()
        page.keyboard.press("Enter")
        summary = page.locator("#line-1 summary")
        for _ in range(10):
            page.keyboard.press("Tab")
            if summary.evaluate("(each) => each === document.activeElement"):
                break
        expect(summary).to_be_focused()
        outline = summary.evaluate("(each) => getComputedStyle(each).outlineWidth")
        assert outline != "0px"
        page.keyboard.press("Enter")
        expect(page.locator("#line-1 dl")).to_be_visible()


def test_the_streams_page_keeps_itself_current(chromium: Browser, address: str) -> None:
    with opened(chromium, address, DESK) as page:
        page.clock.install()
        log_in(page, "engineer")
        expect(page.get_by_text(NAME).first).to_be_visible()
        with page.expect_response("**/streams") as answered:
            page.clock.fast_forward(11_000)
        assert answered.value.request.headers["hx-request"] == "true"
        # The session ends elsewhere: the whole page goes to the form, not a part of it.
        page.context.clear_cookies()
        page.clock.fast_forward(11_000)
        expect(page.get_by_label("密码")).to_be_visible()
        expect(page.get_by_role("navigation")).to_have_count(0)


def test_a_pack_is_downloaded(chromium: Browser, address: str, tmp_path: Path) -> None:
    with opened(chromium, address, DESK) as page:
        log_in(page, "factory")
        page.goto(f"/claims/{CLAIM}")
        with page.expect_download() as download:
            page.get_by_role("link", name="下载证据包").click()
        download.value.save_as(tmp_path / "pack.zip")
        assert (tmp_path / "pack.zip").read_bytes().startswith(b"PK")
        page.get_by_role("button", name="退出").click()
        expect(page.get_by_label("密码")).to_be_visible()
