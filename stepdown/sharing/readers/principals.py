"""Describe who is asking: the holder of a token or anybody, and from which address."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request

from stepdown.sharing.readers.tokens import Token

_MOST_CLIENT = 200


@dataclass(frozen=True)
class Principal:
    """Somebody, or anybody.

    Args:
        token: what they came with; None for a reader of public.
        address: where they come from. client: what their program calls itself.
        person: who signed in with OpenID Connect, without a token.
        on_page: they came with a browser, from a page of ours or signed in to one.
    """

    token: Token | None
    address: str
    client: str
    person: str = ""
    is_steward: bool = False
    on_page: bool = False

    @property
    def name(self) -> str:
        """The name that the records know them by; empty for anybody."""
        return self.token.terms.who if self.token else self.person

    @property
    def key(self) -> str:
        """By what their requests and bytes are counted."""
        return self.token.id if self.token else self.person or self.address


def source(request: Request, proxies: Sequence[str]) -> str:
    """The address a request comes from, through proxies that are trusted.

    The last address in ``X-Forwarded-For`` that is no trusted proxy; anything before it may be made
    up.
    """
    address = request.client.host if request.client else ""
    if not _is_one_of(address, proxies):
        return address
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
    for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        if not _is_address(hop):
            break
        address = hop
        if not _is_one_of(hop, proxies):
            break
    return address


def client_of(request: Request) -> str:
    """What a program calls itself, without anything that does not print."""
    text = request.headers.get("user-agent", "")
    return "".join(sign for sign in text if sign.isprintable())[:_MOST_CLIENT]


def _is_one_of(address: str, networks: Sequence[str]) -> bool:
    if not _is_address(address):
        return False
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(each) for each in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
