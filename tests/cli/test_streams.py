"""Whatever encoding a stream has, every command prints all of its text, and data can be read back."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from onnx_nets import write_net

NAMES = ("žluťoučký.png", "日本語.png", "é.png", "😀.png", "plain.png", "a\u2028b\u2029c.png")


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    folder = tmp_path_factory.mktemp("album")
    picture = cv2.imencode(".png", np.full((48, 48), 99, np.uint8))[1].tobytes()
    for name in NAMES:
        (folder / name).write_bytes(picture)
    return folder


def mien(*arguments, encoding, cwd):
    run = subprocess.run(
        [sys.executable, "-m", "mien", *map(str, arguments)],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        cwd=cwd,
        capture_output=True,
        check=False,
    )
    assert b"Traceback" not in run.stderr, run.stderr.decode(errors="replace")
    return run


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_no_row_is_lost_in_a_pipe_of_any_encoding(album, tmp_path, encoding):
    net = write_net(tmp_path / "tiny.onnx")
    flags = ("--model", net, "--threads", "1", "--detector", "none")
    run = mien("predict", ".", "--csv", *flags, encoding=encoding, cwd=album)
    assert run.returncode == 0
    rows = csv.DictReader(io.StringIO(run.stdout.decode("utf-8"), newline=""))
    assert {row["photo"] for row in rows} == set(NAMES)
    run = mien("predict", ".", "no ž.png", "--json", *flags, encoding=encoding, cwd=album)
    assert run.returncode == 1
    photos = {photo["photo"] for photo in json.loads(run.stdout.decode("utf-8"))["photos"]}
    assert photos == {*NAMES, "no ž.png"}
    assert "no ž.png" in run.stderr.decode("utf-8")
    text = mien("predict", ".", *flags, encoding=encoding, cwd=album)
    assert all(name in text.stdout.decode("utf-8") for name in NAMES)


def test_python_m_mien_is_the_command_and_names_its_version(tmp_path):
    run = mien("--version", encoding="ascii", cwd=tmp_path)
    assert run.stdout.decode("ascii").startswith("mien ")
    assert mien("nosuch", encoding="ascii", cwd=tmp_path).returncode == 2


TERMINAL = """
import io, json, sys
from mien.cli.screen import prepare_streams

class Terminal(io.TextIOWrapper):
    def isatty(self):
        return True

sys.stdout = Terminal(sys.stdout.detach(), encoding="latin-1")
prepare_streams()
print(json.dumps(["é", "ž😀", "\\udcff"], ensure_ascii=False))
"""


def test_a_terminal_keeps_its_encoding_and_json_stays_json():
    run = subprocess.run([sys.executable, "-c", TERMINAL], capture_output=True, check=True)
    assert json.loads(run.stdout.decode("latin-1")) == ["é", "ž😀", "\udcff"]
    assert "é".encode("latin-1") in run.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("flags", [("--json",), ()])
def test_a_full_disk_is_one_clear_line(album, tmp_path, flags):
    words = ["predict", str(album), "--model", str(write_net(tmp_path / "tiny.onnx")), "--detector", "none", *flags]
    with open("/dev/full", "wb") as full:
        run = subprocess.run([sys.executable, "-m", "mien", *words], stdout=full, stderr=subprocess.PIPE, check=False)
    lines = [line for line in run.stderr.decode().splitlines() if not line.startswith("Exception ignored")]
    assert run.returncode == 2
    assert lines[0].startswith("error: ")
    assert "Traceback" not in lines[0]
