"""TensorFlow and Keras, imported without a word on the terminal.

Everything in this package takes them from here: Keras must be told of its backend before it is
imported, and TensorFlow greets with lines that no log level hides.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


def _quietly(name: str) -> Any:
    """Import a module; what it says on the standard error is shown only where it fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            return import_module(name)
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

tf = _quietly("tensorflow")
keras = _quietly("keras")
tf.get_logger().setLevel("ERROR")

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"Keras was imported with the backend {keras.backend.backend()!r} before. Set the "
        "environment variable KERAS_BACKEND to tensorflow, or import loomlm's model first."
    )


@contextmanager
def reproducible(exact: bool) -> Iterator[None]:
    """Within, operations give the same bits each time.

    The setting is the whole process's, so it is put back: with it, whatever is random and has no
    seed fails, such as the order in which Keras' `fit` takes a user's examples.
    """
    switch: Any = import_module("tensorflow.python.framework.config")
    if not exact or switch.is_op_determinism_enabled():
        yield
        return
    switch.enable_op_determinism()
    try:
        yield
    finally:
        switch.disable_op_determinism()
