"""Whatever the OpenAPI document allows, and much that it does not: no answer is a server error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.schemas import APIOperation
from serving import Served, post_load, put_truck, served

EXAMPLES = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = ("--limit", "per_s=0", "--limit", "open_per_s=0")
    with served(tmp_path_factory.mktemp("schema") / "data", "--no-auth", *limits) as running:
        with running.client() as client:
            put_truck(client)
            post_load(client, load_id="known")
        yield running


def operations(server: Served) -> list[APIOperation]:
    """Each call that the OpenAPI document has, but the stream, which does not end."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    found = [result.ok() for result in schema.get_all_operations()]
    return [operation for operation in found if operation.path != "/v1/stream"]


def test_no_answer_is_a_server_error(server: Served) -> None:
    tried = operations(server)
    assert len(tried) > 20
    for operation in tried:
        for mode in GenerationMode:
            _try(operation, mode)


def _try(operation: APIOperation, mode: GenerationMode) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def answers(case: schemathesis.Case) -> None:
        answer = case.call()
        assert answer.status_code < 500, (operation.label, answer.status_code, answer.text)
        if answer.status_code >= 400 and not operation.path.startswith("/check"):
            assert answer.headers["content-type"] == ["application/problem+json"], (operation.label, answer.text)

    try:
        answers()
    except Unsatisfiable:  # nothing is wrong with a call that takes nothing
        assert mode == GenerationMode.NEGATIVE
