"""``python -m mien.browser FOLDER [MODEL ...]``: the files of models as the browser takes them."""

import sys
from pathlib import Path

from mien.browser.models import write_models

for _file in write_models(Path(sys.argv[1]), sys.argv[2:] or None):
    print(f"{_file.stat().st_size:>10,} {_file}")
