"""IdentityService: accounts, S3 clients with their access keys, and tokens for this API."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from penstock.admin.v1 import identity_service_pb2 as pb
from penstock.admin.v1 import identity_service_pb2_grpc as pb_grpc

from controlplane.callers import calling
from controlplane.fields import read_mask, read_name, read_page, read_page_token, write_page_token
from controlplane.pool import EnginePool
from controlplane.rehearsal import write_or_rehearse
from controlplane.services.identity_fields import (
    read_expiry,
    read_identity,
    read_new_id,
    read_request_id,
    read_token,
    write_access_key,
    write_account,
    write_identity,
    write_token,
)
from controlplane.services.new_secrets import new_pair, new_token
from engine.deployment.ring import seal_access_secret
from engine.metadata import access_keys, accounts, admin_tokens, identity_changes
from engine.metadata.access_keys import NewAccessKey
from engine.metadata.admin_tokens import TokenField
from engine.metadata.identity_changes import IdentityField, SeenIdentity
from engine.metadata.store import Store, Tx
from engine.names import ACCOUNT_ID
from engine.sealing.keyring import KeyRing

T = TypeVar("T")

_KEY_FIELDS = frozenset({"disabled", "expire_time"})


class IdentityServicer(pb_grpc.IdentityServiceServicer):
    """What it answers with a secret is answered once: neither the secret nor the answer is kept or logged."""

    def __init__(self, store: Store, ring: KeyRing, pool: EnginePool) -> None:
        self._store = store
        self._ring = ring
        self._pool = pool

    async def GetCaller(self, request: pb.GetCallerRequest, context: Any) -> pb.GetCallerResponse:
        caller = calling()
        return pb.GetCallerResponse(caller=caller.name, role=caller.role, scopes=caller.scopes)

    # --- accounts ---

    async def ListAccounts(self, request: pb.ListAccountsRequest, context: Any) -> pb.ListAccountsResponse:
        page = read_page(request.page_size, read_page_token(request.page_token))
        unit = partial(accounts.list_accounts, after=page.after or "", count_max=page.size + 1)
        shown, position = page.of(await self._read(unit), lambda row: row.name)
        return pb.ListAccountsResponse(
            accounts=map(write_account, shown), next_page_token=write_page_token(position)
        )

    async def CreateAccount(self, request: pb.CreateAccountRequest, context: Any) -> pb.CreateAccountResponse:
        name = read_new_id("account.name", request.account.name, "accounts", ACCOUNT_ID)
        made = await self._write(partial(accounts.make_account, name=name), request.validate_only)
        return pb.CreateAccountResponse(account=write_account(made))

    # --- identities ---

    async def ListIdentities(
        self, request: pb.ListIdentitiesRequest, context: Any
    ) -> pb.ListIdentitiesResponse:
        page = read_page(request.page_size, read_page_token(request.page_token))
        unit = partial(identity_changes.see_identities, after=page.after or "", count_max=page.size + 1)
        shown, position = page.of(await self._read(unit), lambda each: each.name)
        return pb.ListIdentitiesResponse(
            identities=map(write_identity, shown), next_page_token=write_page_token(position)
        )

    async def GetIdentity(self, request: pb.GetIdentityRequest, context: Any) -> pb.GetIdentityResponse:
        name = read_name("name", request.name, "identities")
        seen = await self._read(partial(identity_changes.see_identity, name=name))
        return pb.GetIdentityResponse(identity=write_identity(seen))

    async def CreateIdentity(
        self, request: pb.CreateIdentityRequest, context: Any
    ) -> pb.CreateIdentityResponse:
        name = read_new_id("identity.name", request.identity.name, "identities")
        account = read_name("identity.account", request.identity.account, "accounts")
        settings = read_identity(request.identity, frozenset(IdentityField))

        def unit(tx: Tx) -> SeenIdentity:
            account_id = accounts.find_account_id(tx, account)
            return identity_changes.make_identity(tx, name=name, account_id=account_id, settings=settings)

        made = await self._write(unit, request.validate_only)
        return pb.CreateIdentityResponse(identity=write_identity(made))

    async def UpdateIdentity(
        self, request: pb.UpdateIdentityRequest, context: Any
    ) -> pb.UpdateIdentityResponse:
        wanted = read_mask("update_mask", request.update_mask, {each.value for each in IdentityField})
        fields = frozenset(map(IdentityField, wanted))
        unit = partial(
            identity_changes.change_identity,
            name=read_name("identity.name", request.identity.name, "identities"),
            settings=read_identity(request.identity, fields),
            fields=fields,
            etag=request.identity.etag,
        )
        changed = await self._write(unit, request.validate_only)
        return pb.UpdateIdentityResponse(identity=write_identity(changed))

    async def DeleteIdentity(
        self, request: pb.DeleteIdentityRequest, context: Any
    ) -> pb.DeleteIdentityResponse:
        name = read_name("name", request.name, "identities")
        unit = partial(identity_changes.delete_identity, name=name, etag=request.etag)
        return pb.DeleteIdentityResponse(access_key_count=await self._write(unit, request.validate_only))

    # --- access keys ---

    async def ListAccessKeys(
        self, request: pb.ListAccessKeysRequest, context: Any
    ) -> pb.ListAccessKeysResponse:
        page = read_page(request.page_size, read_page_token(request.page_token))
        unit = partial(
            access_keys.see_access_keys,
            identity=read_name("identity", request.identity, "identities") if request.identity else None,
            after=page.after or "",
            count_max=page.size + 1,
        )
        shown, position = page.of(await self._read(unit), lambda each: each.access_key_id)
        return pb.ListAccessKeysResponse(
            access_keys=map(write_access_key, shown), next_page_token=write_page_token(position)
        )

    async def CreateAccessKey(
        self, request: pb.CreateAccessKeyRequest, context: Any
    ) -> pb.CreateAccessKeyResponse:
        identity = read_name("identity", request.identity, "identities")
        pair = new_pair(identity, read_request_id(request.request_id))
        new = NewAccessKey(
            access_key_id=pair.access_key_id,
            sealed_secret=seal_access_secret(self._ring, pair.access_key_id, pair.secret),
            key_id=self._ring.primary.key_id,
            expires_at_us=read_expiry("expire_time", request.expire_time, request.HasField("expire_time")),
        )
        made = await self._write(partial(access_keys.make_access_key, identity=identity, new=new))
        return pb.CreateAccessKeyResponse(access_key=write_access_key(made), secret_access_key=pair.secret)

    async def UpdateAccessKey(
        self, request: pb.UpdateAccessKeyRequest, context: Any
    ) -> pb.UpdateAccessKeyResponse:
        fields = read_mask("update_mask", request.update_mask, _KEY_FIELDS)
        wanted = request.access_key
        has_expiry = "expire_time" in fields and wanted.HasField("expire_time")
        unit = partial(
            access_keys.change_access_key,
            access_key_id=read_name("access_key.name", wanted.name, "accessKeys"),
            is_disabled=wanted.disabled if "disabled" in fields else None,
            expires_at_us=read_expiry("access_key.expire_time", wanted.expire_time, has_expiry),
            sets_expiry="expire_time" in fields,
        )
        return pb.UpdateAccessKeyResponse(access_key=write_access_key(await self._write(unit)))

    async def DeleteAccessKey(
        self, request: pb.DeleteAccessKeyRequest, context: Any
    ) -> pb.DeleteAccessKeyResponse:
        access_key_id = read_name("name", request.name, "accessKeys")
        await self._write(partial(access_keys.delete_access_key, access_key_id=access_key_id))
        return pb.DeleteAccessKeyResponse()

    # --- admin tokens ---

    async def ListAdminTokens(
        self, request: pb.ListAdminTokensRequest, context: Any
    ) -> pb.ListAdminTokensResponse:
        page = read_page(request.page_size, read_page_token(request.page_token))
        unit = partial(admin_tokens.see_tokens, after=page.after or "", count_max=page.size + 1)
        shown, position = page.of(await self._read(unit), lambda each: each.name)
        return pb.ListAdminTokensResponse(
            admin_tokens=map(write_token, shown), next_page_token=write_page_token(position)
        )

    async def CreateAdminToken(
        self, request: pb.CreateAdminTokenRequest, context: Any
    ) -> pb.CreateAdminTokenResponse:
        new = new_token()
        unit = partial(
            admin_tokens.make_token,
            name=read_new_id("admin_token.name", request.admin_token.name, "adminTokens"),
            sha256=new.sha256,
            settings=read_token(request.admin_token, frozenset(TokenField)),
            within=calling().scopes,
        )
        made = await self._write(unit)
        return pb.CreateAdminTokenResponse(admin_token=write_token(made), token=new.token)

    async def UpdateAdminToken(
        self, request: pb.UpdateAdminTokenRequest, context: Any
    ) -> pb.UpdateAdminTokenResponse:
        wanted = read_mask("update_mask", request.update_mask, {each.value for each in TokenField})
        fields = frozenset(map(TokenField, wanted))
        unit = partial(
            admin_tokens.change_token,
            name=read_name("admin_token.name", request.admin_token.name, "adminTokens"),
            settings=read_token(request.admin_token, fields),
            fields=fields,
            within=calling().scopes,
        )
        return pb.UpdateAdminTokenResponse(admin_token=write_token(await self._write(unit)))

    async def DeleteAdminToken(
        self, request: pb.DeleteAdminTokenRequest, context: Any
    ) -> pb.DeleteAdminTokenResponse:
        name = read_name("name", request.name, "adminTokens")
        await self._write(partial(admin_tokens.delete_token, name=name))
        return pb.DeleteAdminTokenResponse()

    async def _read(self, unit: Callable[[Tx], T]) -> T:
        return await self._pool.run(self._store.read, unit)

    async def _write(self, unit: Callable[[Tx], T], validate_only: bool = False) -> T:
        return await self._pool.run(write_or_rehearse, self._store, unit, validate_only=validate_only)
