"""AdminClient: one GraphQL call to one shop, with timeouts, pooling and classified errors.

ShopifyAPI's Session and ApiVersion supply the shop's address and the API version. The transport
is urllib3 because the package's own has no timeout and no pool, prints bodies, and keeps the
last shop's token after an exception.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import shopify
import urllib3
from django.conf import settings
from django.db import connection

from core import http
from core.encryption import Secret
from core.json_types import JsonObject
from orders.shopify_port import Step
from shopify_sync.api.documents import load
from shopify_sync.api.errors import (
    NeedsAdmin,
    OutcomeUnknown,
    Refused,
    ShopifyError,
    Throttled,
    Unreachable,
)

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 2.0
READ_TIMEOUT_S: Final = 10.0
# Limit for a whole call, however slowly its bytes arrive; shorter than an action's lease.
ANSWER_WITHIN_S: Final = 12.0
_MAX_ANSWER_BYTES: Final = 20 * 2**20
# Cap on Retry-After: whatever Shopify asks for, try again within the hour.
_WAIT_AT_MOST_S: Final = 3600.0
_ADMIN_STATUSES: Final = {
    401: "The access token is no longer valid, or the app was uninstalled.",
    402: "The shop is frozen because its Shopify bill is unpaid.",
    403: "The app isn't allowed to do this: a scope is missing.",
    404: "The shop doesn't exist, or the API version was retired.",
    423: "Shopify locked the shop.",
}
# For a mutation, a 404 proves nothing: a proxy may send it after the shop has done the work.
_NOT_FOUND: Final = 404
# How long to delay a step that wasn't sent because its token had to be renewed first.
_RENEWED_S: Final = 1.0
# These statuses and codes prove that a mutation was rejected before it ran. After any other error
# its outcome is unknown. The statuses are all about the form of the request.
_PROVEN_STATUSES: Final = frozenset({406, 411, 413, 414, 415})
_PROVEN_CODES: Final = frozenset(
    {
        "MAX_COST_EXCEEDED",
        "MAX_INPUT_SIZE_EXCEEDED",
        "INVALID_VARIABLE",
        "PARSE_ERROR",
        "argumentLiteralsIncompatible",
        "argumentNotAccepted",
        "missingRequiredArguments",
        "missingRequiredInputObjectAttribute",
        "selectionMismatch",
        "undefinedDirective",
        "undefinedField",
        "undefinedType",
        "variableMismatch",
        "variableNotDefined",
        "variableNotUsed",
        "variableRequiresValidType",
    }
)
_ADMIN_CODES: Final = frozenset({"ACCESS_DENIED", "SHOP_INACTIVE"})


@dataclass
class Budget:
    """Shopify's leaky bucket for one shop, as of its last answer. Shared by threads."""

    maximum: float = 1000.0
    available: float = 1000.0
    restore_rate: float = 50.0
    seen_at: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_s(self, cost: float) -> float:
        """Return the seconds until `cost` points are available."""
        with self.lock:
            now = time.monotonic()
            level = self.available + (now - self.seen_at) * self.restore_rate
            return max(0.0, (cost - level) / self.restore_rate)

    def background_wait_s(self) -> float:
        """Return the seconds a background read must wait: half of the bucket is the agents'."""
        return self.wait_s(self.maximum / 2)

    def learn(self, cost: JsonObject) -> None:
        """Update the bucket from an answer's `extensions.cost`; ignore what isn't a number."""
        status = cost.get("throttleStatus")
        if not isinstance(status, dict):
            return
        with self.lock:
            self.maximum = _number(status.get("maximumAvailable"), self.maximum)
            self.available = _number(status.get("currentlyAvailable"), self.available)
            self.restore_rate = _number(status.get("restoreRate"), self.restore_rate) or 50.0
            self.seen_at = time.monotonic()


_budgets: Final[dict[str, Budget]] = {}


@cache
def _pool() -> urllib3.PoolManager:
    return http.pool(connect_s=CONNECT_TIMEOUT_S, read_s=READ_TIMEOUT_S, num_pools=50, maxsize=16)


class AdminClient:
    """A client for one shop. Cheap to create, holds no connection of its own, thread-safe."""

    def __init__(
        self,
        *,
        domain: str,
        token: Secret,
        renew: Callable[[Secret], Secret] | None = None,
        is_background: bool = False,
        extras: Mapping[str, bool] | None = None,
    ) -> None:
        """Create a client.

        `renew` returns a replacement for a token that Shopify rejected. `extras` says which
        optional order fields this app may read, as variables of OrderForPanel.
        """
        self.domain = domain
        self.extras: Mapping[str, bool] = extras or {}
        # Called between the requests of one long read; the caller can renew its lease here.
        self.keep_alive: Callable[[], object] = lambda: None
        self._is_background = is_background
        self._renew = renew
        self.served_version = ""
        self.headroom: tuple[float, float] | None = None
        self._token = token
        self._version = settings.SHOPIFY_API_VERSION
        self._url = self._address(self._version)
        self._budget = _budgets.setdefault(domain, Budget())

    def read(self, name: str, variables: JsonObject) -> JsonObject:
        """Run a query by its document's name and return its `data`.

        A read is always safe to repeat, so NotApplied and OutcomeUnknown both just mean "could
        not be read". A background client raises Throttled without sending anything while the
        shop's bucket is less than half full.
        """
        if self._is_background and (wait_s := self._budget.background_wait_s()) > 0:
            raise Throttled(
                f"{name}: the rest of the rate limit is reserved for agents", retry_after_s=wait_s
            )
        return self._call(name, load(name), variables, is_mutation=False)

    def execute(self, name: str, variables: JsonObject) -> JsonObject:
        """Send one mutation by its document's name and return its `data`.

        Raises the classes of `errors`: NotApplied only if the answer proves that nothing
        happened. Must not run inside a database transaction, which would stay open for as long
        as Shopify takes.
        """
        return self._call(name, load(name), variables, is_mutation=True)

    def send(self, step: Step) -> JsonObject:
        """Send an action's step exactly as it was frozen.

        It uses the step's own document, variables and API version, so that every attempt with
        one idempotency key sends the same bytes. Returns and raises like `execute`, but makes at
        most one request, because it has to end within the worker's lease: if the token had to be
        renewed first, it raises Throttled with nothing done.
        """
        name, version = step["document"], step.get("api_version") or self._version
        client = self
        if version != self._version:
            client = copy.copy(self)
            client._version, client._url = version, self._address(version)
        query = step.get("query") or load(name)
        return client._call(name, query, step["variables"], is_mutation=True, may_resend=False)

    def _call(
        self,
        name: str,
        query: str,
        variables: JsonObject,
        *,
        is_mutation: bool,
        may_resend: bool = True,
    ) -> JsonObject:
        if connection.in_atomic_block and not getattr(settings, "TESTING_IN_TRANSACTION", False):
            raise RuntimeError(f"{name} would call Shopify inside a database transaction")
        body = json.dumps(
            {"query": query, "variables": variables, "operationName": name},
            separators=(",", ":"),
            ensure_ascii=False,
        ).encode()
        response = self._post(name, body)
        if response.status == 401 and self._renew is not None:
            # A 401 is class A: nothing happened, so resend the same bytes with a valid token.
            self._token = self._renew(self._token)
            if not may_resend:
                raise Throttled(f"{name}: the access token was renewed", retry_after_s=_RENEWED_S)
            response = self._post(name, body)
        return self._interpret(name, response, is_mutation=is_mutation)

    def _address(self, version: str) -> str:
        origin = f"https://{self.domain}"
        session = shopify.Session(self.domain, version, self._token.reveal())
        path = session.api_version.api_path(origin).removeprefix(origin)
        return f"{settings.SHOPIFY_ADMIN_ORIGIN or origin}{path}/graphql.json"

    def _post(self, name: str, body: bytes) -> urllib3.BaseHTTPResponse:
        headers = {
            "Host": self.domain,
            "Content-Type": "application/json",
            "Accept": "application/json",
            "X-Shopify-Access-Token": self._token.reveal(),
        }
        try:
            return http.call(
                _pool(),
                "POST",
                self._url,
                body=body,
                headers=headers,
                within_s=min(ANSWER_WITHIN_S, http.patience_s(_pool())),
                at_most=_MAX_ANSWER_BYTES,
            )
        except http.NoAnswer as e:
            if e.has_sent:
                raise OutcomeUnknown(f"{name}: {e} from {self.domain}") from e
            raise Unreachable(f"{name}: no connection to {self.domain}") from e

    def _interpret(
        self, name: str, response: urllib3.BaseHTTPResponse, *, is_mutation: bool
    ) -> JsonObject:
        request_id = response.headers.get("X-Request-ID", "")
        served = response.headers.get("X-Shopify-API-Version", "")
        self.served_version = served
        if served and served != self._version:
            logger.warning("%s serves API %s instead of %s", self.domain, served, self._version)
        status = response.status
        if status in _ADMIN_STATUSES and not (is_mutation and status == _NOT_FOUND):
            raise NeedsAdmin(_ADMIN_STATUSES[status], request_id=request_id, status=status)
        if status == 429 or status == 430:
            wait_s = min(_number(response.headers.get("Retry-After"), 2.0), _WAIT_AT_MOST_S)
            raise Throttled(f"{name}: HTTP {status}", retry_after_s=wait_s, request_id=request_id)
        if 400 <= status < 500 and (not is_mutation or status in _PROVEN_STATUSES):
            raise Refused(f"{name}: HTTP {status}", request_id=request_id)
        if status != 200:
            raise OutcomeUnknown(f"{name}: HTTP {status}", request_id=request_id)
        answer = _parse(name, response.data, request_id)
        extensions = answer.get("extensions")
        cost = extensions.get("cost") if isinstance(extensions, dict) else None
        if isinstance(cost, dict):
            self._budget.learn(cost)
            self.headroom = (self._budget.available, self._budget.maximum)
        errors, data = answer.get("errors"), answer.get("data")
        if errors and not _hides_fields_only(errors, data):
            error = self._graphql_error(name, errors, cost, request_id)
            if is_mutation and not _proves_nothing_happened(errors, data):
                raise OutcomeUnknown(str(error), request_id=request_id)
            raise error
        if not isinstance(data, dict):
            raise OutcomeUnknown(f"{name}: a response without data", request_id=request_id)
        return data

    def _graphql_error(
        self, name: str, errors: object, cost: object, request_id: str
    ) -> ShopifyError:
        first = errors[0] if isinstance(errors, list) and errors else {}
        first = first if isinstance(first, dict) else {}
        code = _code(first)
        text = f"{name}: {first.get('message', errors)}"
        if code == "THROTTLED":
            asked = cost.get("requestedQueryCost") if isinstance(cost, dict) else None
            wanted = _number(asked, 0.0) or 50.0
            wait_s = self._budget.wait_s(wanted) + random.uniform(0.05, 0.5)  # noqa: S311
            return Throttled(text, retry_after_s=wait_s, request_id=request_id)
        if code in _ADMIN_CODES:
            return NeedsAdmin(str(first.get("message") or text), request_id=request_id)
        if code == "INTERNAL_SERVER_ERROR":
            return OutcomeUnknown(text, request_id=request_id)
        return Refused(text, request_id=request_id)


def _proves_nothing_happened(errors: object, data: object) -> bool:
    """Return whether every error of a mutation is one that Shopify raises before running it.

    If there is data beside the errors, part of it ran.
    """
    if not isinstance(errors, list) or (isinstance(data, dict) and any(data.values())):
        return False
    proven = {"THROTTLED", *_ADMIN_CODES, *_PROVEN_CODES}
    return all(isinstance(error, dict) and _code(error) in proven for error in errors)


def _code(error: JsonObject) -> str:
    extensions = error.get("extensions")
    return str(extensions.get("code") or "") if isinstance(extensions, dict) else ""


def _parse(name: str, raw: bytes, request_id: str) -> JsonObject:
    if len(raw) > _MAX_ANSWER_BYTES:
        raise OutcomeUnknown(f"{name}: a response of {len(raw)} bytes", request_id=request_id)
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise OutcomeUnknown(f"{name}: an unreadable response", request_id=request_id) from error
    if not isinstance(answer, dict):
        raise OutcomeUnknown(f"{name}: an unreadable response", request_id=request_id)
    return answer


def _hides_fields_only(errors: object, data: object) -> bool:
    """Return whether the only errors are about protected customer data.

    For fields the app isn't approved for, Shopify answers null and adds an ACCESS_DENIED error
    with the field's path. The rest of the answer is good.
    """
    if not isinstance(errors, list) or not isinstance(data, dict) or not any(data.values()):
        return False
    return all(
        isinstance(error, dict)
        and _code(error) == "ACCESS_DENIED"
        and isinstance(path := error.get("path"), list)
        and len(path) > 1
        for error in errors
    )


def _number(value: Any, default: float) -> float:
    """Parse a number from Shopify's answer; `default` unless it's finite."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return default
    return number if math.isfinite(number) else default
