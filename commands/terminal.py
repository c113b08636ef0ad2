"""A console that shows what others wrote and no more: a terminal obeys escape sequences in a text."""

from typing import Any

from rich.console import Console
from rich.text import Text

from railmend.evidence.escaping import visible


class SafeConsole(Console):
    """Lines and cells of tables are shown with their hidden characters as code points."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)
