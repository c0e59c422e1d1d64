"""What is particular to the built-in tokenizers: vocabularies, files, what a user gets wrong.

What holds for every tokenizer is checked in `tests/conformance`.
"""

import hashlib
import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from loomlm.plugin import UsageError
from loomlm_tokenizers import loomlm_tokenizers
from loomlm_tokenizers.alphabet import alphabet

TEXTS = [
    "The quick brown fox jumps over the lazy dog; the dog sleeps.",
    "Thinking about thinkers who think the thinkable, thoughtfully.",
    "Über naïve cafés: 日本語 😀 <end> <pad>\n\tA second line, the same the.",
    "",
] * 4
SIZES = {"bpe": 300, "wordpiece": 120, "unigram": 90, "word": 30, "character": None}
COMPONENTS = {component.name: component for component in loomlm_tokenizers()}
NAMES = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name == "unigram" and find_spec("sentencepiece") is None,
            reason="sentencepiece, which trains unigram models, is not installed",
        ),
    )
    for name in COMPONENTS
]
each = pytest.mark.parametrize("name", NAMES)


def config_of(name, **keys):
    return COMPONENTS[name].config(**keys)


def train(name, texts=TEXTS, **keys):
    keys.setdefault("vocab_size", SIZES[name])
    return COMPONENTS[name].load().train(config_of(name, **keys), iter(texts))


@pytest.fixture(scope="module")
def trained():
    made = {}

    def get(name):
        if name not in made:
            made[name] = train(name)
        return made[name]

    return get


@each
def test_special_tokens_have_fixed_ids(name, trained):
    tokenizer = trained(name)
    expected = {"<pad>": 0, "<end>": 1} if name == "bpe" else {"<pad>": 0, "<unk>": 1, "<end>": 2}
    vocabulary = tokenizer.vocabulary()
    assert {token: vocabulary[token] for token in expected} == expected
    assert tokenizer.pad_id == 0
    assert tokenizer.unknown_id == expected.get("<unk>")
    assert tokenizer.end_id == expected["<end>"]
    assert sorted(vocabulary.values()) == list(range(tokenizer.vocab_size))


@each
def test_plain_words_come_back_and_an_empty_text_has_no_ids(name, trained):
    tokenizer = trained(name)
    words, nothing = tokenizer.encode_many(["the dog", ""])
    assert tokenizer.decode(words.tolist()) == "the dog"
    assert len(nothing) == 0


@pytest.mark.parametrize("name", ["wordpiece", "word", "character"])
def test_what_the_vocabulary_lacks_is_unknown(name, trained):
    tokenizer = trained(name)
    assert tokenizer.unknown_id in tokenizer.encode_many(["ж"]).values


@each
def test_the_library_reads_the_file_and_agrees(name, trained, tmp_path):
    tokenizer = trained(name)
    (tmp_path / "tokenizer.json").write_bytes(tokenizer.files()["tokenizer.json"])
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    library.encode_special_tokens = True
    rows = tokenizer.encode_many(TEXTS)
    assert [library.encode(text).ids for text in TEXTS] == [row.tolist() for row in rows]


@each
def test_transformers_reads_the_folder(name, trained, tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer = trained(name)
    for file, content in tokenizer.files().items():
        (tmp_path / file).write_bytes(content)
    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path)
    rows = tokenizer.encode_many(TEXTS)
    assert [theirs.encode(text) for text in TEXTS] == [row.tolist() for row in rows]
    assert theirs.pad_token_id == tokenizer.pad_id
    assert theirs.eos_token_id == tokenizer.end_id
    assert theirs.unk_token_id == tokenizer.unknown_id


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
HOSTILE = st.one_of(ANY_TEXT, st.text(st.sampled_from("\r\n\t\0\x85\u2028 \u0301\u200da<>endpk😀")))


@given(text=HOSTILE)
@settings(max_examples=100, deadline=None)
def test_fast_characters_equal_the_library_s(trained, text):
    tokenizer = trained("character")
    library = tokenizers.Tokenizer.from_str(tokenizer.files()["tokenizer.json"].decode())
    library.encode_special_tokens = True
    ids = tokenizer.encode_many([text]).values.tolist()
    assert ids == library.encode(text).ids
    assert len(ids) == len(text)


@each
def test_surrogates_that_stand_alone_do_not_stop_anything(name):
    texts = [*TEXTS, "broken \ud800 text", "\ufffd"]
    tokenizer = train(name, texts, **({"vocab_size": 200} if name == "unigram" else {}))
    rows = tokenizer.encode_many(["a \udfff b", "a \ufffd b"])
    assert rows[0].tolist() == rows[1].tolist()


@pytest.mark.parametrize("name", ["bpe", "wordpiece", "word"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_lowercase_is_as_configured(name, lowercase):
    tokenizer = train(name, lowercase=lowercase)
    upper, lower = tokenizer.encode_many(["The Dog", "the dog"])
    assert (upper.tolist() == lower.tolist()) is lowercase


def test_lowercase_unigram():
    pytest.importorskip("sentencepiece")
    upper, lower = train("unigram", lowercase=True).encode_many(["The Dog", "the dog"])
    assert upper.tolist() == lower.tolist()


@given(texts=st.lists(HOSTILE, max_size=5), lowercase=st.booleans(), part=st.integers(1, 30))
@settings(max_examples=150, deadline=None)
def test_the_alphabet_of_wordpiece_is_that_of_the_library_s_trainer(texts, lowercase, part):
    library = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="<unk>"))
    library.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowercase)
    library.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()

    def words(text):
        clean = library.normalizer.normalize_str(text)
        return [word for word, _ in library.pre_tokenizer.pre_tokenize_str(clean)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loomlm_tokenizers.alphabet.PART", part)
        found = alphabet(texts, words)
    nothing_merged = tokenizers.trainers.WordPieceTrainer(vocab_size=0, show_progress=False)
    library.train_from_iterator(texts, nothing_merged)
    assert found == sorted(library.get_vocab())


def test_words_are_the_most_frequent_and_ties_are_in_order():
    tokenizer = train("word", ["b a c c", "b a, ü"], min_frequency=2)
    assert list(tokenizer.vocabulary())[3:] == ["a", "b", "c"]


def test_words_of_a_text_that_is_split_already_stay_as_they_are():
    text = " = Val . = \n\n Senj <unk> @-@ Media.Vision <unk> . \n"
    tokenizer = train("word", [text], split="spaces", lowercase=False)
    words = ["\n", ".", "=", "@-@", "Media.Vision", "Senj", "Val"]

    assert list(tokenizer.vocabulary()) == ["<pad>", "<unk>", "<end>", *words]
    assert list(tokenizer.vocabulary().values()) == list(range(10))
    (row,) = tokenizer.encode_many(["Val  <unk> val\t.\n\n <end>Senj"])
    assert row.tolist() == [9, 1, 1, 4, 3, 3, 1, 1]
    assert train("word", ["a A b b"], split="spaces", min_frequency=2).vocab_size == 5


def test_fewer_characters_keep_the_most_frequent():
    tokenizer = train("character", ["aab bbc\n"], vocab_size=5)
    assert list(tokenizer.vocabulary())[3:] == ["b", "a"]
    assert tokenizer.encode_many(["ca"]).values.tolist() == [1, 4]


def test_unigram_makes_one_space_of_any_white_space():
    pytest.importorskip("sentencepiece")
    tokenizer = train("unigram")
    ids = tokenizer.encode_many(["  the\n\n dog\t"]).values.tolist()
    assert tokenizer.decode(ids) == "the dog"


# --- determinism -----------------------------------------------------------------------------

PRINT_DIGESTS = """
import hashlib, json, sys
from loomlm_tokenizers import loomlm_tokenizers
names, texts = json.load(sys.stdin)
for component in loomlm_tokenizers():
    if component.name in names:
        config = component.config(vocab_size=names[component.name])
        files = component.load().train(config, iter(texts)).files()
        print(component.name, hashlib.sha256(files["tokenizer.json"]).hexdigest())
"""


def digests(names, texts, seed, threads):
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(seed),
        "RAYON_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "true",
    }
    done = subprocess.run(
        [sys.executable, "-c", PRINT_DIGESTS],
        input=json.dumps([names, texts]),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return dict(line.split() for line in done.stdout.splitlines())


def test_training_gives_the_same_bytes_in_any_process_and_with_any_number_of_threads():
    names = {"bpe": 400, "wordpiece": 250, "word": 60, "character": None}
    if find_spec("sentencepiece"):
        names["unigram"] = 200
    letters = "abcdefghijklmnopqrstuvwxyzäöü"
    # Words whose frequencies tie: where an order is not fixed, it shows.
    words = [hashlib.sha256(str(i).encode()).hexdigest()[: 3 + i % 7] for i in range(900)]
    texts = [" ".join(words[i : i + 9]) + " " + letters[i % 29 :] for i in range(0, 900, 3)]
    first = digests(names, texts, seed=1, threads=1)
    assert set(first) == set(names)
    assert digests(names, texts, seed=2, threads=2) == first
    assert digests(names, texts, seed=3, threads=3) == first


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_a_fork_after_encoding_neither_warns_nor_hangs():
    script = """
import os
from loomlm_tokenizers.config import BPEConfig
from loomlm_tokenizers.tokenizer import BPE
few, many = ["some text"] * 100, ["some text " * 10_000] * 10
tokenizer = BPE.train(BPEConfig(vocab_size=300), few)
tokenizer.encode_many(few)
tokenizer.encode_many(many)
child = os.fork()
tokenizer.encode_many(few)
tokenizer.encode_many(many)
if child:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os._exit(0)
"""
    environment = {k: v for k, v in os.environ.items() if k != "TOKENIZERS_PARALLELISM"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""


# --- mistakes --------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("texts", [[], ["", "  \n"]])
def test_no_training_text_is_said(name, texts):
    with pytest.raises(UsageError, match="no training text"):
        train(name, texts)


@each
def test_the_smallest_vocabulary_that_works_is_said_and_works(name):
    with pytest.raises(UsageError, match=r"vocab_size = 2 is too small: .* at least \d+") as raised:
        train(name, vocab_size=2)
    smallest = int(str(raised.value).split("at least ")[1].split(",")[0])
    if name == "bpe":
        assert smallest == 258
    assert train(name, vocab_size=smallest).vocab_size <= smallest
    with pytest.raises(UsageError, match="too small"):
        train(name, vocab_size=smallest - 1)


@each
def test_a_saved_file_or_its_folder_is_taken_instead_of_training(name, trained, tmp_path):
    tokenizer = trained(name)
    for file, content in tokenizer.files().items():
        (tmp_path / file).write_bytes(content)
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        config = config_of(name, file=path)
        read = COMPONENTS[name].load().train(config, iter(()))
        assert read.files() == tokenizer.files()


def foreign(tmp_path, tokens, unknown, **settings):
    """A tokenizer.json as other programs make it, which pads and cuts."""
    vocabulary = {token: number for number, token in enumerate(tokens)}
    model = tokenizers.models.WordPiece(vocabulary, unk_token=unknown)
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens([token for token in tokens if token[0] in "[<"])
    made.enable_truncation(2)
    made.enable_padding(length=9)
    made.save(str(tmp_path / "tokenizer.json"))
    if settings:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    return COMPONENTS["wordpiece"].load().train(config_of("wordpiece", file=tmp_path), iter(()))


def test_special_tokens_of_a_foreign_file_are_found_by_their_usual_names(tmp_path):
    tokenizer = foreign(tmp_path, ["a", "b", "[UNK]", "[PAD]", "[SEP]"], "[UNK]")
    assert (tokenizer.pad_id, tokenizer.unknown_id, tokenizer.end_id) == (3, 2, 4)
    assert tokenizer.encode_many(["a b a z"]).values.tolist() == [0, 1, 0, 2]


def test_a_foreign_file_s_settings_name_its_special_tokens(tmp_path):
    tokens = ["a", "<fin>", "[UNK]", "<nix>", "</s>"]
    given_names = {"pad_token": {"content": "<nix>"}, "eos_token": "<fin>"}
    tokenizer = foreign(tmp_path, tokens, "[UNK]", **given_names)
    assert (tokenizer.pad_id, tokenizer.end_id) == (3, 1)
    again = COMPONENTS["wordpiece"].load().load(config_of("wordpiece"), tokenizer.files())
    assert (again.pad_id, again.end_id) == (3, 1)


@pytest.mark.parametrize(("tokens", "pad"), [(["a", "[UNK]", "</s>"], 2), (["a", "[UNK]"], 0)])
def test_without_a_padding_token_the_end_pads_or_else_0(tmp_path, tokens, pad):
    tokenizer = foreign(tmp_path, tokens, "[UNK]")
    assert tokenizer.pad_id == pad
    assert "pad_token" not in json.loads(tokenizer.files()["tokenizer_config.json"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.json cannot be read: No such file"):
        train("bpe", file=tmp_path / "gone.json")
    with pytest.raises(UsageError, match=r"tokenizer\.json cannot be read"):
        train("bpe", file=tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"model": 3}', b"\xff\xfe"])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path, content):
    (tmp_path / "it.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"it\.json is no tokenizer\.json") as raised:
        train("bpe", file=tmp_path / "it.json")
    assert "\n" not in str(raised.value)


def test_a_file_of_another_kind_says_which_type_to_set(tmp_path, trained):
    (tmp_path / "tokenizer.json").write_bytes(trained("word").files()["tokenizer.json"])
    with pytest.raises(UsageError, match=r"WordLevel model.*'word' or 'character'"):
        train("bpe", file=tmp_path)


def test_unigram_without_sentencepiece_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(UsageError, match="pip install sentencepiece"):
        train("unigram")


def test_listing_imports_nothing_heavy():
    script = """
import sys
from loomlm_tokenizers import loomlm_tokenizers
loomlm_tokenizers()
assert not {"tokenizers", "numpy", "sentencepiece"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
