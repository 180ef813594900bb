"""Drives a headless Chromium through its DevTools pipe: loads a page, and collects its errors and pictures.

As a command it takes pictures: ``python tests/browser/chromium.py report.html FOLDER``.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    # A browser that believes its window to be hidden may draw no frames.
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    # No request of a page leaves this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)
SETTLED = """new Promise(done => {
    const task = () => setTimeout(done, 50);
    requestAnimationFrame(() => requestAnimationFrame(task));
    setTimeout(task, 10000);
})"""
"""Two frames and a task, or ten seconds: a busy browser was seen to draw no frame for a minute."""
LOCAL = ("file:", "data:", "blob:", "about:")


def find_browser() -> str | None:
    """Return the path of a Chromium, or ``None``."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Complaints:
    """The errors of a page."""

    console: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.console or self.exceptions or self.outside)


class Chromium:
    """One browser process with one tab; a context manager."""

    def __init__(self, binary: str, timeout: float = 60.0) -> None:
        self.timeout = timeout
        self.complaints = Complaints()
        self._loaded = False
        self._number = 0
        self._rest = b""
        self._profile = tempfile.mkdtemp(prefix="ilr-check-browser-")
        child_in, self._out = os.pipe()
        self._in, child_out = os.pipe()

        def wire() -> None:
            # DevTools reads on descriptor 3 and writes on 4. They are copied first, because both numbers may
            # be in use.
            reading, writing = os.dup(child_in), os.dup(child_out)
            os.dup2(reading, 3)
            os.dup2(writing, 4)

        self._process = subprocess.Popen(
            [binary, *FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            preexec_fn=wire,
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(child_in)
        os.close(child_out)
        target = self._call("Target.getTargets")["targetInfos"][0]["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session: str | None = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    def view(self, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        """Set the window and the preferred colour scheme."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", {"features": [scheme]})

    def load(self, url: str) -> None:
        """Load a page and wait until it is there."""
        self._loaded = False
        self.call("Page.navigate", {"url": url})
        deadline = time.monotonic() + self.timeout
        while not self._loaded:
            self._event(deadline)

    def open(self, url: str) -> Complaints:
        """Load a page, wait until its scripts have settled, and return its errors."""
        self.complaints = Complaints()
        self.load(url)
        # After two frames and a task, everything that the page does on load has happened, and so have its
        # errors.
        self.evaluate(SETTLED)
        return self.complaints

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, after waiting for it."""
        answer = self.call(
            "Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True}
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def screenshot(self, target: Path, *, full: bool = False, selector: str = "") -> None:
        """Write a PNG of the window, of the whole page, or of the first element that ``selector`` finds."""
        options: dict[str, Any] = {"format": "png"}
        if selector:
            box = self.evaluate(
                f"(r => ({{x: r.x + scrollX, y: r.y + scrollY, width: r.width, height: r.height}}))"
                f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
            )
            options |= {"captureBeyondViewport": True, "clip": box | {"scale": 1}}
        if full:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
            options |= {"captureBeyondViewport": True, "clip": clip}
        target.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", options)["data"]))

    def pdf(self, target: Path) -> None:
        """Print the page to a PDF."""
        answer = self.call("Page.printToPDF", {"printBackground": False, "preferCSSPageSize": True})
        target.write_bytes(base64.b64decode(answer["data"]))

    def call(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one DevTools command to the tab. Raises ``RuntimeError`` if the browser refuses it."""
        return self._call(method, parameters, self._session)

    def _call(
        self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None
    ) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters or {}}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        deadline = time.monotonic() + self.timeout
        while True:
            answer = self._event(deadline)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _event(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise TimeoutError(f"the browser said nothing for {self.timeout:.0f} s")
            block = os.read(self._in, 1 << 20)
            if not block:
                raise RuntimeError(f"the browser ended with code {self._process.wait()}")
            self._rest += block
        line, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, event: dict[str, Any]) -> None:
        found = self.complaints
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            details = event["exceptionDetails"]
            found.exceptions.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning", "assert"):
            found.console.append(
                f"{event['type']}: {[a.get('value', a.get('description')) for a in event['args']]}"
            )
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            found.console.append(f"{event['entry']['level']}: {event['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            url = event["request"]["url"]
            if not url.startswith(LOCAL):
                found.outside.append(url)


def axe(browser: Chromium) -> list[str]:
    """Return what axe-core finds wrong with the page, a line for each violation and its first elements."""
    script = (resources.files("axe_core_python") / "axe.min.js").read_text("utf-8")
    browser.evaluate(script + ";0")
    found = browser.evaluate("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)")
    return [
        f"{v['id']} ({len(v['nodes'])}): " + " | ".join(node["html"][:160] for node in v["nodes"][:3])
        for v in found
    ]


def main(report: Path, folder: Path) -> None:
    """Write pictures of a report: light and dark, wide and narrow, first screen and whole page, and a PDF."""
    binary = find_browser()
    if binary is None:
        raise SystemExit(f"no browser found; install one of {', '.join(NAMES)}")
    folder.mkdir(parents=True, exist_ok=True)
    with Chromium(binary) as browser:
        for width, height in ((1280, 800), (390, 844)):
            for dark in (False, True):
                browser.view(width=width, height=height, dark=dark)
                complaints = browser.open(report.resolve().as_uri())
                if complaints:
                    print(complaints, file=sys.stderr)
                name = f"{width}-{'dark' if dark else 'light'}"
                browser.screenshot(folder / f"{name}.png")
                browser.screenshot(folder / f"{name}-full.png", full=True)
        browser.view()
        browser.open(report.resolve().as_uri())
        browser.pdf(folder / "print.pdf")
    print(f"pictures in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
