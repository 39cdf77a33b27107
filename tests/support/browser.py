"""A headless Chromium for the tests of the pages: opens files, presses keys, catches downloads."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --mute-audio --window-size=1200,900"
).split()
KEYS = {"down": Keys.ARROW_DOWN, "up": Keys.ARROW_UP, "enter": Keys.ENTER, "escape": Keys.ESCAPE}


class Browser:
    """One browser; each test opens pages of its own in it."""

    def __init__(self, folder: Path):
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True)
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for flag in [*FLAGS, f"--user-data-dir={folder / 'profile'}"]:
            options.add_argument(flag)
        options.add_experimental_option("prefs", {"download.default_directory": str(self.downloads)})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)

    def open(self, page: Path, forget: bool = True) -> None:
        """Opens a page from the disk, with nothing stored by pages before it."""
        self.resize(1200)
        self.driver.get(page.resolve().as_uri())
        if forget:
            self.wait(self._forgets)

    def _forgets(self) -> bool:
        """Clears what is stored; whether the page came up without: the browser may hand on the old once."""
        self.run("localStorage.clear()")
        self.driver.refresh()
        return self.run(
            "return !localStorage.length && (typeof decisions === 'undefined' || !decisions.made.size)"
        )

    def resize(self, width: int, height: int = 900) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector: str) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """What is written in all elements of a selector, seen or not."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector
        )

    def press(self, *keys: str) -> None:
        """Presses keys one after the other, wherever the focus is."""
        for key in keys:
            webdriver.ActionChains(self.driver, duration=0).send_keys(KEYS.get(key, key)).perform()

    def choose(self, selector: str, value: str) -> None:
        Select(self.find(selector)).select_by_value(value)

    def wait(self, condition, seconds: float = 10):
        """What condition() gives once it is true."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "the page did not come to this"
            time.sleep(0.02)
        return found

    def downloaded(self, name: str, start) -> Path:
        """The file of that name that start() makes the page save; it is empty until all of it is there."""
        path = self.downloads / name
        path.unlink(missing_ok=True)
        start()
        self.wait(lambda: path.exists() and path.stat().st_size)
        return path

    def errors(self) -> list[str]:
        """What the console said since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses asked for since the last call, but for files and data."""
        events = [entry["message"] for entry in self.driver.get_log("performance")]
        sent = [event for event in events if '"Network.requestWillBeSent"' in event]
        return [event for event in sent if '"url":"http' in event or '"url":"ws' in event]

    def quit(self) -> None:
        self.driver.quit()
