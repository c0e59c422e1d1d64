"""Requests and answers as one text: which of its parts a model is to write itself.

A template is a text with {prompt}, {completion} and the names of further texts, or one for each
role of a chat, with {content}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any

from attrs import frozen

from loomlm.plugin import DataError, Example

ASSISTANT = "assistant"
"""The role whose messages a model learns to write."""

USER = "user"
"""The role of a text that is no list of messages."""

Template = str | Mapping[str, str]

Message = tuple[str, str]
"""Role and content."""


@frozen
class Part:
    """A part of a text. learnt: whether the model is to write it; then an end token follows it."""

    text: str
    learnt: bool = False


def check_template(template: Template) -> None:
    """Raise ValueError for a template that lacks what it needs."""
    if isinstance(template, str):
        names = names_of(template)
        for name in ("prompt", "completion"):
            if names.count(name) != 1 or template.count(f"{{{name}}}") != 1:
                raise ValueError(f"template has {{{name}}} {names.count(name)} times, not once")
        if not template.endswith("{completion}"):
            raise ValueError("template goes on behind {completion}, which is written last")
        return
    if ASSISTANT not in template:
        raise ValueError(f"template has no role {ASSISTANT!r}, whose messages are learnt")
    for role, text in template.items():
        if names_of(text) != ["content"]:
            raise ValueError(f"template.{role} is {text!r}; it has {{content}} once, and no other")


def names_of(template: str) -> list[str]:
    """The names in braces. Raises ValueError for braces that are none."""
    found = []
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"template {template!r}: {error}; write {{{{ for a brace") from None
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError(
                f"template {template!r}: {{{name}}} is no name; write {{{{ for a brace"
            )
        found.append(name)
    return found


def further_names(template: Template) -> tuple[str, ...]:
    """The further texts that a template reads, by their names in `Example.extra`."""
    if not isinstance(template, str):
        return ()
    known = ("prompt", "text", "completion")
    return tuple(dict.fromkeys(name for name in names_of(template) if name not in known))


def _merged(parts: Sequence[Part]) -> list[Part]:
    """The parts, those that are only read and stand side by side as one."""
    found: list[Part] = []
    for part in parts:
        if found and not part.learnt and not found[-1].learnt:
            found[-1] = Part(found[-1].text + part.text)
        else:
            found.append(part)
    return found


def of_pair(template: str, example: Example, answer: str | None) -> list[Part]:
    """A request and its answer; without one, up to where it is answered.

    Raises DataError where a text is lacking that the template names.
    """
    before, _ = _around(template, "completion")
    values = {**example.extra, "text": example.text, "prompt": example.text}
    for name in names_of(before):
        if name not in values:
            raise DataError(
                f"{example.place or 'A prompt'}: the template reads {name!r}, and there is none. "
                f'Name its column: data = {{ fields = {{ {name} = "..." }} }}.'
            )
    return _merged(_answered([Part(before.format(**values))], answer))


def of_chat(
    template: Mapping[str, str], messages: Sequence[Message], place: str = ""
) -> list[Part]:
    """The messages of a chat, up to where it is answered where the last is not the assistant's.

    Raises DataError for a role that the template does not have.
    """
    parts: list[Part] = []
    for number, (role, content) in enumerate(messages):
        if role not in template:
            raise DataError(
                f"{place or 'A prompt'}: a message has the role {role!r}; the template has "
                f"{', '.join(template)}."
            )
        before, after = (part.format() for part in _around(template[role], "content"))
        if role == ASSISTANT:
            parts = _answered([*parts, Part(before)], content)
            if number < len(messages) - 1 and after:
                parts.append(Part(after))
        else:
            parts.append(Part(before + content + after))
    if messages and messages[-1][0] != ASSISTANT:
        before, _ = _around(template[ASSISTANT], "content")
        parts = _answered([*parts, Part(before.format())], None)
    return _merged(parts)


def _around(template: str, name: str) -> list[str]:
    """What stands in front of a name and behind it."""
    before, after = template.split(f"{{{name}}}")
    return [before, after]


def _answered(parts: list[Part], answer: str | None) -> list[Part]:
    """The parts, and the answer behind them.

    Spaces in front of the answer become its own: most tokenizers have a word's space at its
    beginning, and the model begins with it.
    """
    last = parts[-1].text.rstrip(" ")
    space = parts[-1].text[len(last) :]
    parts = [*parts[:-1], Part(last)]
    return parts if answer is None else [*parts, Part(space + answer.strip(), learnt=True)]


def messages_of(example: Example) -> list[Message]:
    """The messages of an example: its text, JSON or the user's, and what is to be written, if any.

    Raises DataError for a list of something else.
    """
    try:
        found = json.loads(example.text) if example.text.lstrip().startswith("[") else None
    except ValueError:
        found = None
    listed = isinstance(found, list) and bool(found) and all(isinstance(o, dict) for o in found)
    messages = [_message(one, example.place) for one in found] if listed else []
    messages = messages or [(USER, example.text)]
    target = example.extra.get("target")
    return messages if target is None else [*messages, (ASSISTANT, target)]


def _message(given: Any, place: str) -> Message:
    role = given.get("role") if isinstance(given, Mapping) else None
    content = given.get("content") if isinstance(given, Mapping) else None
    if not isinstance(role, str) or not isinstance(content, str):
        raise DataError(
            f"{place or 'A chat'}: a message is an object with two texts, "
            '{"role": "user", "content": "..."}.'
        )
    return role, content


def references(example: Example) -> list[str] | None:
    """The answers that are right: those of `meta["answers"]`, JSON, or the text to be written.

    None where nothing is said of any; none, in a list without one, is an answer too.
    """
    answers = example.meta.get("answers")
    if answers is None:
        return [example.extra["target"]] if "target" in example.extra else None
    found = [one["text"] if isinstance(one, Mapping) else str(one) for one in json.loads(answers)]
    return list(dict.fromkeys(found))
