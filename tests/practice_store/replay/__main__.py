"""`python -m tests.practice_store.replay FOLDER`: replay recordings and compare the answers."""

from __future__ import annotations

import sys

import django

from tests.practice_store.replay.compare import main

if __name__ == "__main__":
    django.setup()
    sys.exit(main(sys.argv[1:]))
