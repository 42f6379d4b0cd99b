"""How a channel says that a message did not leave."""


class NotSent(Exception):
    """The message did not leave; it is tried again unless `is_final`.

    `is_down`: the other side doesn't answer at all, so the messages behind this one needn't find
    out one by one. Refusing a single message doesn't count. `was_tried`: the other side was
    contacted; a failure on our side says nothing about whether it answers.
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
