"""Debian's Firefox, without a driver in between: it speaks WebDriver BiDi itself."""

import base64
import contextlib
import json
import shutil

import pytest
import servers
from websockets.sync.client import connect


class Firefox:
    def __init__(self, socket):
        self.socket = socket
        self.number = 0
        self.events = []
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])

    def call(self, method, **params):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv(timeout=60))
            if answer["type"] == "event":
                self.events.append(answer)
            elif answer["id"] == self.number:
                assert answer["type"] == "success", answer
                return answer["result"]

    def open(self, url, width=1200, height=900, ratio=1):
        (tab,) = self.call("browsingContext.getTree")["contexts"]
        page = Page(self, tab["context"])
        viewport = {"width": width, "height": height}
        page.call("browsingContext.setViewport", viewport=viewport, devicePixelRatio=ratio)
        self.events.clear()
        page.call("browsingContext.navigate", url=url, wait="complete")
        return page


class Page:
    def __init__(self, firefox, context):
        self.firefox = firefox
        self.context = context

    def call(self, method, **params):
        return self.firefox.call(method, context=self.context, **params)

    def evaluate(self, expression):
        """What a JavaScript expression, or what it promises, comes to."""
        answer = self.firefox.call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({expression})))()",
            target={"context": self.context},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"].get("value", "null"))

    def move(self, x, y):
        """The pointer, to a place of the window."""
        moves = [{"type": "pointerMove", "x": round(x), "y": round(y)}]
        self.call(
            "input.performActions", actions=[{"type": "pointer", "id": "p", "actions": moves}]
        )

    def screenshot(self, x, y, width, height):
        """PNG of a part of the window."""
        clip = {"type": "box", "x": x, "y": y, "width": width, "height": height}
        return base64.b64decode(self.call("browsingContext.captureScreenshot", clip=clip)["data"])

    def events(self, method):
        """What came of the kind since the page was opened."""
        return [event["params"] for event in self.firefox.events if event["method"] == method]

    def asked(self):
        """The addresses that were asked for, but for what stands in them itself."""
        urls = [of["request"]["url"] for of in self.events("network.beforeRequestSent")]
        return [url for url in urls if not url.startswith("data:")]

    def said(self):
        """What went to the console: by the page's scripts and about them and its policy."""
        return [entry["text"] for entry in self.events("log.entryAdded")]


@contextlib.contextmanager
def started(folder):
    """A Firefox of its own, with a new profile in `folder`."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if not program:
        pytest.skip("firefox is not installed: tools/install_packages.sh firefox-esr")
    address = folder / "WebDriverBiDiServer.json"
    command = [program, "--headless", "--no-remote", "--profile", folder]
    command += ["--remote-debugging-port", "0"]
    with servers.serving(command, folder / "log", address.exists):
        port = json.loads(address.read_text())["ws_port"]
        with connect(f"ws://127.0.0.1:{port}/session", max_size=None) as socket:
            yield Firefox(socket)
