"""Every error number this platform answers or records: what it means and what to do (docs/reference/web-services.md).

Numbers of four digits are the documented ones; the rest are HTTP statuses, which clients see as ``HTTP nnn``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEntry:
    """One error: its ``number`` as links end, the HTTP ``status`` (None: only in records), and help for people."""

    number: str
    status: int | None
    text: str
    cause: str
    cure: str

    @property
    def code(self) -> str:
        """The spelling of ``error.code``: ``0001`` or ``HTTP 401``."""
        return self.number if len(self.number) == 4 else f"HTTP {self.number}"


def _entry(number: str, status: int | None, text: str, cause: str, cure: str) -> tuple[str, ErrorEntry]:
    return number, ErrorEntry(number=number, status=status, text=text, cause=cause, cure=cure)


CATALOGUE: dict[str, ErrorEntry] = dict(
    (
        _entry(
            "0001",
            400,
            "Missing mandatory parameter",
            "The request lacks a parameter that the operation needs; the text names it.",
            "Send the parameter in the query, in a form body or in a JSON object body.",
        ),
        _entry(
            "0002",
            400,
            "Invalid parameter",
            "A parameter or the body has content that the operation cannot use; the text says which and why.",
            "Correct the value. When several are wrong, each has its own line in details.",
        ),
        _entry(
            "0003",
            400,
            "Parameter given more than once",
            "A parameter that takes one value came twice, perhaps once in the query and once in the body.",
            "Send it once. Lists of references are one value joined by '/'.",
        ),
        _entry(
            "0004",
            400,
            "At least one is needed",
            "A number is zero, or a list is empty, where at least one is needed.",
            "Ask for one or more, or leave the parameter out where it is optional.",
        ),
        _entry(
            "400",
            400,
            "Bad Request",
            "The request is not something the web services can read.",
            "See the text of the error.",
        ),
        _entry(
            "401",
            401,
            "Unauthorized",
            "The request has no credentials, or they do not open this operation: an unknown account or service, a "
            "wrong password or key, or the wrong one of the two kinds of credential.",
            "Log in to service_start with the user name cloudID/username/service_name with the password of that "
            "service; the others take cloudID/username with the account's API Access Key.",
        ),
        _entry(
            "403",
            403,
            "Forbidden",
            "The credentials are read, but what is asked is not theirs: another cloud id, or several starts in one "
            "request on a Developer account.",
            "Use the cloud id of this node; one call per request on a Developer account.",
        ),
        _entry(
            "404",
            404,
            "Not Found",
            "The path is not an operation, or the named instance or unique_id is not known: it never existed, belongs "
            "to another account, is not ready yet, or has expired.",
            "Check the path and the id. Records of an instance exist once service_status gives an eta that has passed.",
        ),
        _entry(
            "405",
            405,
            "Method Not Allowed",
            "The operation exists but not for this HTTP method.",
            "Use one of the methods in the Allow header.",
        ),
        _entry(
            "408",
            408,
            "Request Timeout",
            "The request stopped arriving before its end.",
            "Send it again; check the connection.",
        ),
        _entry(
            "409",
            409,
            "Conflict",
            "The unique_id was used before for a request with other calls.",
            "Use a new unique_id for new calls; repeat the same request exactly to get its references again.",
        ),
        _entry(
            "413",
            413,
            "Content Too Large",
            "The request is larger than this node takes in one piece.",
            "Send the calls in several requests.",
        ),
        _entry(
            "415",
            415,
            "Unsupported Media Type",
            "The body has a content type, or a content coding, that the web services do not read.",
            "Send application/x-www-form-urlencoded, multipart/form-data or application/json, uncompressed.",
        ),
        _entry(
            "429",
            429,
            "Too Many Requests",
            "Too many failed logins, too many logins at once, or more requests a second than the operator of the node "
            "allows one account or one address.",
            "Wait for the seconds in the Retry-After header. After failed logins, use the right password; otherwise "
            "send several calls in one request, and ask for several references in one service_status.",
        ),
        _entry(
            "431",
            431,
            "Request Header Fields Too Large",
            "The request line and the headers are longer than this node reads.",
            "Send long parameters in the body instead of the query, and fewer or shorter headers.",
        ),
        _entry(
            "500",
            500,
            "Internal Server Error",
            "A defect of callwright: the log of the node has the details under the same time.",
            "Report it with that part of the log. A start whose answer was an error was not queued unless the log says "
            "so.",
        ),
        _entry(
            "503",
            503,
            "Service Unavailable",
            "The node cannot do it now: it is stopping, its database is busy or unreachable, or it has no file "
            "descriptors left for one more connection.",
            "Send the request again a little later; with a unique_id nothing is started twice.",
        ),
        _entry(
            "507",
            507,
            "Insufficient Storage",
            "The disk of the node is full: nothing was queued.",
            "Free space in the data folder of the node, then send the request again.",
        ),
        _entry(
            "2008",
            None,
            "The application ended with a negative return code",
            "An error record of application_status: the application instance ran and ended with the completion status "
            "in the text. Statuses of -1 to -99 are the platform's, lower ones the application's.",
            "Read the log of the instance; for a REST application look at its pages.",
        ),
    )
)


def link(base: str, number: str) -> str:
    """Return the address that explains an error number; ``base`` is everything before the number."""
    return base + number
