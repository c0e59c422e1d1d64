"""Nothing of a model, checkpoint, cache or data file runs; no run goes where it has no business."""

from __future__ import annotations

import json
import pickle
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .auditing import AUDIT
from .harness import Job, Server, until
from .hostile import payloads, rewritten, with_other_mischief, with_payloads

EACH = """
import json, os, sys
from loomlm.cli import main
codes = {}
for words in json.load(open(WORDS)):
    if os.path.basename(words[0]).startswith("cache"):
        os.environ["LOOMLM_CACHE"] = words[0]
    try:
        main(words[1:])
        code = 0
    except SystemExit as done:
        code = done.code or 0
    except BaseException as error:
        code = f"{type(error).__name__}: {error}"
    codes[words[0]] = code
    sys.stdout.flush(), sys.stderr.flush()
json.dump(codes, open(WORDS + ".codes", "w"))
sys.exit(0)
"""


@pytest.fixture
def audited(server: Server, tmp_path: Path) -> Callable[..., Job]:
    """Starts a run that notes what it does; `seen` has it."""
    (tmp_path / "audit").mkdir()
    cache, runs = tmp_path / "cache", tmp_path / "runs"

    def start(*words: object, before: str = "") -> Job:
        folders = [str(tmp_path / "audit"), str(tmp_path / "audit"), str(cache), str(runs)]
        env = {"LOOMLM_CACHE": str(cache), "LOOMLM_RUNS": str(runs), "TMPDIR": str(runs)}
        return server.start(words, tmp_path, env, AUDIT.replace("FOLDERS", repr(folders)) + before)

    return start


@pytest.fixture
def seen(tmp_path: Path) -> Callable[[], list[str]]:
    return lambda: (tmp_path / "audit" / "seen").read_text().splitlines()


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def each(audited, tmp_path, canary, seen) -> Callable[[list[list[object]]], tuple[dict, str]]:
    """Carries out commands in one audited run: the code of each by its name, and what was said."""

    def carry_out(commands: list[list[object]]) -> tuple[dict, str]:
        words = tmp_path / "audit" / "words.json"
        words.write_text(json.dumps([[str(word) for word in one] for one in commands]))
        job = audited("--help", before=EACH.replace("WORDS", repr(str(words))))
        assert job.wait() == 0, job.err
        assert "Traceback" not in job.err
        assert not seen()
        assert not canary.exists()
        return json.loads(words.with_name("words.json.codes").read_text()), job.err

    return carry_out


@pytest.fixture
def model(server, config_file, tmp_path) -> Path:
    """The model of a small run."""
    job = server.start(["run", config_file(steps="3")], tmp_path)
    assert job.wait() == 0, job.err
    return tmp_path / "runs" / "small" / "model"


@pytest.mark.one_backend
def test_the_payloads_would_run(canary):
    for payload in payloads(canary):
        assert not canary.exists()
        pickle.loads(payload)
        assert canary.exists()
        canary.rmdir() if canary.is_dir() else canary.unlink()


@pytest.mark.one_backend
def test_the_audit_sees(audited, seen, tmp_path, canary):
    (tmp_path / "payload").write_bytes(payloads(canary)[1])
    code = f"import pickle\npickle.load(open({str(tmp_path / 'payload')!r}, 'rb'))\n"
    code += f"open({str(tmp_path / 'outside')!r}, 'w')\n"
    assert audited("--help", before=code).wait() == 0
    assert any("pickle.find_class" in line for line in seen())
    assert any("outside" in line for line in seen())


def test_a_whole_run_does_nothing_else(audited, seen, config_file, tmp_path):
    """Train, be killed, go on, evaluate, predict: nothing is unpickled, imported from the data's
    folder or written elsewhere, and nobody is called.
    """
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")
    config = config_file(steps="400", checkpoint_every="10")
    checkpoints = tmp_path / "runs" / "small" / "finetune" / "checkpoints"
    job = audited("run", config)
    assert until(lambda: bool(list(checkpoints.glob("0*"))), 120), job.err
    job.send(signal.SIGKILL)
    job.wait()
    for words in (
        ("run", config, "--resume=must"),
        ("evaluate", "runs/small"),
        ("predict", "runs/small", "rain and wind"),
        ("predict", "runs/small/model", "rain and wind"),
    ):
        job = audited(*words)
        assert job.wait() == 0, job.err
    assert not seen()


def test_no_model_runs_anything(each, model, tmp_path, canary):
    place = tmp_path / "hostile"
    place.mkdir()
    folders = [*with_payloads(model, place, canary), *with_other_mischief(model, place, canary)]
    codes, said = each(
        [["right", "predict", model, "rain"]]
        + [[folder.name, "predict", folder, "rain"] for folder in folders]
    )
    assert codes.pop("right") == 0
    assert set(codes.values()) <= {1, 2}, codes
    # Found by the header, before a backend is asked for that much memory.
    assert "does not fit the config.json beside it" in said
    assert sum(line.startswith("Error: ") for line in said.splitlines()) == len(codes)


def test_no_checkpoint_runs_anything(each, config_file, server, tmp_path, canary):
    config = config_file(steps="400", checkpoint_every="10")
    run = tmp_path / "runs" / "small"
    checkpoints = run / "finetune" / "checkpoints"
    job = server.start(["run", config], tmp_path)
    assert until(lambda: bool(list(checkpoints.glob("0*"))), 120), job.err
    job.send(signal.SIGKILL)
    job.wait()
    newest = sorted(path for path in checkpoints.iterdir() if path.name.isdecimal())[-1]
    commands = []
    for number, payload in enumerate(payloads(canary)):
        names = ["model.safetensors", "optimizer.safetensors", "state.json"]
        runs = tmp_path / "runs" / f"copy{number}"
        shutil.copytree(run, runs / "small")
        shutil.rmtree(runs / "small" / "finetune" / "checkpoints")
        target = runs / "small" / "finetune" / "checkpoints" / newest.name
        rewritten(newest, target, {names[number % len(names)]: payload})
        commands.append([target, "run", config, "--runs", runs, "--resume=must"])
    codes, _ = each(commands)
    assert set(codes.values()) <= {1, 2}, codes


def test_no_cache_runs_anything(each, model, config_file, tmp_path, canary):
    """A pickle for each file of what was prepared, with a manifest that fits."""
    folders = [path.parent for path in (tmp_path / "cache").rglob("manifest.json")]
    config, commands = config_file(steps="3"), []
    for folder in folders:
        for path in folder.iterdir():
            if path.name == "manifest.json":
                continue
            number = len(commands)
            cache = tmp_path / "runs" / f"cache{number}"
            shutil.copytree(tmp_path / "cache", cache)
            target = cache / folder.relative_to(tmp_path / "cache")
            rewritten(folder, target, {path.name: payloads(canary)[number % 25]})
            commands.append([cache, "run", config, "--runs", cache / "runs"])
    assert len(commands) > 10
    codes, _ = each(commands)
    assert set(codes.values()) <= {0, 1, 2}, codes


@pytest.mark.one_backend
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "txt", "parquet", "csv.gz", "csv.xz"])
def test_no_data_file_runs_anything(form, each, config_file, tmp_path, canary):
    config = config_file(steps="3")
    commands = []
    for number, payload in enumerate(payloads(canary)):
        path = tmp_path / f"data{number}.{form}"
        path.write_bytes(payload)
        commands.append([path, "run", config, "--set", f"stages.finetune.data.train={path}"])
    codes, _ = each(commands)
    assert set(codes.values()) == {2}, codes


@pytest.mark.one_backend
@pytest.mark.parametrize(
    "name", ["a.bin", "a.pt", "a.pth", "a.ckpt", "a.h5", "a.keras", "a.pkl", "saved/saved_model.pb"]
)
def test_models_of_other_forms_are_refused_with_the_way_out(
    name, loomlm_command, config_file, tmp_path, canary
):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(payloads(canary)[0])
    given = path.parent if path.parent != tmp_path else path

    predicts = loomlm_command("predict", given, "rain")
    begins = loomlm_command("run", config_file(), "--set", f"stages.finetune.init_from={given}")

    for done in (predicts, begins):
        assert done.code in (1, 2)
        assert "safetensors" in done.err and "can run code" in done.err
    assert begins.code == 2
    assert not canary.exists()


@pytest.mark.one_backend
@pytest.mark.parametrize("name", ["../up", "/tmp/absolute", "a/b", "..", ".", "", "a\nb", "a\0b"])
@pytest.mark.parametrize("key", ["name", "stages.finetune.name"])
def test_names_that_would_be_paths_are_refused(key, name, loomlm_command, config_file, tmp_path):
    text = json.dumps(name)
    done = loomlm_command("run", config_file(), "--set", f"{key}={text}")

    assert done.code == 2
    assert not (tmp_path.parent / "up").exists() and not (tmp_path / "runs").exists()


@pytest.mark.one_backend
def test_labels_from_data_never_become_paths(config_file, loomlm_command, tmp_path):
    labels = ["../../up", "/etc/passwd", "a\nb", "x\x1b[2J"]
    rows = [{"text": f"rain {n}", "label": labels[n % 4]} for n in range(40)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    for name in ("train.jsonl", "test.jsonl"):
        (tmp_path / name).write_text(lines)
    before = set(tmp_path.parent.iterdir())

    data = [f"stages.finetune.data.{split}={split}.jsonl" for split in ("train", "test")]
    done = loomlm_command("run", config_file(steps="2"), *(f"--set={one}" for one in data))

    assert done.code == 0, done.err
    assert set(tmp_path.parent.iterdir()) == before
    described = json.loads((tmp_path / "runs" / "small" / "model" / "config.json").read_text())
    assert described["facts"]["labels"] == sorted(labels)
