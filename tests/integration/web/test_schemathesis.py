"""A real node is asked, over HTTP, whatever schemathesis makes of its OpenAPI document: fitting and unfitting data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from tests.support.node import ACCOUNT, CLOUD, Node, running_node
from tests.support.node_processes import marked_processes
from tests.support.web_caller import basic

schemathesis = pytest.importorskip("schemathesis")

NOBODY = "http://127.0.0.1:9/nobody"
REFUSED = ["400", "401", "403", "404", "405", "409", "413", "415"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A node that dials nobody, its document, and the logins that open its operations."""

    node: Node
    document: Any
    service: dict[str, str]
    account: dict[str, str]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Described]:
    folder = tmp_path_factory.mktemp("described")
    with marked_processes() as marked, running_node(folder / "data", marked) as node:
        node.link.post("/pause", {})
        service = node.add_service("my_service", first_page=NOBODY)
        config = schemathesis.Config.from_dict(
            {"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}},
        )
        yield Described(
            node=node,
            document=schemathesis.openapi.from_url(f"http://{node.http}/openapi.json", config=config),
            service=basic(service.user, service.password),
            account=basic(f"{CLOUD}/{ACCOUNT}", node.access_key()),
        )


def test_the_document_fits_the_schema_of_openapi(described: Described) -> None:
    assert described.document.specification.version == "3.1.0"
    described.document.validate()


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_every_answer_is_one_that_is_described(described: Described, mode: str) -> None:
    asked = 0

    def ask(operation: Any) -> None:
        schemes = {name for each in operation.definition.raw["security"] for name in each}
        login = described.account if "account" in schemes else described.service if schemes else {}
        # What fits the document may name a number nobody has, or hold a NUL: only what does not fit must be refused.
        excluded = [schemathesis.checks.positive_data_acceptance]

        @settings(
            max_examples=6,
            phases=[Phase.generate],
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=schemathesis.GenerationMode[mode]))
        def each(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(headers=login, excluded_checks=excluded)

        with contextlib.suppress(Unsatisfiable):  # of a text in a query nothing can be unfitting
            each()

    for found in described.document.get_all_operations():
        operation = found.ok()
        if mode == "POSITIVE" or operation.query or operation.body or operation.path_parameters:
            ask(operation)
    assert asked > 50
