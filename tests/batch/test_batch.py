"""``mien batch``: every input once, whoever dies; what is an input; folders on S3; the engines."""

from __future__ import annotations

import json
import multiprocessing
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from needs import needs_package
from onnx_nets import write_net
from typer.testing import CliRunner

pa = pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")
import pyarrow.parquet as pq  # noqa: E402
from deadly import KILLS, Deadly  # noqa: E402

from mien.batch import engine_local, run_batch  # noqa: E402
from mien.batch.partition import Job  # noqa: E402
from mien.batch.plan import Partition  # noqa: E402
from mien.batch.storage import Folder  # noqa: E402
from mien.cli import app  # noqa: E402
from mien.errors import ConfigError, OutputError  # noqa: E402
from mien.results.provenance import provenance_of  # noqa: E402
from mien.runtime import Predictor  # noqa: E402


def png(grey: int) -> bytes:
    return cv2.imencode(".png", np.full((48, 48), grey, np.uint8))[1].tobytes()


def album(folder: Path, n: int) -> Path:
    folder.mkdir()
    for i in range(n):
        (folder / f"{i:03}.png").write_bytes(png(50 + i % 200))
    return folder


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx")


@pytest.fixture
def predictor(net):
    return Predictor(net, Deadly(), 1)


def rows(out: Path) -> list[dict]:
    return [row for file in sorted(out.glob("part-*.parquet")) for row in pq.read_table(file).to_pylist()]


def ids(out: Path) -> list[str]:
    return [row["photo"] for row in rows(out)]


def test_a_file_where_the_folder_should_be_is_named(tmp_path, predictor):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match=r"out: is no folder to write to \(Not a directory\); choose another"):
        run_batch([str(album(tmp_path / "album", 1))], str(tmp_path / "out"), predictor, workers=1)


def test_pictures_and_tables_each_once_and_bad_ones_as_rows(tmp_path, predictor, monkeypatch):
    folder = album(tmp_path / "album", 5)
    (folder / "bad.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("x")
    ends = [png(60), b"", png(61), png(62), png(63)]
    table = pa.table({"key": ["a", "b", "c", None, "e"], "image": pa.array(ends, pa.binary())})
    pq.write_table(table, folder / "more.parquet", row_group_size=3)
    monkeypatch.chdir(tmp_path)
    given = ["album", "album/00*.png", str(tmp_path / "gone.png")]
    summary = run_batch(given, "out", predictor, workers=1, size=2)
    table_ids = ["a", "b", "c", "album/more.parquet#1.0", "e"]
    names = [f"album/{i:03}.png" for i in range(5)] + ["album/bad.jpg", str(tmp_path / "gone.png"), *table_ids]
    assert ids(tmp_path / "out") == names
    assert {r["photo"]: r["error"] for r in rows(tmp_path / "out") if r["error"]}.keys() == {
        "album/bad.jpg",
        str(tmp_path / "gone.png"),
        "b",
    }
    assert summary.counts == {"photos": 12, "face": 9, "unusable": 9, "unreadable": 3}
    assert summary.passed == "passed over: 1 file of another kind (.txt)"
    record = json.loads((tmp_path / "out" / "_run.json").read_text())
    assert (record["complete"], record["photos"], record["model"]["name"]) == (True, 12, "tiny")
    about = json.loads(pq.read_schema(tmp_path / "out" / "part-000000.parquet").metadata[b"mien"])
    assert (about["run"], about["counts"]["photos"]) == (record["run"], 2)
    pq.write_table(pa.concat_tables([table, table]), folder / "more.parquet", row_group_size=3)
    with pytest.raises(ConfigError, match=r"more\.parquet: has changed since the run began \(10 rows, 5 then\)"):
        run_batch(given, "album/../out", predictor, workers=1, size=2, resume=True)


def test_killed_workers_cost_nothing_and_what_kills_them_is_a_row(tmp_path, predictor):
    """Whatever is at work is killed three times; one picture kills each process that looks at it."""
    folder, killed = album(tmp_path / "album", 60), []
    (folder / "030.png").write_bytes(png(KILLS))

    def kill(done: int) -> None:
        workers = multiprocessing.active_children()
        if len(killed) < 3 and workers and done >= 10 * len(killed):
            killed.append(workers[0].pid)
            workers[0].kill()

    summary = run_batch([str(folder)], str(tmp_path / "out"), predictor, workers=2, size=10, progress=kill)
    assert len(killed) == 3
    assert ids(tmp_path / "out") == [f"{folder}/{i:03}.png" for i in range(60)]
    assert [r["photo"][-7:] for r in rows(tmp_path / "out") if r["error"]] == ["030.png"]
    assert summary.counts["photos"] == 60


def test_a_worker_that_is_killed_while_it_waits_is_replaced(tmp_path, predictor):
    out, names = Folder(str(tmp_path)), [str(file) for file in sorted(album(tmp_path / "album", 2).iterdir())]
    job = Job(predictor, provenance_of(predictor, "none"), out)
    done = engine_local.run(job, [Partition(i, (name,)) for i, name in enumerate(names)], 1)
    assert next(done).number == 0
    for worker in multiprocessing.active_children():
        worker.kill()
        worker.join()
    time.sleep(0.2)  # until the pool has seen it
    assert next(done).number == 1
    done.close()


def test_a_killed_run_goes_on_and_takes_new_pictures(tmp_path, net):
    folder, out = album(tmp_path / "album", 40), tmp_path / "out"
    words = ["batch", str(folder), "--out", str(out), "--model", str(net), "--detector", "none"]
    run = subprocess.Popen(
        [sys.executable, "-m", "mien", *words, "--workers", "1", "--partition", "1"], stderr=subprocess.DEVNULL
    )
    while run.poll() is None and not list(out.glob("part-00000[3-9].parquet")):
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait()
    done = {file.name: file.stat().st_mtime_ns for file in out.glob("part-*.parquet")}
    assert 4 <= len(done) < 40, "the run was over before it was killed"
    (folder / "new.png").write_bytes(png(99))
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, ConfigError)
    assert "--resume goes on" in str(refused.exception)
    again = CliRunner().invoke(app, [*words, "--workers", "1", "--resume"])
    assert again.exit_code == 0, again.output
    assert f"41 photos, {len(done)} of them done before" in again.stderr
    assert ids(out) == [f"{folder}/{i:03}.png" for i in range(40)] + [f"{folder}/new.png"]
    assert {name: (out / name).stat().st_mtime_ns for name in done} == done
    other = CliRunner().invoke(app, [*words[:-1], "centerface", "--resume"])
    assert "it was written with the detector name none" in str(other.exception)
    other = CliRunner().invoke(app, [*words, "--id-column", "key", "--resume"])
    assert "it was written with --id-column (found), not key; choose another folder" in str(other.exception)


def test_workers_that_die_at_everything_end_the_run(tmp_path, predictor, monkeypatch):
    monkeypatch.setattr(engine_local, "_DEATHS", 1)  # each death costs a process' start
    monkeypatch.setattr(engine_local, "_IN_A_ROW", 2)
    folder = album(tmp_path / "album", 4)
    for file in folder.iterdir():
        file.write_bytes(png(KILLS))
    with pytest.raises(Exception, match="workers die at whatever picture they are given"):
        run_batch([str(folder)], str(tmp_path / "out"), predictor, workers=1)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["nowhere/*.jpg", ""], "PHOTOS must not be empty"),
        (["EMPTY"], "holds no pictures and no Parquet files"),
        (["x.png", "--engine", "spark"], "--engine must be local, daft, ray"),
        (["what://x/y"], "known are the protocols of fsspec"),
    ],
)
def test_what_cannot_be_meant(tmp_path, net, words, error):
    (tmp_path / "EMPTY").mkdir()
    words = [str(tmp_path / word) if word == "EMPTY" else word for word in words]
    result = CliRunner().invoke(app, ["batch", *words, "--out", str(tmp_path / "out"), "--model", str(net)])
    assert error in str(result.exception)


@needs_package("moto")
@needs_package("s3fs")
def test_from_s3_to_s3(tmp_path, predictor, monkeypatch):
    """Against a server on this machine: two pictures, one that is none, a table, and names with brackets."""
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "ENDPOINT_URL": f"http://{host}:{port}",
            "ACCESS_KEY_ID": "a",
            "DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        s3fs.S3FileSystem.clear_instance_cache()
        fs = s3fs.S3FileSystem()
        fs.mkdir("album")
        for name, data in {"a[1].png": png(70), "b.png": png(71), "c.png": b"no"}.items():
            fs.pipe_file(f"album/in/{name}", data)
        with fs.open("album/in/t.parquet", "wb") as file:
            pq.write_table(pa.table({"id": [1, 2], "image": pa.array([png(72), png(73)], pa.binary())}), file)
        given = ["s3://album/in/", "s3://album/in/gone.png"]
        run_batch(given, "s3://album/out", predictor, workers=1, size=3)
        found = [
            row
            for name in sorted(fs.glob("album/out/part-*"))
            for row in pq.read_table(name, filesystem=fs).to_pylist()
        ]
        names = [*(f"s3://album/in/{n}" for n in ("a[1].png", "b.png", "c.png", "gone.png")), "1", "2"]
        assert [row["photo"] for row in found] == names
        assert [bool(row["error"]) for row in found] == [False, False, True, True, False, False]
        assert found[3]["error"] == "no such file"
        assert run_batch(given, "s3://album/out", predictor, resume=True).kept == 6
    finally:
        server.stop()


@pytest.mark.slow
@pytest.mark.parametrize("engine", [pytest.param(name, marks=needs_package(name)) for name in ("daft", "ray")])
def test_other_engines_give_the_same(tmp_path, net, engine):
    folder = album(tmp_path / "album", 6)
    words = ["--model", str(net), "--detector", "none", "--workers", "1", "--partition", "3"]
    code = [sys.executable, "-m", "mien", "batch", str(folder), "--out", str(tmp_path / "out"), "--engine", engine]
    run = subprocess.run([*code, *words], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert ids(tmp_path / "out") == [f"{folder}/{i:03}.png" for i in range(6)]
    assert "6 photos in" in run.stderr
