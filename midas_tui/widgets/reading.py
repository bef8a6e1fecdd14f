"""The order in which a document is read: its title, its result in one line, a few sentences, then all of it."""

from __future__ import annotations

import re

from midas_engine.text import with_capital

_TOLD = ("result", "state", "version", "feature", "research_goal", "cause", "created_at")
_SAID_AS = {
    "result": "", "state": "", "version": "version", "research_goal": "goal:", "feature": "of", "cause": "cause:",
    "created_at": "written",
}  # fmt: skip
_NAMED = ("result", "cause", "state")
# What a session's or a diagnosis' learning says first, in the order in which a reader asks.
_LED_BY = ("Pattern identified", "What worked", "What failed", "Recommendation")
SENTENCES = 3
_SENTENCE = re.compile(r"^.{0,400}?[.!?](?=\s|$)")
_NAME = re.compile(r"[a-z]+(?:_[a-z]+)+\.")
_PLAIN = re.compile(r"^[-*#>|`\s]+")


def front_matter_split(text: str) -> tuple[str, str]:
    """YAML front matter (as an indented block) and the body."""
    if text.startswith("---\n"):
        end = text.find("\n---", 4)
        if end > 0:
            return text[4:end], text[end + 4 :].lstrip("\n")
    return "", text


def folded(matter: str) -> str:
    r"""Front matter as one line: what a reader asks for, and how many fields there are.

    Example:
        >>> folded("result: regime_shift\nfeature: low_vol_72")
        '*regime shift; of low_vol_72  (2 fields: v shows them)*'
    """
    fields: dict[str, str] = {}
    for line in matter.split("\n"):
        name, colon, value = line.partition(":")
        if colon and name.isidentifier():
            fields[name] = value.strip().strip("'\"")[:80]
    known = len(fields)
    fields["created_at"] = fields.get("created_at", "")[:10]
    for name in _NAMED:  # outcomes and causes are kept by their identifiers
        fields[name] = fields.get(name, "").replace("_", " ")
    if fields.get("feature"):  # a diagnosis: its goal says the feature and the result once more
        fields["research_goal"] = ""
    told = [f"{_SAID_AS[name]} {fields[name]}".lstrip() for name in _TOLD if fields.get(name)]
    return f"*{'; '.join(told)}{'  ' if told else ''}({known} fields: v shows them)*"


def lead(body: str) -> str:
    r"""The first sentence of each part that says what came out, where the page itself does not begin with sentences.

    Example:
        >>> lead("# T\n\n## What worked\n\n- Slow means. Others too.\n\n## What failed\n\nCosts ate it")
        'Slow means. Costs ate it.'
    """
    sections: dict[str, str] = {}
    current = ""
    for line in body[:60_000].split("\n"):
        if line.startswith("#"):
            current = line.lstrip("# ").strip()
            continue
        text = _PLAIN.sub("", line).strip()
        if not text:
            continue
        if not current or line.startswith("# "):
            return ""
        if current not in sections and current in _LED_BY:
            sections[current] = text
        elif current not in _LED_BY and not sections:
            return ""  # the page begins with words of its own
    said = [_first(sections[name]) for name in _LED_BY if sections.get(name)]
    return " ".join(dict.fromkeys(said[:SENTENCES]))


def _first(text: str) -> str:
    found = _SENTENCE.match(text)
    said = found[0] if found else text[:400].rstrip(",;: ") + "."
    if _NAME.fullmatch(said):  # learnings of earlier versions name a cause by its identifier
        said = said.replace("_", " ")
    return with_capital(said)


def in_reading_order(text: str, *, fold: bool) -> tuple[str, str]:
    """What stands above the body, and the body: title, then its front matter in one line (or whole), then sentences."""
    matter, body = front_matter_split(text)
    told = (folded(matter) if fold and body.strip() else f"```yaml\n{matter}\n```") if matter else ""
    title, rest = "", body
    if body.startswith("# "):
        title, _, rest = body.partition("\n")
    head = [part for part in (title, told, lead(body) if matter else "") if part]
    return "\n\n".join(head), rest.lstrip("\n") if head else body
