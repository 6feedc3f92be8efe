"""Documents that say what holds here anyway: what reads of them answer, and which writes ask for nothing more.

A write that asks for anything else is refused by name: nothing is accepted that would not be done.
"""

from dataplane.wire.refusals import AccessControlListNotSupported, MalformedXml, NotImplementedYet
from dataplane.wire.xml_in import NAMESPACE, Element, parse_document
from dataplane.wire.xml_text import escape

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_OWNERSHIPS = frozenset({"BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"})
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def _document(name: str, inner: str = "") -> bytes:
    return f'{_HEAD}<{name} xmlns="{NAMESPACE}">{inner}</{name}>'.encode()


ACCELERATION = _document("AccelerateConfiguration")
LOGGING = _document("BucketLoggingStatus")
OWNERSHIP_CONTROLS = _document(
    "OwnershipControls", "<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>"
)
POLICY_STATUS = _document("PolicyStatus", "<IsPublic>false</IsPublic>")
PUBLIC_ACCESS_BLOCK = _document(
    "PublicAccessBlockConfiguration", "".join(f"<{name}>true</{name}>" for name in _BLOCKS)
)
REQUEST_PAYMENT = _document("RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>")


def access_control_policy(owner: str) -> bytes:
    """The owner alone has every right."""
    who = f"<ID>{escape(owner)}</ID><DisplayName>{escape(owner)}</DisplayName>"
    grantee = f'<Grantee xmlns:xsi="{_XSI}" xsi:type="CanonicalUser">{who}</Grantee>'
    grant = f"<Grant>{grantee}<Permission>FULL_CONTROL</Permission></Grant>"
    return _document(
        "AccessControlPolicy",
        f"<Owner>{who}</Owner><AccessControlList>{grant}</AccessControlList>",
    )


def require_owner_alone(raw: bytes, *, owner: str) -> None:
    """AccessControlPolicy. Raises AccessControlListNotSupported for a grant to anybody else, or of less."""
    root = parse_document(raw, "AccessControlPolicy")
    found = {child.name: child for child in root.children}
    if len(found) < len(root.children) or not {"AccessControlList"} <= found.keys() <= {
        "AccessControlList",
        "Owner",
    }:
        raise MalformedXml
    for grant in found["AccessControlList"].children:
        if grant.name != "Grant":
            raise MalformedXml
        if not _is_of_owner(grant, owner):
            raise AccessControlListNotSupported("The bucket does not allow ACLs")


def require_owner_pays(raw: bytes) -> None:
    """RequestPaymentConfiguration."""
    payer = parse_document(raw, "RequestPaymentConfiguration").leaves("Payer").get("Payer")
    if payer == "Requester":
        raise NotImplementedYet("RequestPaymentConfiguration with Payer Requester")
    if payer != "BucketOwner":
        raise MalformedXml


def require_no_acceleration(raw: bytes) -> None:
    """AccelerateConfiguration."""
    status = parse_document(raw, "AccelerateConfiguration").leaves("Status").get("Status")
    if status == "Enabled":
        raise NotImplementedYet("AccelerateConfiguration with Status Enabled")
    if status != "Suspended":
        raise MalformedXml


def require_no_logging(raw: bytes) -> None:
    """BucketLoggingStatus."""
    _require_empty(parse_document(raw, "BucketLoggingStatus"), known={"LoggingEnabled"})


def require_enforced_ownership(raw: bytes) -> None:
    """OwnershipControls."""
    root = parse_document(raw, "OwnershipControls")
    if [child.name for child in root.children] != ["Rule"]:
        raise MalformedXml
    ownership = root.children[0].leaves("ObjectOwnership").get("ObjectOwnership")
    if ownership not in _OWNERSHIPS:
        raise MalformedXml
    if ownership != "BucketOwnerEnforced":
        raise NotImplementedYet(f"OwnershipControls with {ownership}")


def require_full_block(raw: bytes) -> None:
    """PublicAccessBlockConfiguration: nothing can be made public here, so nothing can be let through either."""
    found = parse_document(raw, "PublicAccessBlockConfiguration").leaves(*_BLOCKS)
    values = {name: found.get(name, "false").strip().lower() for name in _BLOCKS}
    if not set(values.values()) <= {"true", "false"}:
        raise MalformedXml
    open_ones = [name for name, value in values.items() if value == "false"]
    if open_ones:
        raise NotImplementedYet(f"PublicAccessBlockConfiguration without {open_ones[0]}")


def _require_empty(root: Element, *, known: set[str]) -> None:
    for child in root.children:
        if child.name not in known:
            raise MalformedXml
        raise NotImplementedYet(f"{root.name} with {child.name}")
    if root.text.strip():
        raise MalformedXml


def _is_of_owner(grant: Element, owner: str) -> bool:
    parts = {part.name: part for part in grant.children}
    if parts.keys() != {"Grantee", "Permission"} or len(grant.children) != len(parts):
        raise MalformedXml
    ids = [part.text for part in parts["Grantee"].children if part.name == "ID"]
    return ids == [owner] and parts["Permission"].text == "FULL_CONTROL"
