"""A server of our own is told; one that is not there costs a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from attrs import define, field
from click.testing import CliRunner

import loomlm
from loomlm.plugin import RunEnded, RunStarted
from loomlm_notify.command import command
from loomlm_notify.config import NotifyConfig
from loomlm_notify.observer import Notify
from loomlm_notify.posting import NotSentError, post


@define
class Server:
    """An address, what was sent to it, and what it answers."""

    url: str = ""
    answer: int = 200
    sent: list[tuple[str | None, Any]] = field(factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    found = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.sent.append((self.headers["Content-Type"], json.loads(body)))
            self.send_response(found.answer)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{http.server_port}/hook"
    thread = Thread(target=http.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture
def nobody(server: Server) -> str:
    """An address where nobody listens: that of a server that is closed at once."""
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as http:
        return f"http://127.0.0.1:{http.server_port}/"


def end(config: NotifyConfig, error: str | None = None) -> None:
    """A run begins and ends."""
    observer = Notify(config)
    observer.loomlm_run_started(RunStarted(folder="runs/news", config={}, resumed=False))
    scores = {"only": {"test": {"accuracy": 0.5, "perplexity": float("inf"), "each": [1.0]}}}
    observer.loomlm_run_ended(RunEnded(folder="runs/news", evaluation=scores, error=error))


def test_a_summary_says_how_the_run_ended(server):
    end(NotifyConfig(url=server.url))

    ((kind, summary),) = server.sent
    assert kind == "application/json"
    assert 0 <= summary.pop("seconds") < 5
    assert summary == {
        "run": "news",
        "folder": "runs/news",
        "outcome": "ended",
        "error": None,
        "evaluation": {"only": {"test": {"accuracy": 0.5, "perplexity": None, "each": [1.0]}}},
    }


def test_a_failure_is_told_with_its_reason(server):
    end(NotifyConfig(url=server.url, failures_only=True))
    end(NotifyConfig(url=server.url, failures_only=True), "out of paper")

    ((_, summary),) = server.sent
    assert (summary["outcome"], summary["error"]) == ("failed", "out of paper")


def test_a_server_that_is_not_there_costs_a_sentence(nobody, capsys):
    end(NotifyConfig(url=nobody))

    said = capsys.readouterr().err
    assert said.startswith(f"{nobody} was not told: it cannot be reached: ")
    assert "Traceback" not in said


def test_a_server_that_refuses_is_quoted(server):
    server.answer = 403

    with pytest.raises(NotSentError, match="was not told: it answers 403 Forbidden. Check"):
        post(server.url, {}, 5)


@pytest.mark.parametrize("url", ["http://", "http://[", "http://no such host/"])
def test_a_crooked_address_is_a_sentence_too(url, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")

    with pytest.raises(NotSentError, match="was not told: it cannot be reached"):
        post(url, {}, 5)


def test_the_command_tells_at_once(server, nobody):
    done = CliRunner().invoke(command, [server.url])

    assert done.output == f"{server.url} was told.\n"
    assert server.sent[0][1]["run"] == "notify-test"
    failed = CliRunner().invoke(command, [nobody])
    assert isinstance(failed.exception, loomlm.LoomlmError)


CONFIG = {
    "name": "news",
    "backend": "torch",
    "tokenizer": "word",
    "backbone": "mlp",
    "stages": [
        {
            "name": "only",
            "task": "classification",
            "data": {"train": "train.csv", "label": "label"},
            "trainer": {"steps": 1},
        }
    ],
}


def test_a_config_names_it_and_its_keys_are_checked():
    observer = {"type": "notify", "url": "ftp://here", "timeout": 0}

    with pytest.raises(loomlm.ConfigError, match="timeout"):
        loomlm.load_config({**CONFIG, "observers": [observer]})
    with pytest.raises(loomlm.ConfigError, match="url must begin with http://"):
        loomlm.load_config({**CONFIG, "observers": [{**observer, "timeout": 1}]})
    with pytest.raises(loomlm.ConfigError, match="url"):
        loomlm.load_config({**CONFIG, "observers": ["notify"]})
    found = loomlm.load_config(
        {**CONFIG, "observers": [{"type": "notify", "url": "https://here/"}]}
    )
    assert found.settings.observers[0].config == NotifyConfig(url="https://here/")
