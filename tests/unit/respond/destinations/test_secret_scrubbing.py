"""Secrets are masked in every spelling in which a vendor may repeat them."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from dagster_project.contracts.destination import Connection, Outcome, Verdict
from dagster_project.respond.destinations.secret_scrubbing import LONGEST_DETAIL, SecretScrubber, cut

secrets = st.text(st.characters(codec="utf-8"), min_size=6, max_size=40).filter(lambda one: "*" not in one)


class _Connection(Connection):
    token: SecretStr
    address: str = "https://user:pa55word@crm.example.com"


@given(secrets, st.text(max_size=30), st.text(max_size=30))
def test_no_spelling_of_a_secret_is_left(secret: str, before: str, after: str) -> None:
    scrubber = SecretScrubber.of(_Connection(token=SecretStr(secret)))
    for spelling in (
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        base64.b64encode(secret.encode()).decode(),
    ):
        assert spelling not in scrubber.clean(before + spelling + after)


def test_passwords_in_addresses_and_secrets_learned_later() -> None:
    scrubber = SecretScrubber.of(_Connection(token=SecretStr("t0ken-1")))
    scrubber.learn("session-2")
    assert scrubber.clean("pa55word t0ken-1 session-2") == "*** *** ***"
    assert "session-2" not in repr(scrubber)


def test_the_parts_of_a_secret_address() -> None:
    address = "https://hooks.example.com/services/B0TTTTTTT?code=s3cret-c0de"
    scrubber = SecretScrubber.of(_Connection(token=SecretStr(address)))
    assert scrubber.clean("B0TTTTTTT s3cret-c0de hooks.example.com") == "*** *** hooks.example.com"


def test_a_secret_across_the_cut_leaves_no_part() -> None:
    scrubber = SecretScrubber.of(_Connection(token=SecretStr("t0ken-t0ken-t0ken")))
    detail = "x" * (LONGEST_DETAIL - 5) + "t0ken-t0ken-t0ken" + "y" * 50
    cleaned = scrubber.clean_outcome(Outcome(Verdict.RETRY, detail=detail)).detail
    assert len(cleaned) == LONGEST_DETAIL
    assert "t0k" not in cleaned and cleaned.endswith("[cut]")


def test_every_text_of_an_outcome_is_cleaned() -> None:
    scrubber = SecretScrubber.of(_Connection(token=SecretStr("t0ken-1")))
    outcome = Outcome(Verdict.DELIVERED, "", "t0ken-1", "t0ken-1", "http://x/t0ken-1", {"id": "t0ken-1"})
    assert "t0ken-1" not in repr(scrubber.clean_outcome(outcome))


@given(st.text(max_size=1200))
def test_cut_keeps_what_fits(text: str) -> None:
    assert len(cut(text)) <= LONGEST_DETAIL
    assert cut(text) == text or len(text) > LONGEST_DETAIL
