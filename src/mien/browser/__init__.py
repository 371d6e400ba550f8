"""The same networks in the browser: their files as the JavaScript package takes them, and the static page.

Leaves out: the package and its page (``js/``, ``mien/web/page``), and the server (``mien.web``).
"""

from mien.browser.models import write_models
from mien.browser.site import copy_site, site_folder

__all__ = ["copy_site", "site_folder", "write_models"]
