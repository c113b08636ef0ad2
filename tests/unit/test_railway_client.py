"""The Railway client against answers that go wrong, and its documents against the schema."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import build_schema, parse, validate
from pydantic import SecretStr

from railmend.contracts.scan import ServiceKind
from railmend.railway import errors
from railmend.railway.client import RailwayClient
from railmend.railway.compose import DOCUMENTS
from railmend.railway.parse import Inventory, is_database, kind_of, services

SCHEMA = build_schema((Path(__file__).parents[2] / "railyard" / "api" / "schema.graphql").read_text())


@pytest.mark.parametrize("file", sorted(DOCUMENTS.glob("*.graphql")), ids=lambda file: file.stem)
def test_every_document_is_valid(file: Path) -> None:
    assert validate(SCHEMA, parse(file.read_text())) == []


def client(handler: Callable[[httpx.Request], httpx.Response], kind: str = "project") -> RailwayClient:
    transport = httpx.MockTransport(handler)
    return RailwayClient("http://railway/graphql/v2", SecretStr("tok"), kind, transport)  # type: ignore[arg-type]


def failing(message: str, **more: Any) -> httpx.Response:
    return httpx.Response(200, json={"errors": [{"message": message, "traceId": "42", **more}], "data": None})


@pytest.mark.parametrize(
    ("answer", "kind", "retryable", "message"),
    [
        (failing("Not Authorized"), errors.NotAuthorized, False, "each is a UUID.* [(]Railway trace 42[)]$"),
        (
            failing("No such value of the enum."),
            errors.Unavailable,
            True,
            "the enum[.] The next scan asks again",
        ),
        (
            httpx.Response(503, text="no"),
            errors.Unavailable,
            True,
            "HTTP 503 and no data: it may be down, see",
        ),
        (
            httpx.Response(403, text="<html>"),
            errors.Unavailable,
            True,
            "Cloudflare.* Try from another network",
        ),
        (failing("Project Token not found"), errors.ProjectTokenInvalid, False, "RAILWAY_TOKEN_KIND"),
        (failing("Deployment not found"), errors.NotFound, False, "deleted"),
        (failing('Cannot query field "x" on type "Query".'), errors.SchemaDrift, False, "update Railmend"),
        (
            failing("Expected another value.", extensions={"code": "GRAPHQL_VALIDATION_FAILED"}),
            errors.SchemaDrift,
            False,
            "update Railmend",
        ),
        (failing("Problem processing request"), errors.Unavailable, True, "Problem"),
        (httpx.Response(502, text="<html>"), errors.Unavailable, True, "502"),
        (httpx.Response(200, text='{"data": {"deploy'), errors.Unavailable, True, "cut off"),
        (httpx.Response(200, json={"data": None}), errors.Unavailable, True, "no data"),
    ],
)
async def test_errors_are_classed(
    answer: httpx.Response, kind: type[errors.RailwayError], retryable: bool, message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        await client(lambda _: answer).deployments("p", "e", "s")
    assert caught.value.retryable is retryable


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (httpx.Response(429, headers={"Retry-After": "7"}, json={}), 7),
        (httpx.Response(429, text="error code: 1015"), 60),
    ],
)
async def test_both_limiters_say_how_long_to_wait(answer: httpx.Response, after: float) -> None:
    with pytest.raises(errors.RateLimited) as caught:
        await client(lambda _: answer).deployments("p", "e", "s")
    assert (caught.value.retryable, caught.value.retry_after) == (True, after)
    assert caught.value.__cause__ is None, "Temporal follows the causes, and a circle has no end"


async def test_a_time_out_is_retryable() -> None:
    def hang(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    with pytest.raises(errors.Unavailable, match="did not answer") as caught:
        await client(hang).deployments("p", "e", "s")
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("kind", "header", "value"),
    [("project", "project-access-token", "tok"), ("bearer", "authorization", "Bearer tok")],
)
async def test_each_kind_of_token_has_its_header(kind: str, header: str, value: str) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"data": {"deployments": {"edges": []}}})

    assert await client(answer, kind).deployments("p", "e", "s") == []
    assert seen[0].headers[header] == value
    assert seen[0].url.query == b"op=deployments"
    assert {"project-access-token", "authorization"} & set(seen[0].headers) == {header}


def node(**changes: Any) -> dict[str, Any]:
    base = {"source": {"repo": "acme/a", "image": None}, "cronSchedule": None, "domains": {}}
    return base | changes


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (node(), ServiceKind.WORKER),
        (node(source=None), ServiceKind.WORKER),
        (node(domains={"serviceDomains": [{"domain": "a"}], "customDomains": []}), ServiceKind.WEB),
        (node(cronSchedule="0 * * * *"), ServiceKind.CRON),
        (
            node(source={"repo": None, "image": "ghcr.io/railwayapp-templates/Postgres-ssl:16"}),
            ServiceKind.DATABASE,
        ),
        (node(source={"repo": None, "image": "ghcr.io/railwayapp/function-bun"}), ServiceKind.FUNCTION),
    ],
)
def test_what_a_service_is(given: dict[str, Any], kind: ServiceKind) -> None:
    assert kind_of(given) is kind


@pytest.mark.parametrize(
    ("image", "database"),
    [
        ("ghcr.io/railwayapp-templates/postgres-ssl:16", True),
        ("redis", True),
        ("mongo@sha256:0", True),
        ("postgrest/postgrest:v12", False),
        ("mongo-express", False),
        ("redis/redisinsight:latest", False),
        ("me/mysql-backup", False),
    ],
)
def test_a_database_is_told_by_its_images_own_name(image: str, database: bool) -> None:
    assert is_database(image) is database


def test_replicas_of_all_regions_count_and_commands_are_told() -> None:
    node = {"id": "i", "serviceId": "s", "serviceName": "web", "numReplicas": 1}
    regions = {"us-west2": {"numReplicas": 2}, "europe-west4": {"numReplicas": 1}, "asia": None}
    deploy = {"multiRegionConfig": regions, "preDeployCommand": ["bin/migrate"], "startCommand": None}
    active = {"id": "d", "status": "SUCCESS", "meta": {"serviceManifest": {"deploy": deploy}}}
    deployed = {"s": {"latestDeployment": active, "activeDeployments": [active]}}
    (service,) = services(Inventory([node], deployed))
    assert service.replicas == 3
    assert (service.pre_deploy_command, service.start_command) == ("bin/migrate", None)
    assert [service.replicas for service in services(Inventory([node], {}))] == [1]
