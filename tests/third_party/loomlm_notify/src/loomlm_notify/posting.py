"""The request, with Python's own library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPException
from math import isfinite
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from loomlm.plugin import LoomlmError


class NotSentError(LoomlmError):
    """Nobody took the summary."""


def post(url: str, summary: Mapping[str, Any], timeout: float) -> None:
    """Send a summary as JSON. Raises NotSentError, a sentence with the reason and what to do."""
    body = json.dumps(_plain(summary), allow_nan=False).encode()
    try:
        request = Request(url, body, {"Content-Type": "application/json"}, method="POST")
        with urlopen(request, timeout=timeout):
            return
    except HTTPError as error:
        reason = f"it answers {error.code} {error.reason}"
    except URLError as error:
        reason = f"it cannot be reached: {error.reason}"
    # What else a connection or a crooked address may raise; a timeout while reading is an OSError.
    except (OSError, HTTPException, ValueError) as error:
        reason = f"it cannot be reached: {error or type(error).__name__}"
    said = f"{url} was not told: {reason.rstrip('.')}. Check the address, and what listens there."
    raise NotSentError(said) from None


def _plain(value: Any) -> Any:
    """What JSON has: a number that is none becomes null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
