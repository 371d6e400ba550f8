"""A command that is told to end keeps whole files, says so in a line, and its exit code tells how it was told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mien.installation import example_photo


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_was_done_is_kept_whole_and_said(tmp_path, number, code):
    pytest.importorskip("pyarrow.parquet")
    (tmp_path / "photos").mkdir()
    shutil.copy(example_photo(), tmp_path / "photos" / "0.jpg")
    for i in range(1, 3000):  # more than are done before the signal comes
        (tmp_path / "photos" / f"{i}.jpg").hardlink_to(tmp_path / "photos" / "0.jpg")
    words = ["predict", "photos", "--out", "faces.parquet"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.Popen(
        [sys.executable, "-m", "mien", *words],
        env=env,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a shell's background ignores it
    )
    part = tmp_path / "faces.parquet.part"
    while run.poll() is None and not (part.is_file() and part.stat().st_size):
        time.sleep(0.02)
    run.send_signal(number)
    try:
        _, said = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == code, said
    assert "what was done is kept, --resume goes on with it" in said
    assert "Traceback" not in said
    assert {p.name for p in tmp_path.iterdir()} == {"photos", "faces.parquet"}
