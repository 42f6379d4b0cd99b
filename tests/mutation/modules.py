"""The modules that decide about money, state or access, which `./run mutate` changes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

# A folder stands for the modules in it.
MODULES: Final = (
    "orders/rules.py",
    "orders/actions/progress.py",
    "orders/policies",
    "orders/money.py",
    "orders/previews/amount_input.py",
    "orders/statuses/money_moved.py",
    "orders/statuses/return_units.py",
    "orders/actions/status_texts.py",
    "orders/previews",
    "orders/actions/requests.py",
    "orders/actions/approvals.py",
    "orders/actions/eligibility.py",
    "orders/projection/missing.py",
    "orders/actions/transitions.py",
    "orders/actions/worker_steps.py",
    "orders/actions/settlement.py",
    "orders/projection/record.py",
    "orders/actions/uninstalls.py",
    "orders/perform.py",
    "shopify_sync/actions/answers.py",
    "shopify_sync/actions/session.py",
    "shopify_sync/reading/complete_order.py",
    "shopify_sync/actions/mutations.py",
    "shopify_sync/api/client.py",
    "shopify_sync/reading/orders.py",
    "shopify_sync/stores/tokens.py",
    "inbox/access.py",
    "inbox/contacts/matching.py",
    "inbox/contacts/identities.py",
    "inbox/contacts/proven_addresses.py",
    "inbox/outbox",
)

# Where their tests are. Browser and chaos have runs of their own, too slow for one per mutant.
TESTS: Final = (
    "tests/orders",
    "tests/flows",
    "tests/shopify_sync",
    "tests/inbox",
    "tests/practice_store",
)


def expand(root: Path, names: tuple[str, ...]) -> list[str]:
    """The files that these names stand for, in their order; raises FileNotFoundError."""
    found: list[str] = []
    for name in names:
        path = root / name
        if not path.exists():
            raise FileNotFoundError(f"{name} is not a module of this project")
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        found += [str(file.relative_to(root)) for file in files]
    return found
