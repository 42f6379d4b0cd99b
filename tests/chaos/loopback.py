"""The same, where messages may leave for this machine: its hosts are as bad as a case wants."""

from settings import env
from tests.chaos.settings import *  # noqa: F403

# Only so is a callback on loopback reached.
DEBUG = True
globals().update(env.email("EMAIL_URL", "console://"))
