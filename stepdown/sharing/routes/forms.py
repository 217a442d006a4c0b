"""Parse a form of our pages, after the browser told where it was sent from."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from stepdown.sharing.readers.http_errors import Denied, wrong
from stepdown.sharing.readers.session import is_ours
from stepdown.sharing.routes.dependencies import ServiceOf

_MOST_FIELDS = 20
_BOUNDARY = re.compile(r'\bboundary="?([^\s";,]{1,70})')
_NAME = re.compile(rb'\bname="([^"\r\n]*)"')


def parse_form(kind: str, body: bytes) -> dict[str, str]:
    """The fields of a form by name; a file is a field with its content.

    Args:
        kind: the ``Content-Type`` header.

    Raises:
        Denied: it is none.
    """
    if kind.startswith("multipart/form-data"):
        return _multipart(kind, body)
    try:
        return dict(parse_qsl(body.decode(errors="replace"), True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise wrong("the form has too many fields") from None


def _multipart(kind: str, body: bytes) -> dict[str, str]:
    """As browsers write it.

    Source: RFC 7578; the standard library's reader of mail, which could do it, falls over some of
    what others might send.
    """
    boundary = _BOUNDARY.search(kind)
    if boundary is None:
        return {}
    found = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode("latin-1")):
        head, _, content = part.partition(b"\r\n\r\n")
        if name := _NAME.search(head):
            found[name[1].decode(errors="replace")] = content.decode(errors="replace")
    return found


async def _form(request: Request, service: ServiceOf) -> dict[str, str]:
    if not is_ours(request, service.public_url):
        message = f"a form is taken from the pages at {service.public_url} only; open it there"
        raise Denied(403, "CROSS_ORIGIN", message)
    return parse_form(request.headers.get("content-type", ""), await request.body())


FormOf = Annotated[dict[str, str], Depends(_form)]
