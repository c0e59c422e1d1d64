"""The html step takes markup out, and nothing that only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.plugin import NoConfig
from loomlm_cleaning.steps import html_step

clean = html_step(NoConfig())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a < b and c > d",
        "if x <y then z",
        "I <3 this",
        "</3 and more <- arrows ->",
        "AT&T, R&D & Q&A; fish &chips",
        "see x?a=1&copy=2&lt=3",
        "&notebook; &nosuchthing;",
        "mail <me@example.com> or <https://example.com/a?b>",
        "<> </> <1> < b> <!> <!-- open",
        "the end <b",
        "naïve <é>",
    ],
)
def test_text_without_markup_is_left_alone(text):
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Great.<br /><br />Really.", "Great.\n\nReally."),
        ("a<br>b<br/>c<BR\n/>d", "a\nb\nc\nd"),
        ("<p>One.</p><p>Two.</p>", "\nOne.\n\nTwo.\n"),
        ("<ul><li>x<li>y</ul>", "\n\nx\ny\n"),
        ("so <b>very</b> <i class='x'>good</i>", "so very good"),
        ("un<b>believ</b>able", "unbelievable"),
        ("I <3 it<br />AT&T < IBM", "I <3 it\nAT&T < IBM"),
        ("</3 broken<br />heart", "</3 broken\nheart"),
        ('<a href="?x=1&y=2" title="a > b">link</a>', "link"),
        ("<a title='it&apos;s > it'>link</a>", "link"),
        ("<a title=it's>link</a>", "link"),
        ("a<!-- <b>not seen</b>\n -->b", "ab"),
        ("<!DOCTYPE html><?xml version='1.0'?>x", "x"),
        ("a<script type='x'>if (a < b) {}</script >b<STYLE>p {}</style>c", "abc"),
        ("the <script> tag is never closed", "the  tag is never closed"),
        ("<my-element>x</my-element>", "x"),
    ],
)
def test_markup_becomes_text(text, cleaned):
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("&lt;b&gt; &amp; &quot;x&quot; &#39;y&#x27;", "<b> & \"x\" 'y'"),
        ("caf&eacute; &Eacute; &nbsp;&hellip;", "café É \xa0…"),
        ("&#128512; &#x1F600;", "😀 😀"),
        ("&amp;lt;", "&lt;"),
        ("&#0; &#xD800; &#x110000;", "\ufffd \ufffd \ufffd"),
    ],
)
def test_entities_become_their_characters_once(text, cleaned):
    assert clean(text) == cleaned


@given(st.text(st.characters(exclude_characters="<&")))
def test_without_brackets_and_ampersands_any_text_is_left_alone(text):
    assert clean(text) == text


@given(st.lists(st.text(st.characters(exclude_characters="<>&"))))
def test_the_texts_between_tags_are_kept_in_order(parts):
    assert clean("<b>".join(parts)) == "".join(parts)
    assert clean("<br />".join(parts)) == "\n".join(parts)


@given(st.text(st.sampled_from("<>/!?-&#;ab \n\"'=3")))
def test_any_text_at_all_is_cleaned_and_grows_by_nothing(text):
    assert len(clean(text)) <= len(text)
