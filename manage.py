#!/usr/bin/env python
"""Django's command line."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.dev")
    # What a command writes, such as a database or the demo's keys, is for our own user only.
    os.umask(0o077)
    from django.core.management import execute_from_command_line

    from core.request_origin import terminal

    with terminal():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
