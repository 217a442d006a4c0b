"""Load the server's settings: ``serve.yaml``, and environment variables that win over it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from stepdown.config.treatments import Model
from stepdown.config.yaml_file import read_document, validate
from stepdown.errors import ConfigInvalid

PREFIX = "STEPDOWN_SERVE_"
_ELSEWHERE = ("STEPDOWN_SERVE_CONFIG",)
_NEXT = "docs/sharing.md lists every key of the server's file."


def as_network(text: str) -> str:
    """One spelling of an address or network.

    Raises:
        ValueError: it is neither.
    """
    return str(ipaddress.ip_network(text, strict=False))


def as_public_url(url: str) -> str:
    """An address for readers, without a slash at the end.

    Raises:
        ValueError: nobody could reach it, or tokens would travel in the clear.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here(host)):
        raise ValueError("is not https:// and a host: tokens travel with every request")
    if not host or parts.query or parts.fragment:
        raise ValueError("is not https:// and a host")
    return url.rstrip("/")


def is_here(host: str) -> bool:
    """Whether a host is this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Network = Annotated[str, AfterValidator(as_network)]
Hours = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")]


class Oidc(Model):
    """Signing in with an OpenID Connect provider."""

    issuer: str = Field(description="The provider's issuer URL; discovery is read from it.")
    client_id: str = Field(description="This server's id at the provider.")
    client_secret_file: Path = Field(description="A file of mode 0600 with the client's secret.")
    claim: str = Field(
        "email", description="The claim that names a reader of the security policy or a steward."
    )
    stewards: list[str] = Field([], description="Values of the claim that open steward's pages.")


class Limits(Model):
    """What one reader may ask for."""

    requests_per_minute: int = Field(1200, ge=1, description="By one token, or one address.")
    bytes_per_day: int | None = Field(None, ge=1, description="By one token; none is no limit.")
    anonymous_bytes_per_day: int | None = Field(
        None, ge=1, description="By one address without a token; none is no limit."
    )
    failed_tokens_per_minute: int = Field(
        30, ge=1, description="Wrong tokens from one address before it must wait."
    )


class Watch(Model):
    """What in the access log raises an alert."""

    volume_factor: float = Field(
        5.0, gt=1, description="Bytes of one day beside the most of any day of the last 30."
    )
    volume_floor_bytes: int = Field(
        50_000_000, ge=0, description="Days below it never raise the alert of volume."
    )
    hours: Hours | None = Field(None, description="UTC hours in which access is usual.")
    unknown_names: int = Field(20, ge=2, description="Different unknown names in ten minutes.")
    failed_tokens: int = Field(10, ge=2, description="Wrong tokens in ten minutes.")
    webhook: str | None = Field(
        None, description="Where alerts go: an apprise URL, such as `jsons://host/path`."
    )


class Settings(Model):
    """Everything about one server."""

    public_url: str | None = Field(
        None, description="How readers reach it, behind a proxy too; default its host and port."
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8765, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    trusted_proxies: list[Network] = Field([], description="Whose `X-Forwarded-For` is believed.")
    url_seconds: int = Field(3600, ge=1, le=86400, description="How long a signed URL works.")
    session_seconds: int = Field(
        28800, ge=60, le=604800, description="How long a browser stays signed in."
    )
    slow_seconds: int = Field(
        120, ge=1, description="A reader who takes longer for a mebibyte is cut off."
    )
    grace_seconds: int = Field(20, ge=0, description="What downloads get at shutdown.")
    connections: int = Field(2000, ge=1, description="Open at once; more are answered 503.")
    limits: Limits = Field(default_factory=Limits, description="What one reader may ask for.")
    watch: Watch = Field(default_factory=Watch, description="What raises an alert.")
    oidc: Oidc | None = Field(None, description="Signing in to the page with OpenID Connect.")

    @field_validator("public_url")
    @classmethod
    def _is_reachable(cls, url: str | None) -> str | None:
        if url is None:
            return None
        return as_public_url(url)

    @model_validator(mode="after")
    def _is_told_where(self) -> Self:
        if self.public_url is None and not is_here(self.host):
            raise ValueError("a server that others reach needs public_url: https://…")
        return self


def load_settings(
    path: Path | None, environment: Mapping[str, str] = os.environ, **given: Any
) -> Settings:
    """The server's settings: of the file, the environment, the command line, the last winning.

    ``STEPDOWN_SERVE_PORT=9000`` sets ``port``, ``STEPDOWN_SERVE_LIMITS__BYTES_PER_DAY`` a key
    within a key; lists are separated by commas.

    Raises:
        ConfigInvalid: a key or value is not allowed, or a variable names no key.
    """
    document = read_document(path, "server's file") if path else {}
    where = path or Path("STEPDOWN_SERVE_*")
    merged: dict[str, Any] = deepcopy(dict(document))
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in _ELSEWHERE:
            _put(merged, name, environment[name])
    merged |= {key: value for key, value in given.items() if value is not None}
    return validate(merged, Settings, where, _NEXT)


def _put(document: dict[str, Any], name: str, value: str) -> None:
    outer, _, inner = name.removeprefix(PREFIX).lower().rpartition("__")
    known = (
        _INNER[outer].model_fields
        if outer in _INNER
        else Settings.model_fields
        if not outer
        else {}
    )
    if inner not in known or inner in _INNER:
        raise ConfigInvalid("names no key of the server's settings", where=name, next=_NEXT)
    place = document.setdefault(outer, {}) if outer else document
    listed = inner in ("trusted_proxies", "stewards")
    place[inner] = [part.strip() for part in value.split(",") if part.strip()] if listed else value


_INNER: dict[str, type[Model]] = {"": Settings, "limits": Limits, "watch": Watch, "oidc": Oidc}
