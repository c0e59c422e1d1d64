"""Lines of text from files, few bytes at a time, and what is wrong with those that are none.

Whatever a file holds, no more than a line of the longest length is in memory.
"""

from __future__ import annotations

import codecs
import io
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from unicodedata import category

from attrs import frozen

from loomlm.plugin import DataError
from loomlm_sources.opening import is_damage, opened

Line = tuple[int, str]

# Stands in a line for bytes that are not of the encoding: half a surrogate pair, which no decoder
# gives, so that it is told from all that a text can hold, and the lines around it are kept.
UNDECODABLE = "\udcff"
MARK = "loomlm_undecodable"
# What is left of a line that is too long is read in pieces of so many characters.
PIECE = 1 << 16
HEAD = 1 << 12
PRINTABLE = bytes([0, 9, 10, 13, *range(32, 127)])
WIDE = {"utf-32-le": 4, "utf-32-be": 4, "utf-16-le": 2, "utf-16-be": 2}
"""Encodings without a byte-order mark, and their bytes a character."""

MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return UNDECODABLE, error.end


codecs.register_error(MARK, _mark)


@frozen
class BadLine:
    """A line that cannot be read, and why.

    fix: the next step. lines: how many are lost. content: of a line that is whole but for some of
    its bytes; a row in quotes that it stands in goes on behind it. ends: nothing behind it can be
    read.
    """

    line: int
    reason: str
    fix: str = ""
    lines: int = 1
    content: str | None = None
    ends: bool = False


def read_lines(path: Path, encoding: str, longest: int) -> Iterator[Line | BadLine]:
    """Each line with its number, its line end kept, or what is wrong with it.

    longest: most bytes of a line. A byte-order mark at the start is dropped; lines end at line
    feeds only. Raises DataError for a file that cannot be opened, or that is damaged or of another
    encoding as a whole.
    """
    with opened(path) as file:
        reader = _reader(file, encoding)
        number = 0
        safe = longest // 4  # No character has more than four bytes.
        checked = False
        try:
            while line := reader.readline(longest + 1):
                number += 1
                if number == 1:
                    line = line.removeprefix("\ufeff")
                if len(line) > safe or "\0" in line or UNDECODABLE in line:
                    bad = _what_is_wrong(number, line, encoding, longest)
                    if bad is not None:
                        if not checked and bad.content is not None:
                            _refuse_other_encoding(path, number, encoding)
                            checked = True
                        yield bad
                        _finish(line, reader, longest)
                        continue
                yield number, line
        except EOFError as error:
            if number == 0:
                raise
            reason = f"a truncated archive, whole up to here: {error}"
            yield BadLine(number + 1, reason, "Fetch it again", ends=True)
        except (lzma.LZMAError, zlib.error, OSError) as error:
            if number == 0 or not is_damage(error):
                raise
            # No line is left out alone: those before it may be wrong as well.
            raise DataError(
                f"{path}:{number + 1}: a damaged archive, here or before: {error}. Fetch it again."
            ) from None
        # What a codec does not hand to MARK, such as UTF-16 without a byte-order mark.
        except UnicodeError as error:
            found = likely_encoding(path)
            hint = f'to what the file has: it looks like "{found}"' if found else "to what it has"
            raise DataError(f"{path}:{number + 1}: {error}. Set data.encoding {hint}.") from None


def _reader(file: IO[bytes], encoding: str) -> io.TextIOWrapper:
    try:
        return io.TextIOWrapper(file, encoding, errors=MARK, newline="\n")
    except (LookupError, ValueError):
        raise DataError(
            f"There is no encoding {encoding!r}. Set data.encoding to utf-8, utf-16, latin-1 or "
            "another that Python knows."
        ) from None


def _what_is_wrong(number: int, line: str, encoding: str, longest: int) -> BadLine | None:
    if too_long(line, longest):
        return overlong(number, "line", longest)
    if UNDECODABLE in line:
        return not_text(number, encoding, line)
    if "\0" in line:
        fix = "Take it out, or check that the file is text and whole"
        return BadLine(number, "a NUL byte, which no text has", fix, content=line)
    return None


def too_long(text: str, longest: int) -> bool:
    """Whether a text has more than so many bytes, as UTF-8."""
    if len(text) * 4 <= longest:
        return False
    return len(text) > longest or len(text.encode("utf-8", "surrogatepass")) > longest


def overlong(number: int, what: str, longest: int, lines: int = 1) -> BadLine:
    """A line, or a text of several, that has too many bytes."""
    reason = f"a {what} of more than {longest:,} bytes"
    return BadLine(number, reason, "If it is meant, raise data.longest_line", lines)


def not_text(number: int, encoding: str, line: str | None = None) -> BadLine:
    """A line with bytes that are not of the encoding."""
    reason = f"bytes that are not {encoding.upper()}"
    return BadLine(number, reason, 'Set encoding = "latin-1" or so', content=line)


def _finish(line: str, reader: io.TextIOWrapper, longest: int) -> None:
    """Read on to the end of a line that was cut at its longest length."""
    while line and line[-1] != "\n" and len(line) in (PIECE, longest + 1):
        line = reader.readline(PIECE)


def _refuse_other_encoding(path: Path, number: int, encoding: str) -> None:
    """Raises DataError where not one line is bad: the whole file is of another encoding."""
    found = likely_encoding(path)
    if found and not codecs.lookup(encoding).name.startswith(found[:6]):
        raise DataError(
            f"{path}:{number}: this is not {encoding.upper()}; the file looks like "
            f'{found.upper()}. Set data.encoding = "{found}".'
        )


def likely_encoding(path: Path) -> str:
    """The encoding of two or four bytes a character that a file begins as, "" for none of them.

    By its byte-order mark, or by its zeros and what it is when it is decoded.
    """
    with opened(path) as file:
        # What comes first, even of an archive that is damaged behind it.
        head = file.read1(HEAD)  # type: ignore[attr-defined] - IO is of files of text, too
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    fits = {name: _fit(head, name, width) for name, width in WIDE.items()}
    best = max(fits, key=fits.__getitem__)
    return best if fits[best] else ""


def _fit(head: bytes, encoding: str, width: int) -> int:
    """How many letters of ASCII there are, by an encoding that it may be; 0 where it may not.

    Letters of ASCII have zeros everywhere; in other scripts, blanks and line ends have.
    """
    text = head[: len(head) // width * width].decode(encoding, "replace")
    in_ascii = sum("\0" < letter < "\x80" for letter in text)
    if not head.translate(None, PRINTABLE):
        return in_ascii if in_ascii > 1 and in_ascii >= 0.9 * len(text) else 0
    if "\0" in text or head.count(0) < max(8, 0.02 * len(text)):
        return 0
    known = sum(
        letter in "\t\n\r" or (category(letter)[0] in "LMNPSZ" and letter != "\ufffd")
        for letter in text
    )
    return in_ascii if known >= 0.95 * len(text) else 0
