"""The modules whose code decides on money, state or access: what `./run mutate` changes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

# A folder stands for the modules in it.
MODULES: Final = (
    "orders/rules.py",
    "orders/progress.py",
    "orders/policies.py",
    "orders/money.py",
    "orders/typed_amounts.py",
    "orders/transactions.py",
    "orders/returns.py",
    "orders/outcomes.py",
    "orders/previews",
    "orders/services/actions.py",
    "orders/services/approvals.py",
    "orders/services/eligibility.py",
    "orders/services/missing.py",
    "orders/services/moving.py",
    "orders/services/performing.py",
    "orders/services/settlement.py",
    "orders/services/projection.py",
    "orders/services/uninstalls.py",
    "shopify_sync/actions.py",
    "shopify_sync/answers.py",
    "shopify_sync/whole.py",
    "shopify_sync/plans.py",
    "shopify_sync/client.py",
    "shopify_sync/ingest.py",
    "shopify_sync/tokens.py",
    "inbox/access.py",
    "inbox/matching.py",
    "inbox/identities.py",
    "inbox/senders.py",
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
