"""One recording of ``mien video``: frames through a predictor into every file, with what people want to know meanwhile.

Leaves out: flags (``video``), folders of recordings (``video_folder``) and the summary (``video_view``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mien.cli.video_baseline import make_rests
from mien.results.cells import printable
from mien.results.provenance import Provenance, provenance_of
from mien.results.recorder import VideoRecorder, about_video, open_video_table
from mien.results.writers import TableFile
from mien.runtime import Predictor, make_detector
from mien.study import Coder
from mien.study.exports import write_export
from mien.study.lsl import LslOutlet
from mien.study.markers import read_markers
from mien.video import Source, TrackedFrame, VideoWriter, track_faces
from mien.visualization.video_overlay import mark
from mien.wording import counted

__all__ = ["Files", "Progress", "VideoSettings", "record"]

_NAMED = 20  # broken frames that are named one by one


@dataclass(frozen=True)
class VideoSettings:
    """The flags of ``mien video`` that decide an answer, as they are typed, and the threads."""

    model: str
    detector: str
    detector_model: str
    detector_size: str
    threads: int
    fps: float | None
    every: int | None
    look: float
    smooth: float
    hold: float
    max_gap: float
    baseline: str = ""
    device: str = "cpu"

    def predictor(self) -> Predictor:
        """The predictor that they ask for."""
        file, size, device = self.detector_model or None, self.detector_size, self.device
        finder = make_detector(self.detector, file, size=size, threads=self.threads, device=device)
        return Predictor(self.model or None, finder, self.threads, device=device)

    def provenance(self, predictor: Predictor) -> Provenance:
        """Where its answers come from."""
        return provenance_of(predictor, self.detector, self.of_video)

    @property
    def of_video(self) -> dict[str, Any]:
        """Those that are of videos only, as the metadata name them."""
        told = asdict(self)
        names = ("fps", "every", "look", "smooth", "hold", "max_gap", *(("baseline",) if self.baseline else ()))
        return {name: told[name] for name in names}


@dataclass(frozen=True)
class Files:
    """What is written of a recording.

    table    of its frames; segments and timeline lie beside it
    exports  see ``mien.study.exports``
    video    marked, .mp4
    markers  read, not written: joined to the table's frames
    """

    table: Path | None = None
    exports: tuple[Path, ...] = ()
    video: Path | None = None
    excel: bool = False
    force: bool = False
    markers: Path | None = None


def record(
    predictor: Predictor,
    settings: VideoSettings,
    given: Source,
    files: Files,
    *,
    tell: Callable[[str], None],
    progress: Callable[[float], None],
    show: Callable[[Any], bool] | None = None,
    lsl: bool = False,
) -> VideoRecorder:
    """Follow the faces of one source and write all of its files; a Ctrl-C ends it early, and files are whole.

    tell      gets a line about each broken frame, of the first few, and each note
    progress  gets the time of each frame
    show      gets marked pictures, and says whether to end
    lsl       whether labels and probabilities are sent as streams of the Lab Streaming Layer meanwhile
    """
    s, source = settings, str(given)
    rests = make_rests(s.baseline, predictor)
    provenance, about = s.provenance(predictor), about_video(source)
    markers = read_markers(files.markers) if files.markers else []
    about |= {"markers": {"source": printable(files.markers), "count": len(markers)}} if files.markers else {}
    outlet = _outlet(predictor, provenance, source) if lsl else None
    seen = track_faces(predictor, given, fps=s.fps, every=s.every, smooth=s.smooth, look=s.look, max_gap=s.max_gap)
    coder = Coder(s.max_gap) if files.exports else None
    with ExitStack() as stack:
        stack.callback(seen.close)
        table = _table(files, provenance, about, baseline=rests is not None)
        on_segment = coder.add_segment if coder else None
        recorder = VideoRecorder(table, s.hold, s.max_gap, on_segment, rests, markers)
        stack.push(lambda kind, *_: _leave_nothing(recorder) if kind else None)
        stack.enter_context(recorder)
        writer = stack.enter_context(VideoWriter(files.video)) if files.video else None
        try:
            _run(_sent(seen, outlet), recorder, coder, writer, show, tell, progress)
        except KeyboardInterrupt:
            recorder.stopped = not isinstance(given, int)  # a camera has no other end
            tell(f"stopped at {recorder.last:.2f} s; what was read is kept")
    if recorder.markers.left and files.table is not None:
        late = recorder.markers.left
        lie = "lies" if len(late) == 1 else "lie"
        first = f"{late[0].name} at {late[0].start:g} s"
        tell(f"note: {counted(len(late), 'marker')} {lie} behind the last frame, from {first} on")
    if coder is not None:
        metadata = {"run": provenance.run, **provenance.to_dict(), "complete": not recorder.stopped}
        coded = coder.close(source, predictor.spec.labels, {**metadata, "video": about})
        for path in files.exports:
            write_export(path, coded)
    return recorder


def _outlet(predictor: Predictor, provenance: Provenance, source: str) -> LslOutlet:
    about = {"model": predictor.spec.name, "run": provenance.run, "source": printable(source)}
    return LslOutlet(predictor.spec.labels, about)


def _sent(seen: Iterator[TrackedFrame], outlet: LslOutlet | None) -> Iterator[TrackedFrame]:
    for one in seen:
        if outlet is not None:
            outlet.push(one)
        yield one


def _leave_nothing(recorder: VideoRecorder) -> None:
    """What could not be opened leaves no empty tables behind."""
    if not recorder.frames and not recorder.broken:
        for path in recorder.paths():
            path.unlink(missing_ok=True)


def _table(files: Files, provenance: Provenance, about: Mapping[str, Any], *, baseline: bool) -> TableFile | None:
    if files.table is None:
        return None
    return open_video_table(
        files.table,
        provenance,
        about,
        excel=files.excel,
        force=files.force,
        baseline=baseline,
        markers=files.markers is not None,
    )


def _run(
    seen: Iterator[TrackedFrame],
    recorder: VideoRecorder,
    coder: Coder | None,
    writer: VideoWriter | None,
    show: Callable[[Any], bool] | None,
    tell: Callable[[str], None],
    progress: Callable[[float], None],
) -> None:
    for one in seen:
        recorder.add(one)
        if coder is not None:
            coder.add(one)
        if one.frame.note:
            tell(f"note: {one.frame.note}")
        if one.photo.error and recorder.broken <= _NAMED:
            tell(f"broken: {one.photo.error}")
        if one.frame.pixels is not None and (show or writer):
            marked = mark(one.frame.pixels, one.photo.faces)
            if writer is not None:
                writer.write(marked, one.frame.time)
            if show is not None and show(marked):
                break
        progress(one.frame.time)


@dataclass
class Progress:
    """The position on stderr, twice a second, where that is a terminal."""

    whole: float | None
    frames: int = 0
    started: float = field(default_factory=time.monotonic)
    last: float = 0.0

    def __call__(self, position: float) -> None:
        self.frames += 1
        now = time.monotonic()
        if now - self.last < 0.5 or not sys.stderr.isatty():
            return
        self.last = now
        of = "" if self.whole is None else f" of {self.whole:,.1f}"
        rate = self.frames / max(1e-6, now - self.started)
        sys.stderr.write(f"\r\x1b[K{position:,.1f}{of} s   {rate:.0f} frames/s")
        sys.stderr.flush()

    def clear(self) -> None:
        """Wipe the line."""
        if self.last:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
