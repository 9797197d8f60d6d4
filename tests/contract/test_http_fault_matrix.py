"""Every destination over HTTP, every operation, every fault: the outcome, and that no secret is in it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from contract_report import CALLS, ContractReport
from fault_cases import CASES, DELIVERED, DOWN, Case, Expected, expected_of
from fault_server import Call, Fault, FaultServer, answers, echoes, resets, serving, stays_silent
from tls_server import presenting, self_signed, speaking_plain_text
from vendor_kits import HTTP_KITS, OVER_HTTP, connection_to, spellings_of
from verdict_words import told_with_consequence

from dagster_project.contracts.destination import Outcome, Request
from dagster_project.respond.destinations.registry import discover

KEY = "act-0123456789abcdef"
NO_CONNECTION = ("nobody listens", "a host name without an address", "no connection within the deadline")


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


def note(report: ContractReport, case: str, name: str, operation: str, outcome: Outcome, effects: int) -> None:
    """The cell of the page: the outcome, what the ledger makes of it, and how often the effect was asked for."""
    idempotency = discover()[name].operations[operation].idempotency
    asked = {0: "; never asked for", 1: ""}.get(effects, f"; asked for {effects} times")
    report.cell(CALLS, case, name, f"{told_with_consequence(outcome, idempotency)}{asked}", operation)


def effects_in(calls: Sequence[Call], name: str, operation: str) -> int:
    return sum(HTTP_KITS[name].is_effect(operation, call) for call in calls)


async def outcome_of(name: str, operation: str, case: Case) -> tuple[Outcome, FaultServer]:
    async with serving(faulty(name, operation, case.fault)) as server:
        return await deliver(name, operation, server.url, case.call_deadline), server


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_fault_of_the_call_that_makes_the_effect(
    name: str, operation: str, case: Case, caplog: pytest.LogCaptureFixture, contract_report: ContractReport
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
    effects = effects_in(server.calls, name, operation)
    # a call that Tryton refused for its session was not carried out, and is made once more with a new one
    assert effects == (2 if name == "tryton" and case.status in (401, 403) else 1)
    assert len(outcome.detail) <= 500
    assert_no_secret(name, outcome, caplog.text)
    if case.retry_after is None:
        assert outcome.retry_after is None
    else:
        least, most = case.retry_after
        assert outcome.retry_after is not None and least <= outcome.retry_after <= most
    note(contract_report, case.name, name, operation, outcome, effects)


@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_nothing_is_wrong(name: str, operation: str, contract_report: ContractReport) -> None:
    async def scenario() -> tuple[Outcome, list[Call]]:
        async with serving(HTTP_KITS[name].healthy()) as server:
            first = await deliver(name, operation, server.url)
            return first, server.calls

    outcome, calls = asyncio.run(scenario())
    assert judged_part(outcome) == DELIVERED, outcome.detail
    assert outcome.external_id
    assert effects_in(calls, name, operation) == 1
    note(contract_report, "nothing is wrong", name, operation, outcome, 1)


BEFORE_THE_EFFECT = {
    "500 before the effect is asked for": echoes(500),
    "a reset before the effect is asked for": resets,
    "silence before the effect is asked for": stays_silent,
}


@pytest.mark.parametrize("case", BEFORE_THE_EFFECT)
@pytest.mark.parametrize(("name", "operation"), [one for one in OVER_HTTP if one[1] in HTTP_KITS[one[0]].prepares])
def test_fault_of_a_call_that_only_prepares_is_never_unknown(
    name: str, operation: str, case: str, contract_report: ContractReport
) -> None:
    async def scenario() -> tuple[Outcome, list[Call]]:
        async with serving(lambda _call: BEFORE_THE_EFFECT[case]) as server:
            return await deliver(name, operation, server.url, 0.4), server.calls

    outcome, calls = asyncio.run(scenario())
    assert outcome.verdict == "retry"
    assert effects_in(calls, name, operation) == 0
    assert_no_secret(name, outcome)
    note(contract_report, case, name, operation, outcome, 0)


@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_nobody_listens(name: str, operation: str, contract_report: ContractReport) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        outcome = asyncio.run(deliver(name, operation, address))
    assert judged_part(outcome) == DOWN
    assert_no_secret(name, outcome)
    note(contract_report, NO_CONNECTION[0], name, operation, outcome, 0)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls") / "server.pem")


TLS_FAILURES = ("TLS is spoken to a server without it", "a TLS certificate that nobody trusts")


@pytest.mark.parametrize("case", TLS_FAILURES)
@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_the_tls_handshake_fails(
    name: str, operation: str, case: str, certificate: Path, contract_report: ContractReport
) -> None:
    async def scenario() -> Outcome:
        async with speaking_plain_text() if case == TLS_FAILURES[0] else presenting(certificate) as address:
            return await deliver(name, operation, address)

    outcome = asyncio.run(scenario())
    assert judged_part(outcome) == DOWN
    assert "TLS" in outcome.detail
    assert_no_secret(name, outcome)
    note(contract_report, case, name, operation, outcome, 0)


@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_a_host_name_without_an_address(name: str, operation: str, contract_report: ContractReport) -> None:
    outcome = asyncio.run(deliver(name, operation, "http://no-such-host.invalid"))
    assert judged_part(outcome) == DOWN
    assert "host name" in outcome.detail
    assert_no_secret(name, outcome)
    note(contract_report, NO_CONNECTION[1], name, operation, outcome, 0)


NO_ADDRESSES = ("ftp://127.0.0.1/x", "http://", "nonsense")


@pytest.mark.parametrize("address", NO_ADDRESSES)
@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_an_address_that_cannot_be_called(
    name: str, operation: str, address: str, contract_report: ContractReport
) -> None:
    outcome = asyncio.run(deliver(name, operation, address))
    assert judged_part(outcome) == Expected("retry", "misconfigured", "destination")
    assert_no_secret(name, outcome)
    note(contract_report, f"the address `{address}`", name, operation, outcome, 0)


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


@contextmanager
def answering_nobody() -> Iterator[str]:
    """An address whose host takes no further connection: the queue of those that nobody accepts is full."""
    with closing(socket.socket()) as listener, closing(socket.socket()) as first, closing(socket.socket()) as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
def test_no_connection_within_the_deadline(name: str, operation: str, contract_report: ContractReport) -> None:
    with answering_nobody() as address:
        outcome = asyncio.run(deliver(name, operation, address, 0.4))
    assert judged_part(outcome) == DOWN
    assert "nothing was sent" in outcome.detail
    note(contract_report, NO_CONNECTION[2], name, operation, outcome, 0)


@pytest.mark.parametrize("name", sorted(HTTP_KITS))
def test_every_status_there_can_be_has_its_meaning(name: str) -> None:
    """Registered or not: each of 300 to 599, one after another on one connector."""
    kit = HTTP_KITS[name]
    operation = next(iter(kit.samples))
    arguments = discover()[name].operations[operation].arguments.model_validate(kit.samples[operation])
    status = 300

    async def scenario() -> dict[int, Expected]:
        nonlocal status
        found: dict[int, Expected] = {}
        healthy = kit.healthy()
        script = lambda call: echoes(status) if kit.is_effect(operation, call) else healthy(call)  # noqa: E731
        async with serving(script) as server:
            destination = discover()[name].open(connection_to(name, server.url, 5.0))
            for status in range(300, 600):
                (outcome,) = await destination.deliver(operation, [Request(KEY, arguments)])
                found[status] = judged_part(outcome)
            await destination.close()
        return found

    expected = {status: kit.expected(operation, status, expected_of(status)) for status in range(300, 600)}
    assert asyncio.run(scenario()) == expected
