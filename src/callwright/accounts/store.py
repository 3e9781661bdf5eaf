"""Read and write accounts and services (docs/reference/accounts.md).

Functions run on a connection inside the caller's transaction. What is refused is refused with a ``RequestError`` that
names the field. Accounts and services leave this module without their secrets, except through ``service_login`` and
``account_login``, which ``accounts.credentials`` alone uses.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from callwright.accounts.account import (
    ANY,
    DEFAULT_MAX_CPS,
    Account,
    AccountType,
    AnyCallerId,
    CallerIds,
    check_caller_ids,
    check_cloud_id,
    check_limits,
    check_username,
    user_key,
)
from callwright.accounts.rules import check_rules
from callwright.accounts.rules_rows import rules_of, store_rules
from callwright.accounts.secrets import PREVIOUS_KEY_LIFE_S, PasswordHash, access_key_digest, new_access_key
from callwright.accounts.service import (
    DEFAULT_RING_TIMEOUT_S,
    DEFAULT_VOICE,
    NO_PAGE,
    ApplicationKind,
    CallType,
    Direction,
    Page,
    Service,
    check_page,
    check_ring_timeout,
    check_service_name,
)
from callwright.accounts.tables import account_rules, accounts, services
from callwright.db.sealing import secret_box
from callwright.values.errors import RequestError
from callwright.values.ids import AccountId, ServiceId

_SEALED = "sealed:"  # no page begins like this: pages begin with http


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLogin:
    """An account with the digests of its keys; ``previous_key_until`` is epoch seconds."""

    account: Account
    key_sha256: bytes
    previous_key_sha256: bytes | None
    previous_key_until: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLogin:
    """An outbound service with its account and the hash of its password."""

    account: Account
    service: Service
    password_hash: PasswordHash


_accounts = select(accounts, account_rules).outerjoin(account_rules, account_rules.c.account_id == accounts.c.id)
_account_named = _accounts.where(
    accounts.c.cloud_id == bindparam("cloud"), accounts.c.username_key == bindparam("user")
)
_account_of = _accounts.where(accounts.c.id == bindparam("of"))
_service_of = select(services).where(services.c.id == bindparam("of"))
_service_named = select(services).where(
    services.c.account_id == bindparam("of"),
    services.c.direction == bindparam("way"),
    services.c.name == bindparam("called"),
)
_forget_previous_key = (
    update(accounts)
    .where(accounts.c.id == bindparam("of"), accounts.c.key_sha256 == bindparam("used"))
    .values(previous_key_sha256=None, previous_key_until=None)
)


def create_account(
    c: Connection,
    *,
    username: str,
    created_at: float,
    cloud_id: str = "0-0-0",
    type: AccountType = AccountType.DEVELOPER,
    max_cps: float = DEFAULT_MAX_CPS,
    min_cps: float = 0.0,
    max_running: int | None = None,
    caller_ids: CallerIds = (),
) -> tuple[Account, str]:
    """Make an account; return it with its API Access Key, which cannot be shown again."""
    check_cloud_id(cloud_id)
    check_username(username)
    check_limits(max_cps=max_cps, min_cps=min_cps, max_running=max_running)
    caller_ids = check_caller_ids(caller_ids)
    if find_account(c, cloud_id, username) is not None:
        raise RequestError(f"an account '{username}' exists already in cloud {cloud_id}", field="username")
    key = new_access_key()
    made = c.execute(
        insert(accounts).returning(accounts.c.id),
        {
            "cloud_id": cloud_id,
            "username": username,
            "username_key": user_key(username),
            "type": type.value,
            "max_cps": max_cps,
            "min_cps": min_cps,
            "max_running": max_running,
            "caller_ids": _caller_ids_text(caller_ids),
            "key_sha256": access_key_digest(key),
            "created_at": created_at,
        },
    )
    return get_account(c, AccountId(made.scalar_one())), key


def get_account(c: Connection, account_id: AccountId) -> Account:
    """Return an account; raise ``RequestError`` when there is none with this id."""
    row = c.execute(_account_of, {"of": account_id}).mappings().first()
    if row is None:
        raise RequestError(f"there is no account {account_id}", field="account_id")
    return _account(row)


def find_account(c: Connection, cloud_id: str, username: str) -> Account | None:
    """Return the account of a user name, compared without regard to case."""
    row = c.execute(_account_named, {"cloud": cloud_id, "user": user_key(username)}).mappings().first()
    return None if row is None else _account(row)


def list_accounts(c: Connection) -> list[Account]:
    """Return all accounts by user name."""
    rows = c.execute(_accounts.order_by(accounts.c.cloud_id, accounts.c.username_key)).mappings()
    return [_account(row) for row in rows]


def update_account(c: Connection, account: Account) -> Account:
    """Store the type, limits, caller ids and rules of ``account`` (a changed copy of what was read) and return it."""
    check_limits(max_cps=account.max_cps, min_cps=account.min_cps, max_running=account.max_running)
    values = {
        "type": account.type.value,
        "max_cps": account.max_cps,
        "min_cps": account.min_cps,
        "max_running": account.max_running,
        "caller_ids": _caller_ids_text(check_caller_ids(account.caller_ids)),
    }
    c.execute(update(accounts).where(accounts.c.id == account.id), values)
    store_rules(c, account.id, check_rules(account.rules))
    return get_account(c, account.id)


def rotate_access_key(c: Connection, account_id: AccountId, *, now: float) -> str:
    """Give an account a new API Access Key and return it; it cannot be shown again.

    The key used so far stays valid until the new one is used, at most 30 days; one before it ends now.
    """
    key = new_access_key()
    get_account(c, account_id)
    c.execute(
        update(accounts)
        .where(accounts.c.id == account_id)
        .values(
            previous_key_sha256=accounts.c.key_sha256,
            previous_key_until=now + PREVIOUS_KEY_LIFE_S,
            key_sha256=access_key_digest(key),
        )
    )
    return key


def create_service(
    c: Connection,
    account_id: AccountId,
    *,
    name: str,
    created_at: float,
    password_hash: PasswordHash | None = None,
    direction: Direction = Direction.OUTBOUND,
    application: ApplicationKind = ApplicationKind.REST,
    enabled: bool = True,
    first_page: Page = NO_PAGE,
    final_page: Page | None = None,
    error_page: Page | None = None,
    application_parameters: str = "",
    tts_voice: str = DEFAULT_VOICE,
    call_type: CallType = CallType.TELEPHONE,
    max_cps: float | None = None,
    min_cps: float | None = None,
    max_running: int | None = None,
    ring_timeout_s: float = DEFAULT_RING_TIMEOUT_S,
    uas_application_name: str = "",
) -> Service:
    """Make a service of an account and return it; an outbound one needs a password (``secrets.hash_password``)."""
    get_account(c, account_id)
    if direction is Direction.OUTBOUND and password_hash is None:
        raise RequestError("an outbound service needs a password", field="password")
    if find_service(c, account_id, name, direction) is not None:
        raise RequestError(f"the account has an {direction} service '{name[:60]}' already", field="name")
    service = Service(
        id=ServiceId(0),
        account_id=account_id,
        name=name,
        direction=direction,
        application=application,
        enabled=enabled,
        first_page=first_page,
        final_page=final_page,
        error_page=error_page,
        application_parameters=application_parameters,
        tts_voice=tts_voice,
        call_type=call_type,
        max_cps=max_cps,
        min_cps=min_cps,
        max_running=max_running,
        ring_timeout_s=ring_timeout_s,
        uas_application_name=uas_application_name,
    )
    own = {"account_id": account_id, "direction": direction.value, "password_hash": password_hash}
    made = c.execute(
        insert(services).returning(services.c.id), {**own, **_service_columns(c, service), "created_at": created_at}
    )
    return get_service(c, ServiceId(made.scalar_one()))


def get_service(c: Connection, service_id: ServiceId) -> Service:
    """Return a service; raise ``RequestError`` when there is none with this id."""
    row = c.execute(_service_of, {"of": service_id}).mappings().first()
    if row is None:
        raise RequestError(f"there is no service {service_id}", field="service_id")
    return _service(c, row)


def find_service(
    c: Connection, account_id: AccountId, name: str, direction: Direction = Direction.OUTBOUND
) -> Service | None:
    """Return the service of this exact name, if the account has it."""
    row = c.execute(_service_named, {"of": account_id, "way": direction.value, "called": name}).mappings().first()
    return None if row is None else _service(c, row)


def list_services(c: Connection, account_id: AccountId | None = None) -> list[Service]:
    """Return the services of an account, or of all, by account, direction and name."""
    wanted = select(services).order_by(services.c.account_id, services.c.direction, services.c.name)
    if account_id is not None:
        wanted = wanted.where(services.c.account_id == account_id)
    return [_service(c, row) for row in c.execute(wanted).mappings()]


def update_service(c: Connection, service: Service) -> Service:
    """Store ``service`` (a changed copy of what was read; its account and direction stay) and return it."""
    before = get_service(c, service.id)
    twin = find_service(c, before.account_id, service.name, before.direction)
    if twin is not None and twin.id != service.id:
        raise RequestError(f"the account has an {before.direction} service '{service.name}' already", field="name")
    c.execute(update(services).where(services.c.id == service.id), _service_columns(c, service))
    return get_service(c, service.id)


def set_service_password(c: Connection, service_id: ServiceId, password_hash: PasswordHash) -> None:
    """Change the password of a service; the old one ends at once."""
    get_service(c, service_id)
    c.execute(update(services).where(services.c.id == service_id).values(password_hash=password_hash))


def account_login(c: Connection, cloud_id: str, username: str) -> AccountLogin | None:
    row = c.execute(_account_named, {"cloud": cloud_id, "user": user_key(username)}).mappings().first()
    if row is None:
        return None
    return AccountLogin(
        account=_account(row),
        key_sha256=row["key_sha256"],
        previous_key_sha256=row["previous_key_sha256"],
        previous_key_until=row["previous_key_until"],
    )


def service_login(c: Connection, cloud_id: str, username: str, service_name: str) -> ServiceLogin | None:
    account = find_account(c, cloud_id, username)
    if account is None:
        return None
    named = {"of": account.id, "way": Direction.OUTBOUND.value, "called": service_name}
    row = c.execute(_service_named, named).mappings().first()
    if row is None:
        return None
    return ServiceLogin(account=account, service=_service(c, row), password_hash=PasswordHash(row["password_hash"]))


def forget_previous_key(c: Connection, account_id: AccountId, *, used: bytes) -> None:
    """End the previous access key now that the current one, with the digest ``used``, has been used."""
    c.execute(_forget_previous_key, {"of": account_id, "used": used})


def _caller_ids_text(caller_ids: CallerIds) -> str:
    return msgspec.json.encode(ANY.value if isinstance(caller_ids, AnyCallerId) else caller_ids).decode()


def _caller_ids(text: str) -> CallerIds:
    given = msgspec.json.decode(text, type=str | tuple[str, ...])
    return ANY if isinstance(given, str) else given


def _account(row: RowMapping) -> Account:
    return Account(
        id=AccountId(row["id"]),
        username=row["username"],
        cloud_id=row["cloud_id"],
        type=AccountType(row["type"]),
        max_cps=row["max_cps"],
        min_cps=row["min_cps"],
        max_running=row["max_running"],
        caller_ids=_caller_ids(row["caller_ids"]),
        created_at=row["created_at"],
        rules=rules_of(row),
    )


def _service_columns(c: Connection, service: Service) -> dict[str, object]:
    """Check a service whole and return the columns that can change."""
    check_service_name(service.name)
    check_limits(max_cps=service.max_cps, min_cps=service.min_cps, max_running=service.max_running)
    check_ring_timeout(service.ring_timeout_s)
    rest = service.application is ApplicationKind.REST
    if rest and service.uas_application_name:
        raise RequestError("a REST service has no uas_application_name", field="uas_application_name")
    if not rest and not service.uas_application_name:
        raise RequestError("a UAS service needs the name of its application", field="uas_application_name")
    if rest and service.first_page == NO_PAGE:
        raise RequestError("a REST service needs a first page", field="first_page")
    if not rest and service.first_page != NO_PAGE:
        raise RequestError("a UAS service has no pages", field="first_page")
    return {
        "name": service.name,
        "application": service.application.value,
        "enabled": service.enabled,
        **_page_columns(c, "first_page", service.first_page if rest else None),
        **_page_columns(c, "final_page", service.final_page),
        **_page_columns(c, "error_page", service.error_page),
        "application_parameters": service.application_parameters,
        "tts_voice": service.tts_voice,
        "call_type": service.call_type.value,
        "max_cps": service.max_cps,
        "min_cps": service.min_cps,
        "max_running": service.max_running,
        "ring_timeout_s": service.ring_timeout_s,
        "uas_application_name": service.uas_application_name,
    }


def _page_columns(c: Connection, field: str, page: Page | None) -> dict[str, str | None]:
    if page is None:
        return {f"{field}_url": None, f"{field}_method": None}
    check_page(page, field=field)
    url = _SEALED + secret_box(c).seal(page.url) if page.holds_secret else page.url
    return {f"{field}_url": url, f"{field}_method": page.method}


def _page(c: Connection, row: RowMapping, field: str) -> Page | None:
    url = row[f"{field}_url"]
    if url is None:
        return None
    if url.startswith(_SEALED):
        url = secret_box(c).unseal(url.removeprefix(_SEALED))
    return Page(url=url, method=row[f"{field}_method"])


def _service(c: Connection, row: RowMapping) -> Service:
    return Service(
        id=ServiceId(row["id"]),
        account_id=AccountId(row["account_id"]),
        name=row["name"],
        direction=Direction(row["direction"]),
        application=ApplicationKind(row["application"]),
        enabled=row["enabled"],
        first_page=_page(c, row, "first_page") or NO_PAGE,
        final_page=_page(c, row, "final_page"),
        error_page=_page(c, row, "error_page"),
        application_parameters=row["application_parameters"],
        tts_voice=row["tts_voice"],
        call_type=CallType(row["call_type"]),
        max_cps=row["max_cps"],
        min_cps=row["min_cps"],
        max_running=row["max_running"],
        ring_timeout_s=row["ring_timeout_s"],
        uas_application_name=row["uas_application_name"],
    )
