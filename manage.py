#!/usr/bin/env python
"""Django's command line."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.dev")
    # What a command writes, such as a database or the demo's keys, is for our own user only.
    os.umask(0o077)
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from core.change_origin import terminal

    try:
        with terminal():
            execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # A setting is missing or wrong; the message says which, and a traceback would bury it.
        sys.exit(str(error))


if __name__ == "__main__":
    main()
