"""A real headless Chromium, told what to do over a pipe by its DevTools protocol: no driver and no port."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60  # seconds for one answer of a busy machine
# The browser reads its orders from file descriptor 3 and answers on 4.
PIPED = """
import fcntl, os, sys
spare = [fcntl.fcntl(int(pipe), fcntl.F_DUPFD, 10) for pipe in sys.argv[1:3]]  # neither may stand where the other goes
os.dup2(spare[0], 3)
os.dup2(spare[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
KEYS = {"Tab": (9, ""), "Enter": (13, "\r")}  # code, and the text that it types


@dataclass
class Browser:
    """One page at a time. complaints: what the pages put on their consoles."""

    orders: int
    answers: int
    session: str = ""
    buffer: bytes = b""
    number: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of a method of the protocol; what happens meanwhile goes into `events`."""
        self.number += 1
        order = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            order["sessionId"] = self.session
        os.write(self.orders, json.dumps(order).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self.events.append(answer)

    def receive(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            assert select.select([self.answers], [], [], PATIENCE)[0], "the browser does not answer"
            content = os.read(self.answers, 1 << 20)
            assert content, "the browser has ended"
            self.buffer += content
        message, _, self.buffer = self.buffer.partition(b"\0")
        answer = dict(json.loads(message))
        if answer.get("method") == "Log.entryAdded":
            self.complaints.append(answer["params"]["entry"]["text"])
        return answer

    def open(self, page: Path) -> None:
        """Show a page, and return when all of it has loaded."""
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.receive())

    def run(self, script: str) -> Any:
        """Return what a script returns, which runs in the page although the page itself forbids scripts."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press and let go a key, as a person does."""
        code, text = KEYS[key]
        event = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 * shift}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def prefer(self, scheme: str) -> None:
        """Prefer the `light` or the `dark` colours of a page."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def resize(self, width: int, height: int = 900) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start Chromium with a profile in a folder, and end it."""
    assert CHROMIUM is not None
    order, orders = os.pipe()
    answers, answer = os.pipe()
    command = [sys.executable, "-I", "-S", "-c", PIPED, str(order), str(answer), CHROMIUM, *FLAGS]
    process = subprocess.Popen(
        [*command, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}", "about:blank"],
        pass_fds=(order, answer),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(order)
    os.close(answer)
    try:
        found = Browser(orders, answers)
        target = found.call("Target.createTarget", url="about:blank")["targetId"]
        found.session = found.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime"):
            found.call(f"{domain}.enable")
        found.call("Emulation.setFocusEmulationEnabled", enabled=True)
        yield found
        found.session = ""
        found.call("Browser.close")
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(orders)
        os.close(answers)
