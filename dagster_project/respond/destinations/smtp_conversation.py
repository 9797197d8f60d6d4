"""One SMTP conversation in a thread, which knows at every moment whether the message can have been accepted.

`smtplib.SMTP.sendmail` hides that: it raises the same error for a connection that broke before the message and after.
"""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
from dataclasses import dataclass, replace
from enum import IntEnum

from dagster_project.contracts.destination import Outcome, ReasonFor, Verdict
from dagster_project.respond.destinations.outcome_mapping import Meaning, outcome_of, rejected, retry, unknown

_GRACE = 1.0  # seconds that the thread may take to notice that its connection was shut


class Stage(IntEnum):
    """How far the conversation got."""

    CONNECTING = 0
    SIGNING_IN = 1
    ADDRESSING = 2
    SENDING = 3  # from here on the server may have the message
    ACCEPTED = 4


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """How to reach a server; `repr` leaves the password out."""

    host: str
    port: int
    sign_in: tuple[str, str] | None
    use_tls: bool
    starttls: bool
    deadline: float  # seconds for the whole conversation

    def __repr__(self) -> str:
        return f"SmtpSettings({self.host}:{self.port})"


class _Refused(Exception):
    """A reply of the server that ends the conversation."""

    def __init__(self, code: int, text: bytes) -> None:
        super().__init__(code)
        self.code = code
        self.text = " ".join(text.decode("utf-8", errors="replace").split())


class SmtpConversation:
    """Sends one message to one recipient."""

    def __init__(self, settings: SmtpSettings, sender: str, recipient: str, content: bytes) -> None:
        self._settings = settings
        self._sender, self._recipient, self._content = sender, recipient, content
        self._stage = Stage.CONNECTING
        # The name is given, since smtplib would otherwise ask the name service for it, for as long as that takes.
        self._smtp = smtplib.SMTP(local_hostname=socket.gethostname() or "localhost", timeout=settings.deadline)
        self._is_out_of_time = False

    async def outcome(self, message_id: str, loop: asyncio.AbstractEventLoop) -> Outcome:
        """Has the conversation in a thread and says what it came to, within the deadline."""
        conversation = loop.run_in_executor(None, self._converse)
        try:
            done, _ = await asyncio.wait({conversation}, timeout=self._settings.deadline)
            if not done:
                self._break_off()
                done, _ = await asyncio.wait({conversation}, timeout=_GRACE)
            if not done and self._smtp.sock is None:  # the name service takes its time, which nothing can cut short
                return outcome_of_ending(Stage.CONNECTING, TimeoutError(), is_out_of_time=True)
            failure = await conversation
        except asyncio.CancelledError:
            self._break_off()
            raise
        if failure is None:
            return Outcome(Verdict.DELIVERED, external_id=message_id, status=250)
        return outcome_of_ending(self._stage, failure, self._is_out_of_time)

    def _converse(self) -> Exception | None:
        """The conversation; gives what ended it early, if anything did."""
        try:
            self._connect(self._smtp)
            self._stage = Stage.SIGNING_IN
            self._sign_in(self._smtp)
            self._stage = Stage.ADDRESSING
            self._address(self._smtp)
            self._send(self._smtp)
        except (smtplib.SMTPException, _Refused, OSError, ValueError) as error:
            return error
        finally:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self._smtp.quit() if self._stage is Stage.ACCEPTED else self._smtp.close()
        return None

    def _connect(self, smtp: smtplib.SMTP) -> None:
        """Connects by hand, so that the socket can be shut from outside while the greeting is awaited."""
        settings = self._settings
        smtp.sock = socket.create_connection((settings.host, settings.port), timeout=settings.deadline)
        if self._is_out_of_time:
            raise TimeoutError
        smtp.sock.settimeout(settings.deadline + _GRACE)  # the deadline ends the wait, this is in case it does not
        if settings.use_tls:
            smtp.sock = _secured(smtp.sock, settings.host)
        _expect((220,), smtp.getreply())

    def _sign_in(self, smtp: smtplib.SMTP) -> None:
        smtp.ehlo_or_helo_if_needed()
        if self._settings.starttls:
            self._turn_to_tls(smtp)
        if self._settings.sign_in is not None:
            smtp.login(*self._settings.sign_in)

    def _turn_to_tls(self, smtp: smtplib.SMTP) -> None:
        if not smtp.has_extn("starttls"):
            raise smtplib.SMTPNotSupportedError
        _expect((220,), smtp.docmd("STARTTLS"))
        assert smtp.sock is not None
        smtp.sock = _secured(smtp.sock, self._settings.host)
        # RFC 3207, 4.2: what was said before TLS counts no more, neither replies still unread nor the offered features.
        smtp.file = None
        smtp.helo_resp = smtp.ehlo_resp = None
        smtp.esmtp_features, smtp.does_esmtp = {}, False
        smtp.ehlo_or_helo_if_needed()

    def _address(self, smtp: smtplib.SMTP) -> None:
        _expect((250,), smtp.mail(self._sender))
        _expect((250, 251), smtp.rcpt(self._recipient))
        _expect((354,), smtp.docmd("DATA"))

    def _send(self, smtp: smtplib.SMTP) -> None:
        self._stage = Stage.SENDING
        # RFC 5321, 4.5.2: a line that begins with a dot gets one more, and a dot of its own ends the message.
        lines = self._content.replace(b"\r\n.", b"\r\n..")
        first = b"." if lines.startswith(b".") else b""
        end = b".\r\n" if lines.endswith(b"\r\n") else b"\r\n.\r\n"
        smtp.send(first + lines + end)
        _expect((250,), smtp.getreply())
        self._stage = Stage.ACCEPTED

    def _break_off(self) -> None:
        """Ends the thread's wait for the server; one that has no connection yet gives up as soon as it has."""
        self._is_out_of_time = True
        sock = self._smtp.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _expect(codes: tuple[int, ...], reply: tuple[int, bytes]) -> None:
    if reply[0] not in codes:
        raise _Refused(*reply)


def _secured(sock: socket.socket, host: str) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(sock, server_hostname=host)


def outcome_of_ending(stage: Stage, failure: Exception, is_out_of_time: bool) -> Outcome:
    """What a conversation that ended early came to: a reply is judged by its code, silence by the stage."""
    code, text = _reply_in(failure)
    if code is not None:
        return replace(_outcome_of_code(stage, code, text), status=code)
    kind = type(failure).__name__
    is_late = is_out_of_time or isinstance(failure, TimeoutError)
    if stage >= Stage.SENDING:
        text = f"the connection ended after the message was sent and before an answer ({kind}); it may be on its way"
        return unknown(ReasonFor.TIMED_OUT if is_late else ReasonFor.REPLY_LOST, text)
    if isinstance(failure, smtplib.SMTPNotSupportedError):
        text = "the server does not offer what the connection's settings ask for (TLS or sign-in)"
        return retry(ReasonFor.MISCONFIGURED, text, scope="destination")
    waited = "in time" if is_late else kind
    return retry(ReasonFor.UNREACHABLE, f"no mail server answered ({waited}); nothing was sent", scope="destination")


def _reply_in(failure: Exception) -> tuple[int | None, str]:
    if isinstance(failure, _Refused):
        return failure.code, failure.text
    if isinstance(failure, smtplib.SMTPResponseException) and failure.smtp_code >= 400:
        said = failure.smtp_error
        text = said.decode("utf-8", errors="replace") if isinstance(said, bytes) else str(said)
        return failure.smtp_code, " ".join(text.split())
    return None, ""


def _outcome_of_code(stage: Stage, code: int, text: str) -> Outcome:
    """RFC 5321, 4.2.1: 4yz means not done, try again; 5yz means not done, ever. 421 closes the whole service."""
    detail = f"SMTP {code}: {text}"
    if stage is Stage.SIGNING_IN and code in (454, 530, 534, 535, 538):
        return outcome_of(Meaning(Verdict.RETRY, ReasonFor.UNAUTHORIZED, "destination"), detail)
    if code == 421 or stage <= Stage.SIGNING_IN:
        return retry(ReasonFor.UNREACHABLE, detail, scope="destination")
    if code in (450, 451, 452) or 400 <= code <= 499:
        return retry(ReasonFor.REFUSED, detail)
    if 500 <= code <= 599:
        return rejected(ReasonFor.REFUSED, detail)
    reason = ReasonFor.MALFORMED_REPLY
    return unknown(reason, detail) if stage >= Stage.SENDING else retry(reason, detail)
