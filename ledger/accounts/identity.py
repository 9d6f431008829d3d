"""Who a sign-in or a one-time link is for."""

import re
from dataclasses import dataclass

from ledger.accounts.roles import Role, check_role_tenant
from ledger.errors import InvalidError
from ledger.tenant import TenantId, parse_tenant_id

_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:|/=-]{0,127}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """A person as the host or the sign-in page names them; a held one is a valid one.

    Raises:
        InvalidError: `invalid_subject`, `role_without_tenant`, `role_with_tenant` or
            `invalid_tenant`.
    """

    subject: str
    role: Role
    tenant_id: TenantId | None

    def __post_init__(self) -> None:
        parse_subject(self.subject)
        check_role_tenant(self.role, self.tenant_id)
        if self.tenant_id is not None:
            parse_tenant_id(self.tenant_id)


def parse_subject(text: object) -> str:
    """Check the name of a person in the host. It is stored, so it may be no e-mail address.

    Raises:
        InvalidError: `invalid_subject`; the text is not repeated, since it may be personal.
    """
    if isinstance(text, str) and _SUBJECT.fullmatch(text):
        return text
    raise InvalidError(
        "invalid_subject",
        "a subject is an id such as usr_17 or auth0|17: 1 to 128 of A-Z a-z 0-9 _ . : | / = -,"
        " never an e-mail address",
        key="subject",
    )
