"""A headless Chromium that opens pages and is asked what it shows, over a pipe (Chrome DevTools Protocol)."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
"""Where Chromium is, None if there is none."""
DRAWN = (
    "document.readyState === 'complete' && [...document.querySelectorAll('.chart')]"
    ".every(box => box.closest('details:not([open])') || box.querySelector('.cartesianlayer .subplot'))"
)
"""Whether all charts of a page are there but those that are folded away."""
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
_PATIENCE_S = 60.0


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are neither file 3 nor file 4."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(end)
    return ends[0], ends[1]


class Chromium:
    """A browser with one page.

    Parameters
    ----------
    profile : Path
        Folder for its profile.
    size : tuple of int
        Width and height of its window [px].
    """

    def __init__(self, profile: Path, size: tuple[int, int] = (1400, 1000)) -> None:
        (to_read, self._to), (self._from, to_write) = _pipe(), _pipe()
        # it reads commands from file 3 and writes answers to file 4
        shell = ["bash", "-c", f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}', str(PROGRAM)]
        self._process = subprocess.Popen(
            [*shell, *_FLAGS, f"--window-size={size[0]},{size[1]}", f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._buffer, self._number, self._session = b"", 0, ""
        self.told: list[dict[str, Any]] = []
        """Errors, exceptions and requests of the page, as they came."""
        targets = self._call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(10)
        os.close(self._to)
        os.close(self._from)

    def go(self, page: Path) -> None:
        """Begin to open a page."""
        self.told.clear()
        self._call("Page.navigate", url=page.as_uri())

    def open(self, page: Path) -> None:
        """Open a page and wait until all charts that are not folded away are drawn."""
        self.go(page)
        self.wait(DRAWN)

    def ask(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + _PATIENCE_S
        while not self.ask(script):
            if time.monotonic() > until:
                raise TimeoutError(script)
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """Click into the middle of the first element a selector finds."""
        x, y = self._middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def _middle(self, selector: str) -> tuple[float, float]:
        """Where the middle of an element is, after scrolling to it."""
        place = f"""(() => {{
          const element = document.querySelector({json.dumps(selector)});
          element.scrollIntoView({{behavior: 'instant', block: 'center'}});
          const box = element.getBoundingClientRect();
          return [box.x + box.width / 2, box.y + box.height / 2];
        }})()"""
        x, y = self.ask(place)
        return x, y

    def press(self, key: str) -> None:
        """Press a key, in the element that has the focus."""
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, text=key if len(key) == 1 else "")

    def become_phone(self, yes: bool = True) -> None:
        """Show pages opened from now on as a phone does: 390 px wide, moved by a finger."""
        if yes:
            self._call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
        else:
            self._call("Emulation.clearDeviceMetricsOverride")
        self._call("Emulation.setTouchEmulationEnabled", enabled=yes)

    def swipe(self, selector: str, up_px: int) -> None:
        """Move a finger upwards, from the middle of the first element a selector finds."""
        x, y = self._middle(selector)
        self._call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        for part in range(1, 11):
            point = {"x": x + part, "y": y - up_px * part / 10}
            self._call("Input.dispatchTouchEvent", type="touchMove", touchPoints=[point])
        self._call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot")["data"]))

    def count_thread_time(self) -> None:
        """Count what the page's thread computes, not how long it takes."""
        self._call("Performance.enable", timeDomain="threadTicks")

    def thread_s(self) -> float:
        """What the page's thread has computed since it was opened [s]."""
        metrics = self._call("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    def troubles(self) -> list[str]:
        """Exceptions and errors of the page, and whatever it tried to fetch beside itself."""
        found = []
        for event in self.told:
            method, params = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"]))
            elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(str(params["entry"]))
            elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
                found.append(str(params["args"]))
            elif method == "Network.requestWillBeSent" and params["type"] != "Document":
                url = params["request"]["url"]
                if not url.startswith(("data:", "blob:")):
                    found.append(f"asks for {url[:200]}")
        return found

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        call = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            call["sessionId"] = self._session
        os.write(self._to, json.dumps(call).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.told.append(message)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            read = os.read(self._from, 1 << 20)
            if not read:
                raise RuntimeError("Chromium has ended")
            self._buffer += read
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)
