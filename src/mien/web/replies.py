"""The shape of every answer, from which ``/openapi.json`` is made: what is not written here is not sent.

Leaves out: errors (``problems``). ``Face.to_dict`` and ``Photo.to_dict`` of ``mien.runtime`` fill them; a member that
those gain must be written here too, and a test says so.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["FaceReply", "Health", "LimitsReply", "ModelReply", "PhotoReply", "PredictReply", "Problem", "Unreadable"]

Chance = Annotated[float, Field(ge=0, le=1)]
Point = Annotated[list[float], Field(min_length=2, max_length=2)]
DataUri = Annotated[str, Field(pattern="^data:image/png;base64,")]


class _Exact(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class QualityReply(_Exact):
    """What was measured of a face; ``problems`` names what makes it unusable."""

    side: float
    sharpness: float
    brightness: float
    contrast: float
    yaw: float | None
    pitch: float | None
    roll: float | None
    problems: list[str]


class FaceReply(_Exact):
    """One face. Positions are pixels of the photo; the pictures are there where they were asked for."""

    label: str
    confidence: Chance
    uncertain: bool
    prediction_set: Annotated[list[str], Field(min_length=1)]
    probabilities: dict[str, Chance]
    heads: Annotated[dict[str, dict[str, Chance]], Field(description="what each says, of a network with several")]
    box: Annotated[list[float], Field(min_length=4, max_length=4, description="left, top, right, bottom")]
    score: Chance
    landmarks: Annotated[list[Point], Field(min_length=5, max_length=5)] | None
    turn: Annotated[float, Field(ge=-180, le=180, description="degrees clockwise by which the crop was turned")]
    corners: Annotated[list[Point], Field(min_length=4, max_length=4, description="of the crop")] | None
    attention_window: Annotated[list[Point], Field(min_length=4, max_length=4)] | None
    usable: bool
    quality: QualityReply | None
    crop: Annotated[
        DataUri, Field(description="all that the network saw", json_schema_extra=lambda schema: schema.pop("default"))
    ] = ""  # never sent: answers hold what was set
    looked: Annotated[
        DataUri | None, Field(description="where it looked: window and attention; null for a network without a window")
    ] = None
    decided: Annotated[
        DataUri | None, Field(description="occlusion map, with pictures=all; null beyond the first faces")
    ] = None


class PhotoReply(_Exact):
    """A photo that was read; ``unusable`` has faces, but none to believe."""

    photo: Annotated[str, Field(description="the file's name as it was sent, empty without one")]
    outcome: Literal["faces", "unusable", "no face"]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    faces: list[FaceReply]


class Unreadable(_Exact):
    """A file that is no picture, or a damaged or too large one."""

    photo: str
    outcome: Literal["unreadable"]
    error: str


class PredictReply(_Exact):
    """One entry of ``photos`` for each file, in order; ``seconds`` from the last byte received to the answer."""

    model: str
    provider: Annotated[str, Field(description="what ran the network, as onnxruntime calls it")]
    photos: Annotated[list[PhotoReply | Unreadable], Field(min_length=1)]
    seconds: Annotated[float, Field(ge=0)]


class LimitsReply(_Exact):
    """What one request may hold: files, bytes of one, pixels of one."""

    files: int
    bytes: int
    pixels: int


class ModelReply(_Exact):
    """Which model answers, how good it is, and what it is for."""

    name: str
    labels: list[str]
    colours: dict[str, Annotated[str, Field(pattern="^#[0-9a-f]{6}$")]]
    accuracy: str
    mien: Annotated[str, Field(description="version")]
    limits: LimitsReply
    following: Annotated[dict[str, float | None], Field(description="the rules by which the page follows faces")]
    intended_use: str


class Health(_Exact):
    """The server answers."""

    status: Literal["ok"]
    model: str


class Problem(BaseModel):
    """RFC 9457. ``photos`` names each file where none could be read."""

    type: str
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    photos: list[Unreadable] = []
