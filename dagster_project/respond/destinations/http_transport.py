"""One bounded HTTP session per destination: a deadline, no redirects, no proxies from outside, no endless bodies.

It reports what happened, in particular whether any byte of the request can have left, and judges nothing.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dagster_project.respond.destinations.outcome_mapping import Answer, Failure, Fault, Flaw, Reply

if TYPE_CHECKING:
    import aiohttp

LARGEST_BODY = 4 * 1024 * 1024  # bytes; a batch answer of 100 records is some 200 KB
# Most servers keep an idle connection for 5 s or more. Dropping it before they do avoids sending on a connection that
# is just being closed, which would leave an outcome that nobody knows.
_KEEP_IDLE = 2.0
_CHUNK = 64 * 1024


@dataclass
class _Progress:
    """How far one call got: set when the connector gives it a connection, read when the call failed."""

    has_connection: bool = False


_under_way: ContextVar[_Progress] = ContextVar("_under_way")  # of the call that the running task makes


class HttpTransport:
    """Calls of one destination, from one event loop."""

    def __init__(self, call_deadline: float, headers: Mapping[str, str] | None = None) -> None:
        self._call_deadline = call_deadline
        self._headers = dict(headers or {})
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        deadline: float | None = None,
        **body: Any,
    ) -> Answer:
        """Makes one call and reports what happened; never raises for anything that the network or the server does.

        Parameters: `deadline` in seconds for connect and reply together, the connection's call deadline by default;
        `body` is what aiohttp takes: `json`, `data`, `params`.
        """
        import aiohttp

        progress = _Progress()
        _under_way.set(progress)
        seconds = self._call_deadline if deadline is None else deadline
        try:
            async with self._opened().request(
                method,
                url,
                headers={**self._headers, **(headers or {})},
                allow_redirects=False,
                timeout=_timeout(seconds),
                **body,
            ) as response:
                return await _reply_of(response)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            return Failure(Fault.MISADDRESSED, f"the address cannot be called ({type(error).__name__})")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _failure_of(error, progress, seconds)

    async def close(self) -> None:
        """Closes the session and its connections; a later call opens a new one."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        # The session belongs to the running loop, so it is made by the first call and not by `open`.
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=_noting_connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                json_serialize=_compact_json,
                trust_env=False,
            )
        return self._session


# Everything beyond ASCII is escaped, lone surrogates too, which have no UTF-8 form.
_compact_json = json.JSONEncoder(separators=(",", ":")).encode


@lru_cache(maxsize=16)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    import aiohttp

    return aiohttp.ClientTimeout(total=seconds)


def _noting_connector() -> aiohttp.TCPConnector:
    """A connector that notes when a call has its connection; the client's own tracing costs each call six callbacks."""
    import aiohttp

    class NotingConnector(aiohttp.TCPConnector):
        async def connect(self, *given: Any, **named: Any) -> Any:
            connection = await super().connect(*given, **named)
            _under_way.get().has_connection = True
            return connection

    return NotingConnector(keepalive_timeout=_KEEP_IDLE)


async def _reply_of(response: aiohttp.ClientResponse) -> Reply:
    """The reply with as much of its body as came and may be read."""
    import aiohttp

    body, flaw = bytearray(), None
    try:
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > LARGEST_BODY:
                flaw = Flaw.OVERSIZED
                response.close()
                break
    except TimeoutError:
        flaw = Flaw.TIMED_OUT
    except (aiohttp.ClientError, OSError):
        flaw = Flaw.CUT_SHORT
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status, headers, bytes(body[:LARGEST_BODY]), flaw)


def _failure_of(error: Exception, progress: _Progress, seconds: float) -> Failure:
    import aiohttp

    kind = type(error).__name__
    if not progress.has_connection:
        if isinstance(error, TimeoutError):
            return Failure(Fault.NOT_SENT, f"no connection within {seconds:g} s; nothing was sent")
        return Failure(Fault.NOT_SENT, f"no connection ({_cause_of(error)}); nothing was sent")
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return Failure(Fault.TIMED_OUT, f"no reply within {seconds:g} s; the request may have been carried out")
    if isinstance(error, aiohttp.ClientResponseError):
        return Failure(Fault.GARBLED, f"the reply is not HTTP ({kind}); the request may have been carried out")
    return Failure(
        Fault.REPLY_LOST, f"the connection ended ({kind}) before a reply; the request may have been carried out"
    )


def _cause_of(error: Exception) -> str:
    """The cause in words of our own: an exception's text repeats addresses and what a peer sent."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its TLS certificate is not trusted"
    if isinstance(error, (aiohttp.ClientConnectorSSLError, ssl.SSLError)):
        return "the TLS handshake failed"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host name has no address"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.strerror or "refused"
    return type(error).__name__
