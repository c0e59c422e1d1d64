"""What a process runs before a run, so that a test sees from outside in which phase it is.

Each phase leaves a file of its name in the folder `MARKS` when it begins. What a phase consists of,
batches and syncs to disk, takes some milliseconds more, so that a signal can be sent within.
"""

import os
import time
from pathlib import Path

MARKS = Path(os.environ["MARKS"])
PAUSE = 0.004


def _mark(phase):
    (MARKS / phase).touch()


def _marked(phase, module, name):
    """Mark a phase whenever a function of a module is called."""
    inner = getattr(module, name)

    def call(*arguments, **options):
        _mark(phase)
        time.sleep(PAUSE)
        return inner(*arguments, **options)

    setattr(module, name, call)


def _slowed(module, name):
    inner = getattr(module, name)

    def call(*arguments, **options):
        time.sleep(PAUSE)
        return inner(*arguments, **options)

    setattr(module, name, call)


def _engine(module, name):
    """The first step is where a framework compiles."""
    engine = getattr(module, name)
    step, score = engine.train_step, engine.score

    def train_step(self, microbatches, context):
        _mark("compile" if context.step == 1 else "step")
        time.sleep(PAUSE)
        return step(self, microbatches, context)

    def slow_score(self, *arguments, **options):
        time.sleep(PAUSE)
        return score(self, *arguments, **options)

    engine.train_step, engine.score = train_step, slow_score


def _watch():
    from importlib import import_module

    import loomlm.cli.run
    from loomlm.training import checkpoints, loop, run

    _marked("start", loomlm.cli.run, "read_config")
    _marked("read", run, "read_examples")
    _marked("tokenizer", run, "make_tokenizer")
    _marked("encode", run, "encode_examples")
    _marked("build", run, "make_stage")
    _marked("evaluation", loop, "evaluate")
    _marked("save", checkpoints.Checkpoints, "save")
    _marked("final-evaluation", run, "evaluate")
    _marked("export", run, "save_model")
    _slowed(os, "fsync")
    module, name = os.environ["ENGINE"].split(":")
    _engine(import_module(module), name)


_watch()
