"""Sign a person in with OpenID Connect: the authorization code flow with PKCE.

Authlib speaks the protocol. The provider says who somebody is, the records beside the configs what
they may have.

Source: https://openid.net/specs/openid-connect-core-1_0.html, section 3.1; RFC 7636.
"""

from __future__ import annotations

import secrets
import stat
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from stepdown.errors import ConfigInvalid
from stepdown.sharing.readers.http_errors import Denied
from stepdown.sharing.readers.settings import Oidc

CALLBACK = "/oidc/callback"
_DISCOVERY = "/.well-known/openid-configuration"
_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
_KEEP_SECONDS = 3600.0
_WAIT_SECONDS = 10.0
_LEEWAY_SECONDS = 60


@dataclass
class Provider:
    """One provider, asked when somebody signs in.

    Args:
        callback: where the provider sends people back to.

    Raises:
        ConfigInvalid: the client's secret cannot be read, or others may read it.
    """

    settings: Oidc
    callback: str
    _known: tuple[float, dict[str, Any], KeySet] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        path = self.settings.client_secret_file
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise ConfigInvalid(
                    "others may read the client's secret", where=str(path), next="chmod 600 it."
                )
            self._secret = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigInvalid(
                f"the client's secret cannot be read ({error.strerror})", where=str(path)
            ) from None

    def start(self) -> tuple[str, dict[str, str]]:
        """Where to send the browser, and what to keep until it comes back.

        Raises:
            Denied: the provider does not answer.
        """
        metadata, _ = self._discover()
        kept = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        with self._client() as client:
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"],
                state=kept["state"],
                nonce=kept["nonce"],
                code_verifier=kept["verifier"],
            )
        return str(url), kept

    def finish(self, query: Mapping[str, str], kept: Mapping[str, str]) -> str:
        """The person who came back: the value of the claim that the settings name.

        Args:
            query: of the request that the browser came back with. kept: what ``start`` gave.

        Raises:
            Denied: the provider said no, or what came back is not what was asked for.
        """
        if not secrets.compare_digest(query.get("state", "").encode(), kept["state"].encode()):
            raise _failed("the answer belongs to another attempt: sign in again")
        if "code" not in query:
            raise _failed("the provider did not sign you in")
        metadata, keys = self._discover()
        try:
            with self._client() as client:
                answer = client.fetch_token(
                    metadata["token_endpoint"],
                    code=query["code"],
                    code_verifier=kept["verifier"],
                    timeout=_WAIT_SECONDS,
                )
                token = jwt.decode(str(answer["id_token"]), keys, algorithms=_ALGORITHMS)
                self._check(token.claims, kept["nonce"])
                claims = {**self._more(client, metadata, token.claims), **token.claims}
        except (AuthlibBaseError, requests.RequestException, JoseError, KeyError, ValueError):
            # What a provider or a library says may hold parts of the code or of the token.
            raise _failed("the provider's answer does not hold: sign in again") from None
        return self._person(claims)

    def _more(
        self, client: OAuth2Session, metadata: Mapping[str, Any], claims: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What the provider tells at its UserInfo endpoint; some put no more into the token."""
        if self.settings.claim in claims or "userinfo_endpoint" not in metadata:
            return {}
        told = _answer(client, metadata["userinfo_endpoint"])
        if told["sub"] != claims["sub"]:
            raise ValueError
        return dict(told)

    def _check(self, claims: Mapping[str, Any], nonce: str) -> None:
        jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self.settings.issuer},
            aud={"essential": True, "value": self.settings.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(dict(claims))

    def _person(self, claims: Mapping[str, Any]) -> str:
        name = claims.get(self.settings.claim)
        if not isinstance(name, str) or not name.strip():
            raise _failed(f"the provider does not tell the claim {self.settings.claim}")
        if self.settings.claim == "email" and claims.get("email_verified") is not True:
            raise _failed("the provider has not verified your address")
        return name.strip()

    def _discover(self) -> tuple[dict[str, Any], KeySet]:
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] > _KEEP_SECONDS:
                self._known = (time.monotonic(), *self._ask())
            return self._known[1], self._known[2]

    def _ask(self) -> tuple[dict[str, Any], KeySet]:
        issuer = self.settings.issuer
        try:
            metadata = _answer(requests, issuer.rstrip("/") + _DISCOVERY)
            if metadata["issuer"] != issuer:
                raise ValueError
            found: Any = _answer(requests, metadata["jwks_uri"])
            return metadata, KeySet.import_key_set(found)
        except (requests.RequestException, JoseError, KeyError, TypeError, ValueError):
            message = "the sign-in provider does not answer as it should; try again, or use a token"
            raise Denied(503, "TEMPORARILY_UNAVAILABLE", message, {"Retry-After": "30"}) from None

    def _client(self) -> OAuth2Session:
        return OAuth2Session(
            self.settings.client_id,
            self._secret,
            scope="openid email profile",
            redirect_uri=self.callback,
            code_challenge_method="S256",
        )


def _answer(client: Any, url: str) -> dict[str, Any]:
    answer = client.get(url, timeout=_WAIT_SECONDS)
    answer.raise_for_status()
    return dict(answer.json())


def _failed(message: str) -> Denied:
    return Denied(401, "UNAUTHENTICATED", message)
