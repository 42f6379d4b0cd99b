"""What every way out may say."""


class NotSent(Exception):
    """The message did not leave; it is tried again unless `is_final`.

    `is_down`: the other side does not answer at all, so that the messages behind this one need
    not try, each for itself. A refusal of one message is none. `was_tried`: the other side was
    asked; a failure of our own says nothing of whether it answers.
    """

    def __init__(
        self,
        reason: str,
        *,
        is_final: bool = False,
        is_down: bool = False,
        was_tried: bool = True,
    ) -> None:
        super().__init__(reason)
        self.is_final = is_final
        self.is_down = is_down
        self.was_tried = was_tried
