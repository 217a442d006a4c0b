"""Authenticate a request by token, session or signed URL, and limit its rate."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request

from stepdown import clock
from stepdown.config.people import same_person
from stepdown.sharing.readers.access_alerts import Watcher
from stepdown.sharing.readers.access_cache import AccessSnapshot, Authority
from stepdown.sharing.readers.http_errors import Denied, unknown
from stepdown.sharing.readers.principals import Principal, client_of, source
from stepdown.sharing.readers.rate_limits import Rate
from stepdown.sharing.readers.session import Session, is_ours, session_of, sign_out
from stepdown.sharing.readers.settings import Settings
from stepdown.sharing.readers.signed_urls import Grant, Signer
from stepdown.sharing.readers.tokens import Token, recognise

_SCHEME = "bearer "
_SAFE = ("GET", "HEAD")


@dataclass
class Authenticator:
    """Finds out who sends a request; what they may have is decided elsewhere.

    Args:
        public_url: how readers reach the server, without a slash at the end.
    """

    settings: Settings
    public_url: str
    authority: Authority
    signer: Signer
    watcher: Watcher
    _rate: Rate = field(default_factory=Rate)

    def visitor(self, request: Request) -> Principal:
        """Who asks: by the token in the ``Authorization`` header, else by the browser's session.

        By nothing in the URL; and a form of another site is nobody's, whatever cookie it brings.

        Raises:
            Denied: the token is nobody's or no longer works, or they ask too often.
        """
        header = request.headers.get("authorization")
        if header is None:
            return self._browser(request) or self.anybody(request)
        if not header.lower().startswith(_SCHEME):
            raise self._unauthorised("send the token as `Authorization: Bearer TOKEN`")
        return self.holder(request, header[len(_SCHEME) :].strip())

    def anybody(self, request: Request) -> Principal:
        """A reader of public."""
        on_page = request.headers.get("sec-fetch-site") == "same-origin"
        visitor = Principal(None, self._source(request), client_of(request), on_page=on_page)
        self._not_too_often(visitor.address, self.settings.limits.requests_per_minute)
        return visitor

    def holder(self, request: Request, secret: str) -> Principal:
        """The holder of a token.

        Raises:
            Denied: it is nobody's, no longer works, or is used too often or from elsewhere.
        """
        address = self._source(request)
        token = recognise(self.authority.now().tokens, secret)
        if token is None:
            self.watcher.failed_token(address)
            most = self.settings.limits.failed_tokens_per_minute
            self._not_too_often(f"failed {address}", most)
            raise self._unauthorised("the token is not known: check the profile file")
        self._check_token(token, address)
        return Principal(token, address, client_of(request), is_steward=_is_steward(token))

    def granted(self, request: Request, grant: Grant) -> Principal:
        """The principal that a signed URL was made for: the holder of a token, else anybody.

        Raises:
            Denied: the token is not known or no longer works, or is used too often or from
                elsewhere.
        """
        if not grant.token:
            return self.anybody(request)
        token = self.authority.now().tokens.get(grant.token)
        if token is None:  # the ledger is an older one than the URL
            raise unknown()
        visitor = Principal(token, self._source(request), client_of(request))
        self._check_token(token, visitor.address)
        return visitor

    def signed_in(self, request: Request) -> Principal | None:
        """Name who is signed in with a browser, for a greeting; nothing is handed out by it."""
        picture = self.authority.last
        session = self._session(request, picture)
        if session is None:
            return None
        if session.person:
            return self._signed_in(request, session.person)
        token = picture.tokens.get(session.token)
        if token is None or token.problem(clock.now()):
            return None
        return self._on_page(request, token)

    def sign_out(self, request: Request) -> None:
        """End the browser's session, wherever its cookie has been copied to.

        Raises:
            WorldFailed: the ledger takes no line, and the session goes on.
        """
        session = self._session(request, self.authority.now())
        if session is not None:
            sign_out(self.authority.ledger, session)

    def _check_token(self, token: Token, address: str) -> None:
        """Whether a token that is known works now and from here.

        Raises:
            Denied: it does not.
        """
        if problem := token.problem(clock.now()):
            self.watcher.after_end(token.terms.who, address, problem)
            raise self._unauthorised(problem)
        if not token.allows_from(address):
            raise self._unauthorised("the token is not accepted from this address")
        most = token.terms.requests_per_minute or self.settings.limits.requests_per_minute
        self._not_too_often(token.id, most)

    def _source(self, request: Request) -> str:
        """The address that a request comes from."""
        return source(request, self.settings.trusted_proxies)

    def _browser(self, request: Request) -> Principal | None:
        if request.method not in _SAFE and not is_ours(request, self.public_url):
            return None
        picture = self.authority.now()
        session = self._session(request, picture)
        if session is None:
            return None
        if session.person:
            self._not_too_often(session.person, self.settings.limits.requests_per_minute)
            return self._signed_in(request, session.person)
        token = picture.tokens.get(session.token)
        if token is None:
            return None
        try:
            self._check_token(token, self._source(request))
        except Denied as denied:
            if denied.status == 401:  # the session has ended with its token; public stays open
                return None
            raise
        return self._on_page(request, token)

    def _session(self, request: Request, picture: AccessSnapshot) -> Session | None:
        session = session_of(request, self.signer, self.public_url)
        return None if session is None or session.id in picture.signed_out else session

    def _signed_in(self, request: Request, person: str) -> Principal | None:
        oidc = self.settings.oidc
        if oidc is None:  # it was switched off since
            return None
        return Principal(
            None,
            self._source(request),
            client_of(request),
            person=person,
            is_steward=same_person(person) in {same_person(name) for name in oidc.stewards},
            on_page=True,
        )

    def _on_page(self, request: Request, token: Token) -> Principal:
        return Principal(
            token,
            self._source(request),
            client_of(request),
            is_steward=_is_steward(token),
            on_page=True,
        )

    def _not_too_often(self, key: str, per_minute: int) -> None:
        wait = self._rate.wait_seconds(key, per_minute)
        if wait:
            seconds = str(int(wait) + 1)
            message = f"{per_minute} requests a minute are allowed; wait {seconds} seconds"
            raise Denied(429, "TOO_MANY_REQUESTS", message, {"Retry-After": seconds})

    def _unauthorised(self, message: str) -> Denied:
        return Denied(401, "UNAUTHENTICATED", message, {"WWW-Authenticate": "Bearer"})


def _is_steward(token: Token) -> bool:
    return token.terms.role == "steward"
