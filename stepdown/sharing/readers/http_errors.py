"""Answer refusals in the shape that every client of the protocol reads."""

from __future__ import annotations

from starlette.responses import JSONResponse

from stepdown.release.reading.access import OUTSIDE


class Denied(Exception):
    """An answer that is no data.

    Args:
        status: of the response. code: for programs. message: for people; says the next step.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = headers or {}

    def as_response(self) -> JSONResponse:
        """``{"errorCode": …, "message": …}``, as the Delta Sharing protocol has it."""
        content = {"errorCode": self.code, "message": self.message}
        return JSONResponse(content, self.status, headers=self.headers)


def unknown() -> Denied:
    """The one answer for what does not exist and for what is somebody else's."""
    return Denied(404, "RESOURCE_DOES_NOT_EXIST", OUTSIDE)


def wrong(message: str) -> Denied:
    """The answer to a request that cannot be understood."""
    return Denied(400, "INVALID_PARAMETER_VALUE", message)


def away() -> Denied:
    """The answer while the ledger or the store does not answer: nobody may have anything."""
    message = "the server cannot look up who may have what; try again in a minute"
    return Denied(503, "TEMPORARILY_UNAVAILABLE", message, {"Retry-After": "30"})


def busy() -> Denied:
    """The answer while as many releases are being converted as there is memory for."""
    message = (
        "many files are being converted now; take the files of data/, or try again in a minute"
    )
    return Denied(503, "TEMPORARILY_UNAVAILABLE", message, {"Retry-After": "60"})
