"""A real browser on a real server, for the tests of the page: Chromium, its webcam fed from a file, and uvicorn."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from needs import browser_path

WIDTH, HEIGHT = 640, 480
PATIENCE = 90.0  # seconds: a busy machine may be slow, a quiet one takes a fraction of a second

#: Relative luminance and contrast as WCAG 2 defines them, for every text on show; gives what falls below 4.5 to 1.
CONTRAST = """
const parse = (c) => { const n = c.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
const light = (c) => c.slice(0, 3).map((v) => v / 255)
  .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (node) => { for (let at = node; at; at = at.parentElement) {
  const c = parse(getComputedStyle(at).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const away = ".unseen, .skip, :disabled, option";
const bad = [];
while (walk.nextNode()) {
  const node = walk.currentNode.parentElement;
  const words = walk.currentNode.textContent.trim();
  if (!words || !node.checkVisibility() || node.closest(away)) continue;
  const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => x - y);
  const contrast = (b + 0.05) / (a + 0.05);
  if (contrast < 4.5) bad.push(`${words.slice(0, 40)}: ${contrast.toFixed(2)}`);
}
return bad;
"""

#: Controls without a name and pictures without alt text.
UNNAMED = """
const labels = (n) => [...(n.labels ?? [])].map((l) => l.textContent).join("");
const attribute = (n) => n.getAttribute("aria-label") || n.getAttribute("aria-labelledby");
const name = (n) => attribute(n) || (n.textContent + labels(n)).trim();
const named = "button, input, select, summary, a, [role=img], [role=tabpanel], table, video";
const all = (selector) => [...document.querySelectorAll(selector)];
return all(named).filter((n) => !name(n)).concat(all("img:not([alt])")).map((n) => n.outerHTML.slice(0, 99));
"""


def film(photo: Path, to: Path, frames: int = 120) -> Path:
    """A webcam's worth of Motion JPEG: the photo's face comes near and goes back, swings, gets brighter and darker."""
    picture = cv2.imread(str(photo))
    with open(to, "wb") as out:
        for i in range(frames):
            turn = 2 * np.pi * i / frames
            zoom = 1.2 + 0.25 * np.sin(turn)
            x, y = 320 - zoom * 225 + 50 * np.cos(turn), 210 - zoom * 120 + 20 * np.sin(2 * turn)
            move = np.array([[zoom, 0, x], [0, zoom, y]], np.float32)
            frame = cv2.warpAffine(picture, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
            frame = cv2.convertScaleAbs(frame, alpha=1.0, beta=35 * np.sin(3 * turn))
            out.write(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())
    return to


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of ``app``, which runs in a thread on a free port of this computer."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until(lambda: server.started, "the server to start")
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


@contextmanager
def chromium(folder: Path, webcam: Path) -> Iterator[Any]:
    """A headless Chromium without any past that saves into ``folder / "saved"`` and takes ``webcam`` for its webcam."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser_path()
    alone = ["no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"]
    plain = ["headless=new", "no-sandbox", "disable-gpu", "disable-quic", "disable-dev-shm-usage"]
    camera = ["use-fake-device-for-media-stream", "use-fake-ui-for-media-stream"]
    own = [f"use-file-for-fake-video-capture={webcam}", f"user-data-dir={folder / 'profile'}", "window-size=1280,1000"]
    for flag in [*plain, *alone, *camera, *own]:
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        (folder / "saved").mkdir()
        where = {"behavior": "allow", "downloadPath": str(folder / "saved")}
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", where)
        yield driver
    finally:
        driver.quit()


def until(true: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait for something to become true and give it back."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {patience:.0f} s in vain for {what}")


def saved(folder: Path, name: str) -> str:
    """The text of a file that the page saved, once it is whole; the file goes."""
    file = folder / "saved" / name
    until(file.is_file, f"{name} to be saved")
    text = until(lambda: file.read_text(encoding="utf-8"), f"{name} to have something in it")
    file.unlink()
    return str(text)


def device(driver: Any, width: int, height: int = 800) -> None:
    """A screen of that many CSS pixels; 0 goes back to the window."""
    if not width:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        return
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def complaints(driver: Any) -> list[str]:
    """Errors and warnings in the browser's console since the last call."""
    return [f"{e['source']}: {e['message']}" for e in driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]
