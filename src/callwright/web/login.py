"""From an ``Authorization`` header to the account, and the service, it opens."""

from __future__ import annotations

import math
from dataclasses import dataclass

import structlog
from starlette.requests import Request

from callwright.accounts.account import Account
from callwright.accounts.credentials import Denial, DenialReason, UserName
from callwright.accounts.service import Service
from callwright.web.auth import ACCOUNT_FORM, SERVICE_FORM, WRONG, read_login
from callwright.web.edge import Edge
from callwright.web.errors import HttpProblem, problem, unauthorized
from callwright.web.rates import address_key

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who is asking: an account, by its API Access Key, or one of its outbound services, by the service's password."""

    account: Account
    service: Service | None


async def service_asking(request: Request, edge: Edge) -> tuple[Account, Service]:
    """Return the outbound service whose password came with the request; raise 401, 403 or 429."""
    asker = await _asker(request, edge, (SERVICE_FORM,))
    assert asker.service is not None, "the account form was refused before"
    return asker.account, asker.service


async def account_asking(request: Request, edge: Edge) -> Account:
    """Return the account whose API Access Key came with the request; raise 401, 403 or 429."""
    return (await _asker(request, edge, (ACCOUNT_FORM,))).account


async def either_asking(request: Request, edge: Edge) -> Asker:
    """Return who is asking, by either credential; raise 401, 403 or 429."""
    return await _asker(request, edge, (ACCOUNT_FORM, SERVICE_FORM))


async def _asker(request: Request, edge: Edge, forms: tuple[str, ...]) -> Asker:
    login = read_login(request.headers.get("authorization"), forms=forms)
    user, credentials = login.user, edge.credentials
    address = address_key(request.client.host) if request.client else ""
    if user.service_name is None:
        account = await credentials.check_access_key(
            edge.db, user.cloud_id, user.username, login.password, address=address
        )
        if isinstance(account, Denial):
            raise _refusal(account, user)
        edge.hold_back(edge.account_rate, account.id)
        return Asker(account=account, service=None)
    found = await credentials.check_service(
        edge.db, user.cloud_id, user.username, user.service_name, login.password, address=address
    )
    if isinstance(found, Denial):
        raise _refusal(found, user)
    edge.hold_back(edge.account_rate, found[0].id)
    return Asker(account=found[0], service=found[1])


def _refusal(denial: Denial, user: UserName) -> HttpProblem:
    match denial.reason:
        case DenialReason.OTHER_CLOUD:
            return problem("403", f"cloud '{user.cloud_id[:40]}' is not served here")
        case DenialReason.THROTTLED:
            wait_s = max(1, math.ceil(denial.retry_after_s))
            log.warning("A login was held back", action="web.login_held_back", username=user.username, wait_s=wait_s)
            return problem("429", f"too many failed logins; try again in {wait_s} s", Retry_After=str(wait_s))
        case DenialReason.BUSY:
            wait_s = max(1, math.ceil(denial.retry_after_s))
            log.warning("Too many passwords are being checked", action="web.logins_busy", username=user.username)
            return problem(
                "429",
                f"too many logins are being checked at this moment; nothing is wrong with this one as far as is known: "
                f"try again in {wait_s} s",
                Retry_After=str(wait_s),
            )
        case DenialReason.WRONG:
            log.info("A login was refused", action="web.login_refused", username=user.username)
            return unauthorized(WRONG)
