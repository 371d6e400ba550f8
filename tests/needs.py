"""Programs and large packages that some tests need: where one is missing, its tests are skipped and named at the end.

Where ``MIEN_REQUIRE_BROWSER`` or ``MIEN_REQUIRE_NGINX`` is set, they fail instead: a run that counts on
the program must not pass without it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest

__all__ = ["PACKAGES", "REASONS", "browser_path", "missing", "needs_browser", "needs_nginx", "needs_package", "needs_r"]

#: Why a test was skipped, as ``conftest`` finds it again.
BROWSER = "needs a browser: chromium, chromedriver and selenium"
NGINX = "needs nginx"
R = "needs R: Rscript"
#: Why a test was skipped for want of a package -> the package.
PACKAGES = {f"needs the package {name}": name for name in ("moto", "s3fs", "daft", "ray", "openvino")}
REASONS = (BROWSER, NGINX, R, *PACKAGES)


def browser_path() -> str:
    """Where Chromium is, "" where it is not."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")


def missing(reason: str) -> bool:
    """Whether what a test needs is not there."""
    if reason in PACKAGES:
        return importlib.util.find_spec(PACKAGES[reason]) is None
    if reason == R:
        return shutil.which("Rscript") is None
    if reason == NGINX:
        return not (shutil.which("nginx") or os.path.exists("/usr/sbin/nginx"))
    return not (browser_path() and shutil.which("chromedriver") and importlib.util.find_spec("selenium"))


def required(reason: str) -> bool:
    """Whether its absence is a failure."""
    if reason == R or reason in PACKAGES:
        return False
    return bool(os.environ.get("MIEN_REQUIRE_NGINX" if reason == NGINX else "MIEN_REQUIRE_BROWSER"))


needs_browser = pytest.mark.needs(BROWSER)
needs_nginx = pytest.mark.needs(NGINX)
needs_r = pytest.mark.needs(R)


def needs_package(name: str) -> pytest.MarkDecorator:
    """Skips a test where one of :data:`PACKAGES` is not installed."""
    reason = f"needs the package {name}"
    assert reason in PACKAGES, f"tests/needs.py does not know {name}"
    return pytest.mark.needs(reason)
