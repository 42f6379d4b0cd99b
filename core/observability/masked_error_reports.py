"""Django's error reports (the debug page and the mail to admins), masked."""

from __future__ import annotations

from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from core.observability.masking import (
    HIDDEN,
    SECRET_NAME,
    mask,
)


class MaskingReporterFilter(SafeExceptionReporterFilter):
    """Django's filter with more names and masked values; active even with DEBUG on (the demo)."""

    cleansed_substitute = HIDDEN
    hidden_settings = SECRET_NAME

    def is_active(self, request: HttpRequest | None) -> bool:
        """Mask even with DEBUG on, where Django would not."""
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, str]:
        """Keep the names of the submitted fields and hide every value."""
        # Debugging needs to know which fields were sent, not what a customer or agent typed.
        if request is None:
            return {}
        return dict.fromkeys(request.POST, HIDDEN)

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> Any:
        """Mask the local variables of every frame, not only those a view marked as sensitive."""
        found = super().get_traceback_frame_variables(request, tb_frame)
        return [(name, self.cleanse_setting(name, value)) for name, value in found]


class MaskingReporter(ExceptionReporter):
    """Mask the finished report once more, since a secret may sit in any local variable."""

    def get_traceback_data(self) -> dict[str, Any]:
        """Hide the user and every parameter and cookie value; their names stay."""
        data: dict[str, Any] = super().get_traceback_data()
        # Search queries hold people's names and callbacks hold signatures, so keep the parameter
        # names only.
        for name in ("request_GET_items", "filtered_POST_items", "request_COOKIES_items"):
            data[name] = [(key, HIDDEN) for key, _value in data.get(name) or ()]
        data["user_str"] = HIDDEN
        return data

    def get_traceback_html(self) -> Any:
        return type(html := super().get_traceback_html())(mask(html))

    def get_traceback_text(self) -> Any:
        return type(text := super().get_traceback_text())(mask(text))
