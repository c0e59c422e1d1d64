"""Files of examples that are more than texts and labels: SQuAD's JSON, CoNLL's columns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from attrs import define, field

from loomlm.plugin import DataError
from loomlm_sources.forms import Form, Row
from loomlm_sources.labelling import Label
from loomlm_sources.lines import BadLine, read_lines
from loomlm_sources.opening import opened
from loomlm_sources.values import shown

FORMATS = ("squad", "conll")
"""Forms of files that have their own columns."""

EXTRA: Mapping[str, tuple[str, ...]] = {"squad": ("question",)}
META: Mapping[str, tuple[str, ...]] = {"squad": ("answers", "id")}
"""What their rows have besides the text, by form: as in `loomlm.plugin.Example`."""

BLANKS = re.compile(r"[ \t]+")
DOCUMENT = "-DOCSTART-"

# --- question answering ----------------------------------------------------------------------


def read_squad(path: Path, form: Form, skip: int = 0) -> Iterator[Row | BadLine]:
    """The questions of a file in the form of SQuAD 1.1 or 2.0, numbered from 1, without the first.

    Values: `text`, the paragraph; `question`; `answers`, a JSON list of {"text", "start"}, empty
    where there is none; `id`. The file is read as a whole. Raises DataError where it is no such
    JSON as a whole.
    """
    number = 0
    for title, paragraph in _paragraphs(path, form):
        context, questions = (_get(paragraph, name, kind) for name, kind in _OF_PARAGRAPH)
        if context is None or questions is None:
            number += 1
            lacking = _OF_PARAGRAPH[0 if context is None else 1][0]
            yield BadLine(number, f"a paragraph of {title} has no {lacking!r}", "Mend the file")
            continue
        for given in questions:
            number += 1
            if number > skip:
                found = _question(given, context)
                yield (
                    BadLine(number, f"{found} (in {title})", "Mend the file")
                    if isinstance(found, str)
                    else (number, found)
                )


_OF_PARAGRAPH = (("context", str), ("qas", list))


def _paragraphs(path: Path, form: Form) -> Iterator[tuple[str, Any]]:
    """Each paragraph with what its article is called."""
    with opened(path) as file:
        content = file.read()
    try:
        whole = json.loads(content.decode(form.encoding).removeprefix("\ufeff"))
    except UnicodeDecodeError:
        raise DataError(f"{path} is not {form.encoding.upper()}. Set data.encoding.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {error}. Fetch it again, or mend it.") from None
    articles = _get(whole, "data", list)
    if articles is None:
        raise DataError(
            f"{path} is not in the form of SQuAD: an object whose `data` is a list of articles, "
            "each with `paragraphs`. Set data.format to what it is."
        )
    for number, article in enumerate(articles, 1):
        paragraphs = _get(article, "paragraphs", list)
        if paragraphs is None:
            raise DataError(f"{path}: article {number} has no list of `paragraphs`. Mend the file.")
        title = _get(article, "title", str)
        for paragraph in paragraphs:
            yield f"article {number}" if title is None else repr(title), paragraph


def _question(given: Any, context: str) -> dict[str, str] | str:
    """The values of a row, or what is wrong with the question."""
    question, name = _get(given, "question", str), _get(given, "id", (str, int))
    if question is None:
        return "a question has no 'question'"
    if name is None:
        return f"the question {shown(question)} has no 'id'"
    impossible, listed = given.get("is_impossible", False), _get(given, "answers", list)
    if not isinstance(impossible, bool):
        return f"is_impossible of the question {name} is {shown(impossible)}, not true or false"
    if listed is None and not impossible:
        return f"the question {name} has no list of 'answers'"
    answers = _written([] if impossible else listed or [], context)
    if isinstance(answers, BadLine):
        return f"{answers.reason} of the question {name}"
    return {"text": context, "question": question, "answers": answers, "id": str(name)}


def has_answers(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value holds answers as in `datasets`: a list of texts, and one of their places."""
    return isinstance(value, Mapping) and {"text", "answer_start"} <= value.keys()


def answers_beside(value: Mapping[str, Any], context: str) -> str | BadLine:
    """The answers of such a value, as those of a file are given."""
    texts, starts = _get(value, "text", list), _get(value, "answer_start", list)
    if texts is None or starts is None or len(texts) != len(starts):
        return BadLine(0, f"{shown(value)} has no 'answer_start' for each 'text'")
    pairs = zip(texts, starts, strict=True)
    return _written([{"text": text, "answer_start": start} for text, start in pairs], context)


def _written(listed: list[Any], context: str) -> str | BadLine:
    """Answers as JSON, or what is wrong with one."""
    wrong = next(filter(None, (_what_is_wrong(answer, context) for answer in listed)), None)
    if wrong is not None:
        return BadLine(0, wrong)
    answers = [{"text": answer["text"], "start": answer["answer_start"]} for answer in listed]
    return json.dumps(answers, ensure_ascii=False)


def _what_is_wrong(answer: Any, context: str) -> str:
    text, start = _get(answer, "text", str), _get(answer, "answer_start", int)
    if not text or start is None:
        return f"the answer {shown(answer)} lacks 'text' or 'answer_start'"
    if start < 0 or context[start : start + len(text)] != text:
        at = context.find(text)
        where = f"it stands at {at}" if at >= 0 else "it is nowhere"
        return f"the answer {shown(text)} is not at character {start}, but {where}, in the context"
    return ""


def _get(given: Any, name: str, kind: type | tuple[type, ...]) -> Any:
    """A value of an object where it is of a kind, else None."""
    value = given.get(name) if isinstance(given, dict) else None
    return value if isinstance(value, kind) and not isinstance(value, bool) else None


# --- words with tags -------------------------------------------------------------------------


def read_conll(path: Path, form: Form, skip: int = 0) -> Iterator[Row | BadLine]:
    """The sentences of a file with a word a line and a blank line behind each, without the first.

    Values: `text`, the words with spaces between them; `tags`, one a word. `-DOCSTART-` is no word.
    """
    sentence = _Sentence(form)
    for line in read_lines(path, form.encoding, form.longest):
        if isinstance(line, BadLine):
            sentence.fail(line)
        elif line[1].isspace():
            found, sentence = sentence, _Sentence(form)
            if (row := found.row()) is not None:
                skip -= 1
                if skip < 0:
                    yield row
        else:
            sentence.add(*line)
    if (row := sentence.row()) is not None and skip <= 0:
        yield row


@define
class _Sentence:
    """Words and tags of the lines since a blank one."""

    form: Form
    first: int = 0
    words: list[str] = field(factory=list)
    tags: list[str] = field(factory=list)
    bad: BadLine | None = None

    def add(self, number: int, line: str) -> None:
        """Take in a line."""
        line = line.rstrip("\r\n")
        mark = self.form.delimiter
        fields = line.split(mark) if mark else BLANKS.split(line.strip(" \t"))
        if fields[0] == DOCUMENT:
            return
        self.first = self.first or number
        try:
            word, tag = fields[self.form.word].strip(), fields[self.form.tag].strip()
        except IndexError:
            word = tag = ""
        if len(fields) < 2 or not word or not tag:
            reason = f"{shown(line)} has {len(fields)} columns, and a word and a tag are wanted"
            self.fail(BadLine(number, reason, "Mend the line, or say data.word_column, tag_column"))
        elif " " in word:
            self.fail(BadLine(number, f"the word {shown(word)} has a space", "Mend the line"))
        else:
            self.words.append(word)
            self.tags.append(tag)

    def fail(self, bad: BadLine) -> None:
        """The sentence has a line that cannot be read, of which the first is told."""
        self.bad = self.bad or bad

    def row(self) -> Row | BadLine | None:
        """The sentence, what is wrong with it, or None where there is none."""
        if self.bad is not None:
            return self.bad
        return (
            (self.first, {"text": " ".join(self.words), "tags": self.tags}) if self.words else None
        )


def tags_of(values: Mapping[str, Any], text: str, place: str) -> Label:
    """The tags of a sentence."""
    return tuple(values["tags"])


def words_of(words: list[Any], tags: list[Any]) -> str | BadLine:
    """The text of a list of words that has a list of tags beside it."""
    wrong = next((w for w in words if not isinstance(w, str) or not w or " " in w), None)
    if wrong is not None or not words:
        reason = f"the word {shown(wrong)} is empty, or no text, or has a space" if words else ""
        return BadLine(0, reason or "there is no word")
    if len(words) != len(tags):
        return BadLine(0, f"there are {len(words)} words, and {len(tags)} tags")
    return " ".join(words)


READERS: Mapping[str, Callable[[Path, Form, int], Iterator[Row | BadLine]]] = {
    "squad": read_squad,
    "conll": read_conll,
}
