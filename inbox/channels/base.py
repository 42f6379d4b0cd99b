"""What every way out may say."""


class NotSent(Exception):
    """The message did not leave; it is tried again unless `is_final`."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final
