"""Decides where the console may listen and whom it believes, before it opens a port."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

FORWARDING_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
FIRST_ADMIN = "loopctl access token create NAME --role admin"


class ExposureRefused(Exception):
    """The console would be open to people who have not said who they are; it does not start."""


@dataclass(frozen=True)
class Exposure:
    """Where the console listens, and the proxy that it believes.

    Parameters: the address it listens on; the header in which the proxy names the person, empty for none; the
    addresses of the proxy; the name of the person on a machine where nobody has to sign in.
    """

    host: str
    proxy_header: str = ""
    proxy_addresses: frozenset[str] = frozenset()
    unasked_name: str = "developer"

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    def believes(self, address: str) -> bool:
        """Whether a call from this address may name a person in the proxy's header."""
        return bool(self.proxy_header) and address in self.proxy_addresses

    def check(self, is_sign_in_required: bool) -> None:
        """Raises ExposureRefused, with what to do, where the console must not start so."""
        if self.proxy_header and not self.proxy_addresses:
            raise ExposureRefused(
                "LOOP_CONSOLE_PROXY_HEADER is set, but LOOP_CONSOLE_PROXY_ADDRESSES is not: anybody could send that "
                "header. Name the proxy's own addresses."
            )
        for address in self.proxy_addresses:
            _check_address(address)
        if is_sign_in_required:
            return
        if self.proxy_header:
            raise ExposureRefused(
                "LOOP_CONSOLE_PROXY_HEADER is set, but the ledger knows no people, so everybody who comes through the "
                f"proxy would be an admin. Make the first admin: `{FIRST_ADMIN}`."
            )
        if not self.is_loopback:
            raise ExposureRefused(
                f"{self.host} is no loopback address and the ledger knows no people, so the console would be open to "
                f"everybody. Make the first admin: `{FIRST_ADMIN}`, or listen on 127.0.0.1."
            )


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def host_name(header: str) -> str:
    """The name in a Host header, without its port."""
    name = header.strip().lower()
    return name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]


def _check_address(address: str) -> None:
    try:
        ip_address(address)
    except ValueError:
        raise ExposureRefused(
            f"LOOP_CONSOLE_PROXY_ADDRESSES: {address!r} is no IP address. Nothing was started."
        ) from None
