"""The web API against its own OpenAPI, and against uploads that nobody would write by hand: never a 5xx."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")

from onnx_nets import write_net
from web_server import picture, site

from mien import Predictor
from mien.web import Limits, create_app

LIMITS = Limits(files=3, bytes=50_000, request_bytes=120_000, pixels=100_000)


def times(examples):
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


JPEG, PNG = picture(kind=".jpg"), picture()
TYPES = [
    "image/png",
    "image/jpeg",
    "image/x",
    "multipart/form-data",
    "multipart/form-data; boundary=edge",
    "text/plain",
    "",
    "image",
    'multipart/form-data; boundary="',
    "multipart/form-data; boundary=" + "b" * 300,
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return Predictor(write_net(tmp_path_factory.mktemp("net") / "tiny.onnx"), "none", threads=1)


@pytest.fixture(scope="module")
def web(tiny):
    with site(tiny, LIMITS) as running:
        yield running


def damaged(data):
    """Pieces of a picture: cut, with bytes changed, or with other bytes behind."""
    cut = st.integers(0, len(data)).map(lambda n: data[:n])
    changed = st.tuples(st.integers(0, len(data) - 1), st.binary(min_size=1, max_size=8)).map(
        lambda change: data[: change[0]] + change[1] + data[change[0] + len(change[1]) :]
    )
    return st.one_of(cut, changed, st.binary(max_size=50).map(lambda more: data + more))


files = st.one_of(
    st.binary(max_size=300), damaged(JPEG), damaged(PNG), st.sampled_from([JPEG, PNG, b"", b"x" * 50_001])
)
names = st.text(st.characters(exclude_characters='"\r\n', exclude_categories=["Cs"]), max_size=300)


def sensible(answer, *, statuses=(200, 400, 413, 415, 422)):
    assert answer.status in statuses, (answer.status, answer.body)
    if answer.status != 200:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["status"] == answer.status
        assert answer.json["detail"]


@times(60)
@given(st.lists(st.tuples(names, files), min_size=1, max_size=4), st.sampled_from(["", "?pictures=true"]))
def test_any_files_get_an_answer_with_one_entry_each_or_a_clear_refusal(web, sent, query):
    answer = web.predict(*sent, query=query)
    sensible(answer, statuses=(200, 413, 422))
    if answer.status == 200:
        assert len(answer.json["photos"]) == len(sent)
    assert (answer.status == 413) == (len(sent) > 3 or any(len(data) > 50_000 for _, data in sent))


@times(60)
@given(files, st.sampled_from(TYPES))
def test_any_body_of_any_type_gets_an_answer_or_a_clear_refusal(web, body, kind):
    sensible(web.ask("POST", "/v1/predict", body, {"Content-Type": kind}))


@times(60)
@given(
    st.lists(
        st.sampled_from(
            [
                b"--edge",
                b"\r\n",
                b"--",
                b'Content-Disposition: form-data; name="files"',
                b": ",
                PNG,
                b"; filename=",
                b'"',
                b"\xff\x00",
                b"Content-Disposition",
                b"\n",
            ]
        ),
        max_size=30,
    )
)
def test_any_pieces_of_a_form_get_an_answer_or_a_clear_refusal(web, pieces):
    sensible(web.ask("POST", "/v1/predict", b"".join(pieces), {"Content-Type": "multipart/form-data; boundary=edge"}))


def test_after_all_that_nothing_is_held(web):
    web.until("mien_requests_waiting", 0)
    web.until("mien_held_bytes", 0)
    assert web.predict(("a", PNG)).status == 200


# --- its own OpenAPI


def test_the_description_has_every_status_and_stands_on_its_own(tiny):
    described = create_app(tiny, LIMITS).openapi()
    text = json.dumps(described)
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) == {"/v1/model", "/v1/predict", "/healthz", "/metrics"}
    answers = described["paths"]["/v1/predict"]["post"]["responses"]
    assert set(answers) == {"200", "400", "403", "408", "413", "415", "421", "422", "503"}
    assert "HTTPValidationError" not in text  # FastAPI's own, which never leaves here
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named == set(described["components"]["schemas"])


def test_answers_keep_to_the_description(web):
    """schemathesis makes requests from the description, valid ones and broken ones, and checks every answer with it."""
    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [not_a_server_error, status_code_conformance, content_type_conformance]
    checks += [response_schema_conformance, response_headers_conformance]
    schemathesis.openapi.media_type("image/*", st.sampled_from([PNG, JPEG]) | st.binary(max_size=100))
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{web.port}/openapi.json")
    asked = set()
    for operation in schema.get_all_operations():

        @times(25)
        @given(operation.ok().as_strategy())
        def check(case):
            response = case.call()
            case.validate_response(response, checks=checks)
            asked.add((case.operation.path, response.status_code))

        check()
    assert {("/v1/predict", 200), ("/v1/predict", 422)} <= asked
    assert {path for path, _ in asked} == {"/v1/model", "/v1/predict", "/healthz", "/metrics"}


@times(25)
@given(
    st.lists(st.tuples(names, st.sampled_from([PNG, JPEG, b"", b"junk"])), min_size=1, max_size=3),
    st.sampled_from(["", "?pictures=true", "?pictures=all"]),
)
def test_answers_to_real_pictures_keep_to_the_description(web, tiny, sent, query):
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    described = create_app(tiny, LIMITS).openapi()
    answer = web.predict(*sent, query=query)
    name = "PredictReply" if answer.status == 200 else "Problem"
    schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
    jsonschema_rs.validator_for(schema).validate(answer.json)
