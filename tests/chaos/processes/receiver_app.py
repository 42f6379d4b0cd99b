"""The web server's application, with a guard removed if the run asks for it."""

from __future__ import annotations

import os

from settings.asgi import application
from tests.chaos import mutants

mutants.apply(os.environ.get("CHAOS_MUTANT", ""))
__all__ = ["application"]
