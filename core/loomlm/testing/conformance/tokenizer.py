"""What every tokenizer must hold to.

It is trained on a few texts of many scripts, anew for each property. What an author may say of it
in the mark, besides its keys:

- `lossless=True`: a text of which nothing is unknown comes back exactly as it was. Otherwise it has
  to come back the same from the second time on: what reading makes of a text, case or white space,
  it makes once.
- `texts`: what it is trained on in place of `TEXTS`.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from time import perf_counter
from typing import Any

import numpy as np

from loomlm.contracts import Locates, Tokenizer
from loomlm.errors import LoomlmError
from loomlm.testing.conformance.cases import NotApplicable, Subject
from loomlm.testing.conformance.drawing import doing, for_each, shown, strategies
from loomlm.testing.conformance.elsewhere import here_and_elsewhere
from loomlm.testing.conformance.encoding import (
    check_rows,
    decode,
    encode,
    encode_all,
    has_unknown,
    many,
    same_files,
    same_rows,
    special_of,
    texts_of,
    trained,
)
from loomlm.testing.conformance.texts import HALVES, HOSTILE, any_text

GIVEN = ("lossless", "texts")
"""What an author may say in the mark."""

MANY = 2100
"""Texts at once: more than a chunk of those that encode in chunks is likely to have."""

ROUNDS, SLOWER = 7, 2.0
"""How often each is timed, and how many times as long all may take as one by one."""


def any_text_has_ids(subject: Subject) -> None:
    """Any text at all has ids: int32, from 0 to below `vocab_size`. Half a pair may be refused."""
    tokenizer = trained(subject)
    check_rows(tokenizer, [])
    check_rows(tokenizer, HOSTILE)
    for text in HALVES:
        try:
            check_rows(tokenizer, [text], refusal=True)
        except LoomlmError:
            continue
    for_each(lambda text: check_rows(tokenizer, [text, text]), any_text(texts_of(subject)))


def a_text_comes_back(subject: Subject) -> None:
    """A text of which nothing is unknown comes back from its ids, at the latest the second time."""
    tokenizer = trained(subject)
    lossless = bool(subject.given.get("lossless"))

    def check(text: str) -> None:
        first = encode(tokenizer, text)
        back = decode(tokenizer, first)
        if lossless and not has_unknown(tokenizer, first):
            assert back == text, f"{shown(text)} came back as {shown(back)}"
        second = encode(tokenizer, back)
        if not has_unknown(tokenizer, first + second):
            again = decode(tokenizer, second)
            assert again == back, (
                f"{shown(text)} came back as {shown(back)}, and that as {shown(again)}"
            )

    for text in (*texts_of(subject), *HOSTILE):
        check(text)
    for_each(check, any_text(texts_of(subject)), 200)


def any_ids_have_a_text(subject: Subject) -> None:
    """Any ids below `vocab_size` decode to a str, the same from a list and from an array."""
    tokenizer = trained(subject)
    st = strategies()

    def check(ids: list[int]) -> None:
        text = decode(tokenizer, ids)
        assert isinstance(text, str), f"decode({shown(ids)}) gave {shown(text)}, which is no str"
        other = decode(tokenizer, np.array(ids, np.int32))
        assert other == text, (
            f"decode gave {shown(text)} for {shown(ids)}, {shown(other)} for them as an array"
        )

    check([])
    assert decode(tokenizer, []) == "", f"decode([]) gave {shown(decode(tokenizer, []))}"
    for_each(check, st.lists(st.integers(0, tokenizer.vocab_size - 1)))


def special_tokens_are_apart(subject: Subject) -> None:
    """Padding, unknown and end have ids of their own in the vocabulary, and none has a text."""
    tokenizer = trained(subject)
    special = special_of(tokenizer)
    assert len(set(special.values())) == len(special), f"special tokens share an id: {special}"
    known = set(tokenizer.vocabulary().values())
    for name, number in special.items():
        assert number in known, f"{name} is {number}, which is not in the vocabulary"
        text = decode(tokenizer, [number])
        assert text == "", f"{name} ({number}) decodes to {shown(text)}, not to nothing"
    for text in texts_of(subject):
        ids = encode(tokenizer, text)
        bare, around = decode(tokenizer, ids), [*special.values()]
        padded = decode(tokenizer, [*around, *ids, *around])
        assert padded == bare, (
            f"{shown(bare)} with special tokens around it decodes to {shown(padded)}"
        )


def names_of_special_tokens_are_text(subject: Subject) -> None:
    """A text that spells a special token does not encode to it: only tasks put it into ids."""
    tokenizer = trained(subject)
    tokens = {number: token for token, number in tokenizer.vocabulary().items()}
    special = {
        number: what for what, number in special_of(tokenizer).items() if what != "unknown_id"
    }
    for number in special:
        name = tokens.get(number, "")
        for text in (name, f"a {name} b", f"a{name}b", f"{name}{name}", f" {name}\n"):
            ids = encode(tokenizer, text)
            for other, whose in special.items():
                assert other not in ids, f"the text {shown(text)} encodes to {whose}, {other}"


def the_vocabulary_has_every_id(subject: Subject) -> None:
    """`vocabulary` gives each token an id of its own below `vocab_size`, and has all in use."""
    tokenizer = trained(subject)
    vocabulary = tokenizer.vocabulary()
    size = tokenizer.vocab_size
    assert vocabulary, "the vocabulary is empty"
    tokens: dict[int, str] = {}
    for token, number in vocabulary.items():
        assert isinstance(token, str), f"{shown(token)} is a token, and no str"
        assert isinstance(number, int), f"{shown(token)} has the id {number!r}, which is no int"
        assert 0 <= number < size, f"{shown(token)} has the id {number}; vocab_size is {size}"
        assert number not in tokens, (
            f"{shown(token)} and {shown(tokens[number])} have one id, {number}"
        )
        tokens[number] = token
    for text in (*texts_of(subject), *HOSTILE):
        for number in encode(tokenizer, text):
            assert number in tokens, f"{shown(text)} has the id {number}, which is no token's"


def learning_is_deterministic(subject: Subject) -> None:
    """The same texts give the same files, byte for byte, and a text the same ids each time."""
    one, two = trained(subject), trained(subject)
    same_files(one.files(), two.files(), "trained twice on the same texts")
    texts = (*texts_of(subject), *HOSTILE)
    first, again = encode_all(one, texts), encode_all(one, texts)
    for text, left, right in zip(texts, first, again, strict=True):
        assert left == right, f"{shown(text)} has the ids {shown(left)}, and then {shown(right)}"


def another_process_learns_the_same(subject: Subject) -> None:
    """Another process, where strings hash differently, learns the same files and the same ids."""
    here, there = here_and_elsewhere(subject, learnt)
    for name, found in here.items():
        assert there[name] == found, (
            f"{name} differ in another process: {shown(found)} and {shown(there[name])}"
        )


def learnt(subject: Subject) -> Mapping[str, Any]:
    """What training comes to, for another process to compare."""
    tokenizer = trained(subject)
    files = {name: sha256(content).hexdigest() for name, content in tokenizer.files().items()}
    return {"files": files, "ids": encode_all(tokenizer, (*texts_of(subject), *HOSTILE))}


def what_is_saved_loads_the_same(subject: Subject) -> None:
    """`load` takes what `files` gave: the same ids, vocabulary, special tokens, and files again."""
    tokenizer = trained(subject)
    folder = subject.folder / "saved"
    folder.mkdir(exist_ok=True)
    files = tokenizer.files()
    assert files, "files() gave no file"
    for name, content in files.items():
        plain = name not in ("", ".", "..") and not set(name) & set('/\\:*?"<>|\0')
        assert plain, f"{name!r} is no plain name of a file"
        assert isinstance(content, bytes), f"{name} holds {type(content).__name__}, not bytes"
        (folder / name).write_bytes(content)
    read = {name: (folder / name).read_bytes() for name in files}
    with doing("load"):
        again: Tokenizer = subject.component.load().load(subject.config, read)
    for name in ("vocab_size", "pad_id", "unknown_id", "end_id"):
        before, after = getattr(tokenizer, name), getattr(again, name)
        assert after == before, f"{name} was {before}, and is {after} once it is loaded"
    assert dict(again.vocabulary()) == dict(tokenizer.vocabulary()), (
        "loaded, the vocabulary differs"
    )
    texts = (*texts_of(subject), *HOSTILE, *tokenizer.vocabulary())
    rows = zip(texts, encode_all(tokenizer, texts), encode_all(again, texts), strict=True)
    for text, left, right in rows:
        assert left == right, f"{shown(text)} had {shown(left)}, and has {shown(right)} loaded"
        before, after = decode(tokenizer, left), decode(again, left)
        assert before == after, f"{shown(left)} was {shown(before)}, and is {shown(after)} loaded"
    same_files(files, again.files(), "saved, loaded and saved again")


def many_equal_one_by_one(subject: Subject) -> None:
    """Many texts at once, in any order, have the ids that each has alone."""
    tokenizer = trained(subject)
    for texts in (many(texts_of(subject), MANY), HOSTILE):
        alone = [encode(tokenizer, text) for text in texts]
        same_rows(texts, alone, encode_all(tokenizer, texts), "among others")
        same_rows(texts[::-1], alone[::-1], encode_all(tokenizer, texts[::-1]), "in reverse")


def threads_agree(subject: Subject) -> None:
    """Threads that encode and decode at the same time get what one alone gets."""
    tokenizer = trained(subject)
    texts = [*many(texts_of(subject), 100), *HOSTILE]
    rows = [encode(tokenizer, text) for text in texts]
    back = [decode(tokenizer, row) for row in rows]

    def work(number: int) -> None:
        order = range(len(texts)) if number % 2 else range(len(texts) - 1, -1, -1)
        for at in order:
            ids = encode(tokenizer, texts[at])
            assert ids == rows[at], f"beside other threads, {shown(texts[at])} has other ids"
            text = decode(tokenizer, rows[at])
            assert text == back[at], f"beside other threads, {shown(rows[at])} has another text"

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # Threads take turns more often, so that they meet.
    try:
        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(work, number) for number in range(4)]:
                done.result()
    finally:
        sys.setswitchinterval(before)


def many_are_no_slower(subject: Subject) -> None:
    """Many texts at once do not take twice as long as one by one.

    The shortest of several times is compared with the shortest: a busy machine only adds to one.
    """
    tokenizer = trained(subject)
    texts = many(texts_of(subject), 500)
    at_once, one_by_one = [], []
    for _ in range(ROUNDS):
        begun = perf_counter()
        tokenizer.encode_many(texts)
        between = perf_counter()
        for text in texts:
            tokenizer.encode_many([text])
        at_once.append(between - begun)
        one_by_one.append(perf_counter() - between)
    ratio = min(at_once) / min(one_by_one)
    said = f"{len(texts)} texts at once took {ratio:.1f} times as long as one by one"
    assert ratio <= SLOWER, said


def nothing_to_learn_from_is_said(subject: Subject) -> None:
    """Without any text to learn from there is a LoomlmError, or a tokenizer all the same."""
    for texts in ([], ["", " \n"]):
        try:
            with doing(f"train on {texts}", refusal=True):
                tokenizer = subject.component.load().train(subject.config, iter(texts))
        except LoomlmError:
            continue
        encode(tokenizer, "a text")


def tokens_stand_where_they_say(subject: Subject) -> None:
    """A tokenizer with `encode_spans` gives the ids of `encode_many`, and where each stands.

    Places rise, lie in their text, and have no white space at their ends.
    """
    tokenizer = trained(subject)
    if not isinstance(tokenizer, Locates):
        raise NotApplicable("it has no encode_spans, so no task can point at places with it")

    def check(text: str) -> None:
        with doing(f"encode_spans([{shown(text)}] * 2)"):
            ids, starts, ends = tokenizer.encode_spans([text, text])
        same_rows([text] * 2, encode_all(tokenizer, [text] * 2), [list(r) for r in ids], "located")
        assert len(starts) == len(ends) == len(ids.values), f"{shown(text)}: not a place each"
        for row in (0, 1):
            part = slice(int(ids.offsets[row]), int(ids.offsets[row + 1]))
            _check_places(text, starts[part], ends[part])

    for text in (*texts_of(subject), *HOSTILE):
        check(text)
    for_each(check, any_text(texts_of(subject)))


def _check_places(text: str, starts: np.ndarray, ends: np.ndarray) -> None:
    """The places of one text's tokens."""
    assert (np.diff(starts) >= 0).all(), f"{shown(text)}: places fall: {shown(starts.tolist())}"
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        assert 0 <= start <= end <= len(text), f"{shown(text)} has no place from {start} to {end}"
        piece = text[start:end]
        assert piece == piece.strip(), f"{shown(text)}: {shown(piece)} has white space at an end"


PROPERTIES = (
    any_text_has_ids,
    tokens_stand_where_they_say,
    a_text_comes_back,
    any_ids_have_a_text,
    special_tokens_are_apart,
    names_of_special_tokens_are_text,
    the_vocabulary_has_every_id,
    learning_is_deterministic,
    another_process_learns_the_same,
    what_is_saved_loads_the_same,
    many_equal_one_by_one,
    threads_agree,
    many_are_no_slower,
    nothing_to_learn_from_is_said,
)
