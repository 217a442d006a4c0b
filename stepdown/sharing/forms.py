"""What a form of our pages says, read only after the browser told where it was sent from."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from stepdown.sharing.denied import Denied, wrong
from stepdown.sharing.identity import ServiceOf
from stepdown.sharing.session import is_ours

_MOST_FIELDS = 20


def parse_form(kind: str, body: bytes) -> dict[str, str]:
    """The fields of a form by name; a file is a field with its content.

    Args:
        kind: the ``Content-Type`` header.

    Raises:
        Denied: it is none.
    """
    if kind.startswith("multipart/form-data"):
        head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1")
        parts = message_from_bytes(head + body).get_payload()
        return dict(_part(part) for part in parts if isinstance(part, Message))
    try:
        return dict(parse_qsl(body.decode(errors="replace"), True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise wrong("the form has too many fields") from None


def _part(part: Message) -> tuple[str, str]:
    content = part.get_payload(decode=True)
    text = content.decode(errors="replace") if isinstance(content, bytes) else ""
    return str(part.get_param("name", header="content-disposition")), text


async def _form(request: Request, service: ServiceOf) -> dict[str, str]:
    if not is_ours(request, service.public_url):
        message = f"a form is taken from the pages at {service.public_url} only; open it there"
        raise Denied(403, "CROSS_ORIGIN", message)
    return parse_form(request.headers.get("content-type", ""), await request.body())


FormOf = Annotated[dict[str, str], Depends(_form)]
