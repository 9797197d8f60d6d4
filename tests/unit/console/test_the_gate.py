"""Signing in and out, sessions and tokens that end, forged forms, proxies, and the headers on every answer."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from starlette.applications import Starlette
from unit.console.calling import Browser
from unit.console.conftest import SignIn
from unit.console.small_console import application_on, token_for
from unit.verify.small_ledger import SmallLedger

from dagster_project.console.exposure import Exposure, ExposureRefused
from dagster_project.console.gate import COOKIE, TRIES
from dagster_project.contracts.roles import Role
from dagster_project.ledger.access import AccessRefused, create_token, prove, remove_person, revoke_token, set_person
from dagster_project.ledger.schema import access_tokens, audit, sessions
from dagster_project.ledger.sessions import IDLE_WITHIN, SESSION_WITHIN

PROXY = Exposure("0.0.0.0", "X-Auth-Request-User", frozenset({"10.1.1.1"}))


def test_a_token_signs_in_and_the_session_ends_when_it_is_signed_out(
    ledger: SmallLedger, application: Starlette
) -> None:
    browser = Browser(application)
    answer = browser.post("/sign-in", {"token": token_for(ledger, "ada", Role.VIEWER), "to": "/audit?who=people"})
    assert (answer.status, answer.header("location")) == (303, "/audit?who=people")
    cookie = answer.header("set-cookie").lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie
    assert browser.get("/").status == 200
    key = browser.form_key()
    kept = dict(browser.cookies)
    assert browser.post("/sign-out", {"form_key": key}).status == 303
    assert Browser(application, cookies=kept).get("/").status == 303, "a session that was ended is over for good"


@pytest.mark.parametrize("token", ["", "x", "loop_000000000000_x", "loop_", "loop__", "loop_a_b_c" * 30])
def test_what_is_no_token_signs_nobody_in(ledger: SmallLedger, application: Starlette, token: str) -> None:
    token_for(ledger, "root")
    answer = Browser(application).post("/sign-in", {"token": token})
    assert answer.status == 401
    assert "unknown, expired or revoked" in answer.text
    assert not answer.header("set-cookie")


def test_a_wrong_secret_of_a_known_token_signs_nobody_in(ledger: SmallLedger) -> None:
    token = token_for(ledger, "root")
    assert prove(ledger.database, token) is not None
    assert prove(ledger.database, token[:-1] + ("A" if token[-1] != "A" else "B")) is None


def test_the_secret_is_kept_nowhere(ledger: SmallLedger, sign_in: SignIn) -> None:
    token = token_for(ledger, "root")
    browser = sign_in("root")
    secret, cookie = token.split("_", 2)[2], browser.cookies[COOKIE]
    with ledger.database.reading() as connection:
        kept = str([connection.execute(select(table)).all() for table in (access_tokens, sessions, audit)])
    assert secret not in kept and cookie not in kept


@pytest.mark.parametrize("ends", ["idle", "long", "token expired", "token revoked"])
def test_sessions_end(ledger: SmallLedger, sign_in: SignIn, ends: str) -> None:
    browser = sign_in("ada", Role.VIEWER)
    if ends == "token revoked":
        with ledger.database.reading() as connection:
            newest = select(access_tokens.c.token_id).where(access_tokens.c.person == "ada")
            token_id = connection.execute(newest).scalar_one()
        assert revoke_token(ledger.database, token_id, "root")
    elif ends == "idle":
        ledger.now += IDLE_WITHIN
    else:
        until = ledger.now + (SESSION_WITHIN if ends == "long" else timedelta(days=2))
        while ledger.now < until:
            answer = browser.get("/healthz")
            ledger.now += IDLE_WITHIN / 2
            if ledger.now < until:
                browser.get("/signals")
        assert answer.status == 200
    assert browser.get("/").status == 303


def test_guessing_comes_to_an_end(ledger: SmallLedger, application: Starlette) -> None:
    token = token_for(ledger, "root")
    guesser = Browser(application, address="10.9.9.9")
    statuses = [guesser.post("/sign-in", {"token": "loop_x_y"}).status for _ in range(TRIES + 2)]
    assert statuses == [401] * TRIES + [429] * 2
    assert guesser.post("/sign-in", {"token": token}).status == 429
    assert Browser(application, address="10.9.9.8").post("/sign-in", {"token": token}).status == 303
    with ledger.database.reading() as connection:
        refused = connection.execute(select(audit).where(audit.c.verb == "refused")).all()
    assert len(refused) == TRIES


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"},
                                     {"origin": "null"}])  # fmt: skip
def test_a_form_of_another_site_does_nothing(developer: Browser, headers: dict[str, str]) -> None:
    form = {"form_key": developer.form_key(), "why": "x", "subject": "all"}
    answer = developer.post("/pause", form, **headers)
    assert (answer.status, "from another site" in answer.text) == (403, True)
    assert "Nothing is paused" in developer.get("/signals").text


@pytest.mark.parametrize("key", ["", "0" * 64, "another session's", "ключ"])
def test_a_form_without_its_session_s_key_does_nothing(developer: Browser, key: str) -> None:
    if key == "another session's":
        key = Browser(developer.application).form_key("/signals")
    developer.get("/")
    answer = developer.post("/pause", {"form_key": key, "why": "x", "subject": "all"})
    assert answer.status == 403
    assert "Nothing is paused" in developer.get("/signals").text


def test_forms_of_another_kind_and_size_are_refused(developer: Browser) -> None:
    assert developer.post("/pause", {}, content_type="text/plain").status == 415
    assert developer.post("/pause", {"why": "x" * 600_000}).status == 413
    many = {"form_key": developer.form_key(), "why": "x", "id": [str(n) for n in range(3000)]}
    assert developer.post("/replay", many).status == 400
    assert developer.deed("/pause", subject="all", why="").status == 400
    assert developer.deed("/pause", subject="signal:nonsense").status == 400


@pytest.mark.parametrize("path", ["/", "/sign-in", "/nowhere", "/style.css", "/signals/none", "/healthz"])
def test_every_answer_has_the_security_headers(developer: Browser, path: str) -> None:
    answer = developer.get(path)
    policy = answer.header("content-security-policy")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "script" not in policy
    assert "unsafe" not in policy
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("referrer-policy") == "same-origin"
    assert "<script" not in answer.text and " style=" not in answer.text and "javascript:" not in answer.text


def test_a_machine_without_sign_in_answers_itself_only(developer: Browser) -> None:
    assert developer.get("/").status == 200
    assert developer.get("/", host="attacker.example:8660").status == 403
    assert developer.get("/", x_forwarded_for="1.2.3.4").status == 403
    assert Browser(developer.application).get("/", host="localhost:8660").status == 200
    assert "nobody has to sign in" in developer.get("/").text


def test_no_address_elsewhere_is_followed_after_signing_in(ledger: SmallLedger, application: Starlette) -> None:
    token = token_for(ledger, "root")
    for to in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/a\r\nx: y"):
        assert Browser(application).post("/sign-in", {"token": token, "to": to}).header("location") == "/"


def test_the_proxy_s_word_counts_only_from_the_proxy(ledger: SmallLedger) -> None:
    token_for(ledger, "root")
    set_person(ledger.database, "ada@example.com", [Role.VIEWER], (), "root")
    application = application_on(ledger, PROXY)
    named = {"x-auth-request-user": "ada@example.com"}
    trusted = Browser(application, address="10.1.1.1", headers=named)
    assert trusted.get("/").status == 200
    assert "ada@example.com" in trusted.get("/").text
    assert Browser(application, address="10.1.1.2", headers=named).get("/").status == 303
    assert Browser(application, address="10.1.1.1", headers={"x-auth-request-user": "eve"}).get("/").status == 403
    stolen = Browser(application, address="10.1.1.2", cookies=dict(trusted.cookies))
    assert stolen.get("/").status == 303, "a proxied session is worth nothing without the proxy"


def test_the_cookie_keeps_to_encrypted_ways_where_there_are_any(ledger: SmallLedger) -> None:
    token = token_for(ledger, "root")
    application = application_on(ledger, PROXY)
    https = {"x-forwarded-proto": "https", "x-forwarded-host": "loop.example"}
    behind = Browser(application, address="10.1.1.1", headers=https)
    answer = behind.post("/sign-in", {"token": token}, origin="https://loop.example")
    assert answer.status == 303 and "secure" in answer.header("set-cookie").lower()
    liar = Browser(application, address="10.1.1.2", headers=https)
    assert "secure" not in liar.post("/sign-in", {"token": token}).header("set-cookie").lower()


@pytest.mark.parametrize(
    ("exposure", "is_required", "why"),
    [
        (Exposure("0.0.0.0"), False, "open to everybody"),
        (Exposure("192.168.1.5"), False, "open to everybody"),
        (Exposure("::"), False, "open to everybody"),
        (Exposure("console.example"), False, "open to everybody"),
        (Exposure("127.0.0.1", "X-User"), True, "LOOP_CONSOLE_PROXY_ADDRESSES is not"),
        (Exposure("127.0.0.1", "X-User", frozenset({"10.0.0.1"})), False, "everybody who comes through the proxy"),
        (Exposure("127.0.0.1", "X-User", frozenset({"anywhere"})), True, "no IP address"),
    ],
)
def test_it_does_not_start_where_it_would_be_open(exposure: Exposure, is_required: bool, why: str) -> None:
    with pytest.raises(ExposureRefused, match=why):
        exposure.check(is_required)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_it_starts_on_this_machine_and_elsewhere_with_people(host: str) -> None:
    Exposure(host).check(is_sign_in_required=False)
    Exposure("0.0.0.0").check(is_sign_in_required=True)


def test_there_is_always_an_admin_left(ledger: SmallLedger) -> None:
    with pytest.raises(AccessRefused, match="nobody would be left"):
        set_person(ledger.database, "vera", [Role.VIEWER], (), "test")
    set_person(ledger.database, "root", [Role.ADMIN], (), "test")
    set_person(ledger.database, "vera", [Role.VIEWER], ("team:a",), "root")
    for change in (
        lambda: set_person(ledger.database, "root", [Role.VIEWER], (), "root"),
        lambda: set_person(ledger.database, "root", [Role.ADMIN], ("team:a",), "root"),
        lambda: remove_person(ledger.database, "root", "root"),
    ):
        with pytest.raises(AccessRefused, match="nobody would be left"):
            change()


@pytest.mark.parametrize("name", ["", "loop", "run:1", "a b", "x" * 129, "Root", "<b>"])
def test_names_that_the_audit_trail_could_not_tell_apart_are_refused(ledger: SmallLedger, name: str) -> None:
    set_person(ledger.database, "root", [Role.ADMIN], (), "test")
    with pytest.raises(AccessRefused, match="Nothing was changed"):
        set_person(ledger.database, name, [Role.ADMIN], (), "test")


@pytest.mark.parametrize("days", [0, -1, 400])
def test_tokens_have_an_end(ledger: SmallLedger, days: int) -> None:
    set_person(ledger.database, "root", [Role.ADMIN], (), "test")
    with pytest.raises(AccessRefused, match="at most 366 days"):
        create_token(ledger.database, "root", "", timedelta(days=days), "test")
