"""Drives Debian's Chromium through Playwright; what goes wrong on a page is an error."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
]


@contextmanager
def launched() -> Iterator[Browser]:
    """Start the browser of this machine."""
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    assert found, "no Chromium here: apt-get install chromium fonts-noto-cjk"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=_ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(chromium: Browser, address: str, size: dict[str, int]) -> Iterator[Page]:
    """Open a page of a new profile; at the end nothing went wrong and nothing came from afar."""
    context = chromium.new_context(base_url=address, viewport=size, locale="zh-CN")
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda each: said.append(f"{page.url}: {each.type} {each.text}"))
    page.on("pageerror", lambda each: said.append(f"{page.url}: {each}"))
    page.on("dialog", lambda each: said.append(f"a planted script ran: {each.message}"))
    page.on("request", lambda each: asked.append(each.url))
    yield page
    context.close()
    assert not said
    far = [each for each in asked if not each.startswith((f"{address}/", "data:"))]
    assert not far
