"""Settings like chaos.settings, but messages may go to misbehaving hosts on this machine."""

from settings import env
from tests.chaos.settings import *  # noqa: F403

# Only so is a callback on loopback reached.
DEBUG = True
globals().update(env.email("EMAIL_URL", "console://"))
