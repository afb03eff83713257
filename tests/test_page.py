"""The page in headless Chromium: seen, sent to, turned, switched; no error, no serious fault of access."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from serving import DATASETS, TRUCK, Served, post_load, put_truck, served

PAGE = Path(__file__).parents[1] / "volest" / "serve" / "page"
LANGUAGES = ("en", "id")
VIEWS = ("", "loads", "trucks", "map", "upload")
PATIENCE_S = 20.0
pytest.importorskip("fastapi")
needs_browser = pytest.mark.skipif(shutil.which("chromedriver") is None, reason="no chromium")


# --- what needs no browser --------------------------------------------------------------------------------------------


def texts(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((PAGE / "texts" / f"{language}.json").read_text("utf-8"))
    return found


def test_languages_have_the_same_keys_and_places() -> None:
    english, indonesian = (texts(language) for language in LANGUAGES)
    assert english.keys() == indonesian.keys()
    for key, text in english.items():
        assert text.strip()
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", indonesian[key])), key


def test_every_text_that_is_asked_for_is_there() -> None:
    asked: set[str] = set()
    for path in PAGE.glob("*.js"):
        asked |= set(re.findall(r"\bt\('(\w+)'", path.read_text("utf-8")))
        asked |= set(re.findall(r"\b(?:row|head|button|choice)\('(\w+)'", path.read_text("utf-8")))
    for path in PAGE.glob("*.html"):
        asked |= set(re.findall(r"data-text=\"(\w+)\"", path.read_text("utf-8")))
        asked |= set(re.findall(r"\btext\.(\w+)", path.read_text("utf-8")))
    asked -= {"truck_id", "district", "status"}  # names of queries
    assert asked <= texts("en").keys()


def test_every_flag_has_words() -> None:
    table = (PAGE.parents[2] / "docs" / "result.md").read_text("utf-8").split("## Flags")[1].split("##")[0]
    told = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert len(told) > 20
    assert {f"flag_{flag}" for flag in told} | {f"means_{flag}" for flag in told} <= texts("id").keys()


def test_nothing_comes_from_elsewhere() -> None:
    for path in PAGE.rglob("*"):
        if path.is_file() and path.parent.name != "vendor":
            outside = re.findall(r"https?://(?!www\.w3\.org/)[\w.]+", path.read_text("utf-8"))
            assert outside == [], path


# --- in the browser ---------------------------------------------------------------------------------------------------


class Browser:
    """Chromium at a service; what it complains of fails the test."""

    def __init__(self, server: Served) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.server = server
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))

    def open(self, view: str = "", language: str = "en", width: int = 1280) -> None:
        self.driver.set_window_size(width, 1000)
        self.driver.get("about:blank")  # a change of the part behind # alone loads nothing
        self.driver.get(f"{self.server.url}/#/{view}")
        heading = "return document.querySelector('main h1')?.textContent"
        self.until(heading)  # by then the page has noted the language that it comes in
        if self.driver.execute_script("return document.documentElement.lang") != language:
            self.driver.execute_script(f"localStorage.setItem('volest-language', '{language}')")
            self.driver.refresh()
            self.until(heading)

    def until(self, script: str, patience_s: float = PATIENCE_S) -> Any:
        """What a script gives once it is something."""
        until_s = time.monotonic() + patience_s
        while time.monotonic() < until_s:
            if found := self.driver.execute_script(script):
                return found
            time.sleep(0.05)
        pytest.fail(f"{script}: nothing within {patience_s} s; {self.text()[:500]}")

    def text(self) -> str:
        return str(self.driver.find_element("tag name", "body").text)

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "DEBUG"]

    def faults(self) -> list[str]:
        """What axe-core calls serious or critical."""
        self.driver.execute_script((files("axe_core_python") / "axe.min.js").read_text("utf-8"))
        script = "const done = arguments[0]; axe.run(document).then((found) => done(found.violations))"
        found = self.driver.execute_async_script(script)
        bad = [fault for fault in found if fault["impact"] in ("serious", "critical")]
        return [f"{fault['id']}: {fault['nodes'][0]['html'][:200]}" for fault in bad]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    pytest.importorskip("selenium")
    with served(tmp_path_factory.mktemp("page") / "data", "--no-auth") as running:
        with running.client() as client:
            put_truck(client, TRUCK).raise_for_status()
            post_load(client, TRUCK, load_id="first", district="Utara", lat="-1.19", lon="116.85", gross_kg="6520")
        yield running


@pytest.fixture(scope="module")
def browser(server: Served) -> Iterator[Browser]:
    made = Browser(server)
    yield made
    made.driver.quit()


@needs_browser
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("view", [*VIEWS, "load/first"])
def test_view_is_sound_on_a_screen_and_a_phone(browser: Browser, view: str, language: str) -> None:
    browser.open(view, language)
    words = texts(language)
    assert words["nav_today"] in browser.text()
    assert browser.faults() == []
    browser.driver.set_window_size(500, 1000)  # the least that Chromium's windows have
    wide = browser.driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    assert browser.complaints() == []


@needs_browser
def test_a_load_that_is_sent_appears_and_turns(browser: Browser) -> None:
    browser.open("upload")
    browser.driver.find_element("id", "files").send_keys(str(DATASETS / "half-full-overhead" / "top.npz"))
    browser.driver.find_element("id", "gross").send_keys("6000")
    browser.driver.find_element("css selector", "button[type=submit]:not(dialog *)").click()
    browser.until("return location.hash.startsWith('#/load/')")
    canvas = browser.until("return document.querySelector('canvas[tabindex]')")
    time.sleep(0.5)
    before = canvas.screenshot_as_png
    canvas.send_keys("\ue012" * 3)  # the left arrow
    time.sleep(0.3)
    assert canvas.screenshot_as_png != before
    assert "m³" in browser.text()
    assert browser.complaints() == []


@needs_browser
def test_what_cannot_be_read_is_told(browser: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pcd"
    bad.write_text("no points", "utf-8")
    browser.open("upload")
    browser.driver.find_element("id", "files").send_keys(str(bad))
    browser.driver.find_element("css selector", "button[type=submit]:not(dialog *)").click()
    assert "bad.pcd" in browser.until("return document.querySelector('.wrong[role=alert]:not(dialog *)')?.textContent")
    browser.complaints()  # the browser itself notes the answer 422


@needs_browser
def test_a_load_comes_by_itself_and_the_language_changes(browser: Browser, server: Served) -> None:
    browser.open()
    browser.until("return document.querySelector('#live').classList.contains('on')")
    with server.client() as client:
        post_load(client, TRUCK, load_id="live-one", district="Barat")
    browser.until("return document.querySelector('[data-load=live-one]') !== null")
    browser.driver.find_element("id", "language").click()
    browser.until(f"return document.body.textContent.includes('{texts('id')['latest']}')")
    assert browser.driver.execute_script("return document.documentElement.lang") == "id"
    assert browser.complaints() == []


@needs_browser
@pytest.mark.parametrize("language", LANGUAGES)
def test_ticket_and_its_check(browser: Browser, server: Served, language: str) -> None:
    with server.client() as client:
        code = client.get("/v1/loads/first").json()["ticket_code"]
    browser.driver.get(f"{server.url}/v1/loads/first/ticket?lang={language}")
    shown = browser.text()
    assert texts(language)["ticket"] in shown
    assert code[:4] in shown
    assert browser.driver.find_elements("css selector", "svg.qr, svg.picture")
    assert browser.faults() == []
    browser.driver.get(f"{server.url}/check/{code}?lang={language}")
    assert texts(language)["check_known"] in browser.text()
    assert browser.faults() == []
    browser.driver.get(f"{server.url}/check/0000000000000000?lang={language}")
    assert texts(language)["check_unknown"] in browser.text()
    browser.complaints()  # the browser itself notes the answer 404


@needs_browser
def test_everything_is_reached_by_keyboard(browser: Browser) -> None:
    from selenium.webdriver import ActionChains, Keys

    browser.open("loads")
    browser.until("return document.querySelector('[data-load=first]')")
    reached = set()
    for _ in range(25):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        at = "const at = document.activeElement; return at.getAttribute('href') ?? at.tagName"
        reached.add(browser.driver.execute_script(at))
    assert {"#/", "#/loads", "#/trucks", "#/map", "#/upload", "#/load/first", "SELECT", "BUTTON"} <= reached


@needs_browser
def test_a_token_is_asked_for_once(tmp_path: Path) -> None:
    pytest.importorskip("selenium")
    with served(tmp_path / "data") as running:
        browser = Browser(running)
        try:
            browser.driver.get(f"{running.url}/")
            browser.until("return document.querySelector('dialog').open")
            assert browser.faults() == []
            secret = browser.driver.find_element("id", "secret")
            secret.send_keys("wrong\n")
            browser.until("return document.querySelector('#token_wrong').textContent")
            secret.clear()
            secret.send_keys((tmp_path / "data" / "operator.token").read_text("utf-8"))
            browser.until("return !document.querySelector('dialog').open && document.querySelector('main h1')")
        finally:
            browser.driver.quit()
