"""A headless Chromium that types, measures and tells its console, over the WebDriver protocol."""

import re
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
DRIVER = shutil.which("chromedriver")
AXE = Path(sys.prefix) / "node_modules" / "axe-core" / "axe.min.js"
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
KEYS = {"Escape": "\ue00c", "Enter": "\ue007", "ArrowDown": "\ue015", "ArrowUp": "\ue013"}


class Browser:
    """One window."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=60, trust_env=False)
        options = {"binary": CHROMIUM, "args": list(OPTIONS)}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self.post("/session", capabilities={"alwaysMatch": wanted})
        self.session = f"/session/{made['sessionId']}"

    def post(self, path: str, **body: Any) -> Any:
        answer = self.http.post(path, json=body).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer), answer
        return answer

    def open(self, url: str) -> None:
        self.post(f"{self.session}/url", url=url)

    def resize(self, width: int, height: int = 900) -> None:
        """Make the page itself so wide; a window would be no narrower than 500."""
        told = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", told)

    def command(self, name: str, params: dict[str, Any]) -> Any:
        return self.post(f"{self.session}/goog/cdp/execute", cmd=name, params=params)

    def ask(self, script: str, *args: Any) -> Any:
        """Return what a script returns, or what its promise comes to."""
        return self.post(f"{self.session}/execute/sync", script=script, args=list(args))

    def until(self, script: str) -> None:
        """Wait until a script says yes, ten seconds at most."""
        wait = "const end = Date.now() + 1e4; return (async () => { while (Date.now() < end) {"
        rest = "} return false })()"
        tick = "await new Promise((next) => setTimeout(next, 10));"
        says_yes = self.ask(f"{wait} if ((() => {{ {script} }})()) return true; {tick} {rest}")
        assert says_yes, f"never true: {script}; the console says {self.console()}"

    def press(self, *keys: str) -> None:
        """Press keys one after the other, on what has the focus."""
        for key in keys:
            value = KEYS.get(key, key)
            steps = [{"type": kind, "value": value} for kind in ("keyDown", "keyUp")]
            source = {"type": "key", "id": "keys", "actions": steps}
            self.post(f"{self.session}/actions", actions=[source])

    def console(self) -> list[str]:
        return [line["message"] for line in self.post(f"{self.session}/se/log", type="browser")]

    def shoot(self, path: Path) -> None:
        shot = self.command("Page.captureScreenshot", {"captureBeyondViewport": True})
        path.write_bytes(b64decode(shot["data"]))

    def findings(self) -> list[str]:
        """Return what axe-core finds that is serious or worse, with the first place of each."""
        self.ask(AXE.read_text(encoding="utf-8"))
        found = self.ask("return axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary']}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@contextmanager
def driven() -> Iterator[Browser]:
    """Start a driver with one window, and end both."""
    assert DRIVER
    command = [DRIVER, "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout
        said = (re.search(r"on port (\d+)", line) for line in driver.stdout)
        port = next(found[1] for found in said if found and found[1] != "0")
        browser = Browser(f"http://127.0.0.1:{port}")
        try:
            yield browser
        finally:
            browser.http.delete(browser.session)
            browser.http.close()
            driver.terminate()
