"""One question to an OpenAI-compatible endpoint, answered in text or by an error that says why."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from fmri_instruct.settings import ParaphraseSettings
from fmri_vqtok.errors import InputError

__all__ = ["ask_endpoint"]

LONGEST_ANSWER = 1 << 20
"""Bytes of a response."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Sends a request, and the key in it, to no other address than the one that was given."""

    def redirect_request(self, *_: Any) -> None:
        """Return no request to follow."""


def ask_endpoint(
    base_url: str, messages: Sequence[dict[str, str]], settings: ParaphraseSettings, seed: int
) -> str:
    """Text that a language model answers to a chat.

    Parameters
    ----------
    base_url : str
        Address up to and including ``/v1``.
    messages : sequence of dict
        Chat turns.
    settings : ParaphraseSettings
        Model, temperature, longest wait, and the name of the variable with the key.
    seed : int
        Of the request.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If the endpoint cannot be reached, refuses the request, or answers in another form.
    """
    address = urlsplit(base_url)
    if address.scheme not in {"http", "https"} or not address.hostname or address.username:
        raise InputError(
            f"paraphrase-with: '{base_url}'; give an address such as http://localhost:8000/v1"
        )
    body = {
        "model": settings.model,
        "messages": list(messages),
        "temperature": settings.temperature,
        "seed": seed % 2**31,
    }
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(settings.api_key_variable):
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        f"{base_url.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers
    )
    # A proxy of the environment must not see what goes to a server on this machine.
    own = [urllib.request.ProxyHandler({})] if address.hostname in _LOOPBACK else []
    try:
        opener = urllib.request.build_opener(_NoRedirect, *own)
        with opener.open(request, timeout=settings.timeout_seconds) as response:
            content = response.read(LONGEST_ANSWER + 1)
    except urllib.error.HTTPError as error:
        raise InputError(_refused(base_url, error.code, settings)) from error
    except (OSError, HTTPException) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise InputError(
            f"paraphrase-with: {base_url} gives no answer ({reason}); start the server or correct "
            "the address"
        ) from error
    return _text(content, base_url)


def _refused(base_url: str, status: int, settings: ParaphraseSettings) -> str:
    variable = settings.api_key_variable
    fix = {
        401: f"set a valid key in the environment variable {variable}",
        403: f"set a valid key in the environment variable {variable}",
        404: f"correct the address, or paraphrase.model ('{settings.model}')",
    }.get(status, "look after the endpoint, or try again later")
    if 300 <= status < 400:
        fix = "it sends on to another address; give that one"
    return f"paraphrase-with: {base_url} answers {status}; {fix}"


def _text(content: bytes, base_url: str) -> str:
    try:
        text = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(
            f"paraphrase-with: {base_url} gives no answer in the form of OpenAI's chat "
            "completions; correct the address"
        ) from error
    if not isinstance(text, str) or len(content) > LONGEST_ANSWER:
        raise InputError(
            f"paraphrase-with: {base_url} answers without text, or with more than "
            f"{LONGEST_ANSWER:,} bytes; choose another model"
        )
    return text
