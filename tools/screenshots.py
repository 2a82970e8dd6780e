#!/usr/bin/env python3
"""Pictures of a report: screenshots.py REPORT.html FOLDER.

For documents and for the eye: light, dark, on a phone. Needs requirements/browser.txt and Debian's
chromium.
"""

import pathlib
import shutil
import sys
from typing import Any

from playwright.sync_api import sync_playwright

SETTINGS: dict[str, Any] = {
    "light": {"viewport": {"width": 1280, "height": 900}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
}


def main(report, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, settings in SETTINGS.items():
            page = browser.new_page(**settings)
            page.goto(pathlib.Path(report).resolve().as_uri())
            page.wait_for_selector(".plot[data-ready]")
            page.wait_for_timeout(300)  # what was asked for is drawn
            page.screenshot(path=folder / f"{name}.png", full_page=True)
            print(folder / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
