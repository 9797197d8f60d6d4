"""Every destination over HTTP, every operation, every fault: the outcome, and that no secret is in it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fault_cases import CASES, DELIVERED, DOWN, STATUSES, Case, Expected
from fault_server import Call, Fault, FaultServer, answers, echoes, resets, serving, stays_silent
from tls_server import presenting, self_signed, speaking_plain_text
from vendor_kits import HTTP_KITS, OVER_HTTP, connection_to, spellings_of

from dagster_project.contracts.destination import Outcome, Request
from dagster_project.respond.destinations.registry import discover

KEY = "act-0123456789abcdef"


async def deliver(name: str, operation: str, address: str, call_deadline: float = 5.0) -> Outcome:
    """Delivers the operation's sample to a vendor at the address."""
    destination = discover()[name].open(connection_to(name, address, call_deadline))
    sample = HTTP_KITS[name].samples[operation]
    arguments = destination.operations[operation].arguments.model_validate(sample)
    try:
        outcomes: Sequence[Outcome] = await destination.deliver(operation, [Request(KEY, arguments)])
    finally:
        await destination.close()
    assert len(outcomes) == 1
    return outcomes[0]


def faulty(name: str, operation: str, fault: Fault) -> Callable[[Call], Fault]:
    """A vendor that is healthy but for the call that makes the effect."""
    kit = HTTP_KITS[name]
    healthy = kit.healthy()
    return lambda call: fault if kit.is_effect(operation, call) else healthy(call)


def judged_part(outcome: Outcome) -> Expected:
    return Expected(str(outcome.verdict), str(outcome.reason), outcome.scope)


def assert_no_secret(name: str, *texts: object) -> None:
    for text in texts:
        for secret in spellings_of(name):
            assert secret not in repr(text), f"{name} leaks a secret"


async def outcome_of(name: str, operation: str, case: Case) -> tuple[Outcome, FaultServer]:
    async with serving(faulty(name, operation, case.fault)) as server:
        return await deliver(name, operation, server.url, case.call_deadline), server


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_fault_of_the_call_that_makes_the_effect(
    name: str, operation: str, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    kit = HTTP_KITS[name]
    caplog.set_level(logging.DEBUG)

    outcome, server = asyncio.run(outcome_of(name, operation, case))

    expected = kit.expected(operation, case.status, case.expected)
    if case.is_success_with_a_bad_body and kit.takes_any_success:
        expected = DELIVERED
    assert judged_part(outcome) == expected, outcome.detail
    assert (outcome.external_id is None) == (expected is not DELIVERED)
    assert outcome.status in (case.status, None)
    assert any(kit.is_effect(operation, call) for call in server.calls)
    assert len(outcome.detail) <= 500
    assert_no_secret(name, outcome, caplog.text)
    if case.retry_after is None:
        assert outcome.retry_after is None
    else:
        least, most = case.retry_after
        assert outcome.retry_after is not None and least <= outcome.retry_after <= most


@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_nothing_is_wrong(name: str, operation: str) -> None:
    async def scenario() -> tuple[Outcome, list[Call]]:
        async with serving(HTTP_KITS[name].healthy()) as server:
            first = await deliver(name, operation, server.url)
            return first, server.calls

    outcome, calls = asyncio.run(scenario())
    assert judged_part(outcome) == DELIVERED, outcome.detail
    assert outcome.external_id
    assert sum(HTTP_KITS[name].is_effect(operation, call) for call in calls) == 1


@pytest.mark.parametrize(
    "fault",
    [pytest.param(echoes(500), id="500"), pytest.param(resets, id="reset"), pytest.param(stays_silent, id="silence")],
)
@pytest.mark.parametrize(("name", "operation"), [one for one in OVER_HTTP if one[1] in HTTP_KITS[one[0]].prepares])
def test_fault_of_a_call_that_only_prepares_is_never_unknown(name: str, operation: str, fault: Fault) -> None:
    async def scenario() -> tuple[Outcome, list[Call]]:
        async with serving(lambda _call: fault) as server:
            return await deliver(name, operation, server.url, 0.4), server.calls

    outcome, calls = asyncio.run(scenario())
    assert outcome.verdict == "retry"
    assert not any(HTTP_KITS[name].is_effect(operation, call) for call in calls)
    assert_no_secret(name, outcome)


@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_nobody_listens(name: str, operation: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        outcome = asyncio.run(deliver(name, operation, address))
    assert judged_part(outcome) == DOWN
    assert_no_secret(name, outcome)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.mark.parametrize("is_plain", [True, False], ids=["plain text", "untrusted certificate"])
@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_the_tls_handshake_fails(name: str, operation: str, is_plain: bool, certificate: Path) -> None:
    async def scenario() -> Outcome:
        async with speaking_plain_text() if is_plain else presenting(certificate) as address:
            return await deliver(name, operation, address)

    outcome = asyncio.run(scenario())
    assert judged_part(outcome) == DOWN
    assert "TLS" in outcome.detail
    assert_no_secret(name, outcome)


@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_a_host_name_without_an_address(name: str, operation: str) -> None:
    outcome = asyncio.run(deliver(name, operation, "http://no-such-host.invalid"))
    assert judged_part(outcome) == DOWN
    assert "host name" in outcome.detail
    assert_no_secret(name, outcome)


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/x", "http://", "nonsense"])
@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_an_address_that_cannot_be_called(name: str, operation: str, address: str) -> None:
    outcome = asyncio.run(deliver(name, operation, address))
    assert judged_part(outcome) == Expected("retry", "misconfigured", "destination")
    assert_no_secret(name, outcome)


@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_a_redirect_is_not_followed(name: str, operation: str) -> None:
    async def scenario() -> list[Call]:
        script = faulty(name, operation, answers(307, b"", {"Location": "/elsewhere"}))
        async with serving(script) as server:
            await deliver(name, operation, server.url)
            return server.calls

    assert not any("/elsewhere" in call.path for call in asyncio.run(scenario()))


@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_proxies_of_the_environment_are_not_used(name: str, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    case = next(case for case in CASES if case.status == 400)
    _outcome, server = asyncio.run(outcome_of(name, operation, case))
    assert server.calls


def test_the_matrix_has_every_kind_of_status() -> None:
    assert {status // 100 for status in STATUSES} >= {3, 4, 5}
