"""A learning as Markdown, for people: the original's `to_markdown()`."""

from __future__ import annotations

from typing import Any

_SECTIONS = (
    ("pattern_identified", "Pattern identified"),
    ("what_worked", "What worked"),
    ("what_failed", "What failed"),
    ("recommendation", "Recommendation"),
)


class ToMarkdown:
    """Gives a learning document its Markdown."""

    __slots__ = ()

    def to_markdown(self) -> str:
        """The learning as people read it: title, sections, notes. Its file in the base carries its fields as well."""
        document: Any = self
        goal = document.research_goal or "none"
        parts = [f"# {document.title}", f"**Goal:** {goal}", f"**Result:** {document.result}"]
        parts += [f"## {title}\n\n{getattr(document, key)}" for key, title in _SECTIONS if getattr(document, key)]
        if document.expressions:
            parts.append("## Expressions\n\n" + "\n".join(f"- `{text}`" for text in document.expressions))
        return "\n\n".join([*parts, *filter(None, [document.body])]) + "\n"
