"""One OpenAI-compatible endpoint: a question goes out, an answer or a clear error comes back."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from fmri_descriptors.errors import InputError
from fmri_descriptors.rewrite.limits import (
    OverdueError,
    TooLongError,
    bounded_client,
    in_time,
)
from fmri_descriptors.settings import RewriteSettings

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_LONGEST_WAIT = 120.0  # s that the client of `openai` waits at most before it asks again
_PASSING = {408, 409, 425, 429}
# What reading an answer raises that is not of the agreed form.
_NO_OPENAI_ANSWER = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Answer:
    """What came back.

    Parameters
    ----------
    text : str
        The model's words.
    cut_off : bool
        Whether it stopped because it had reached the longest length.
    tokens_in, tokens_out : int
        Tokens of the question and the answer as the endpoint counts them.
    """

    text: str
    cut_off: bool
    tokens_in: int
    tokens_out: int


class NoAnswerError(Exception):
    """The endpoint is there and gives no answer to a request, time after time."""


class Endpoint:
    """An OpenAI-compatible endpoint.

    Parameters
    ----------
    settings : RewriteSettings
        Address, model, limits, times and the name of the variable with the key.

    Raises
    ------
    InputError
        If the package ``openai`` is not installed.
    """

    def __init__(self, settings: RewriteSettings) -> None:
        self.settings = settings
        self._reached = False
        self._client = self._connected()

    def _connected(self) -> Any:
        try:
            import openai
        except ImportError as error:
            raise InputError(
                "rewrite: openai is not installed; pip install 'fmri-descriptors[rewrite]'"
            ) from error
        timeout = self.settings.timeout_seconds
        return openai.OpenAI(
            base_url=self.settings.base_url,
            api_key=os.environ.get(self.settings.api_key_variable) or "none",
            timeout=timeout,
            max_retries=self.settings.max_retries,
            # A proxy of the environment must not see what goes to a server on this machine.
            http_client=bounded_client(
                timeout,
                trust_env=urlsplit(self.settings.base_url).hostname not in _LOOPBACK,
                reached=self._note_reached,
            ),
        )

    def _note_reached(self) -> None:
        self._reached = True

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, messages: Sequence[dict[str, str]], temperature: float, seed: int) -> Answer:
        """Return the answer to a chat.

        The client of `openai` asks a busy or failing endpoint again, after the time that it names
        or after longer waits each time.

        Raises
        ------
        NoAnswerError
            If it gives none after all, or none in time.
        InputError
            If the endpoint cannot be reached, or refuses the key, the model or the request.
        """
        import openai

        retries, timeout = self.settings.max_retries, self.settings.timeout_seconds
        try:
            return in_time(
                partial(self._answer, messages, temperature, seed),
                timeout + retries * (timeout + _LONGEST_WAIT),
            )
        except (openai.OpenAIError, OverdueError, TooLongError, *_NO_OPENAI_ANSWER) as error:
            self._refuse(error)
            raise NoAnswerError(_named(error)) from error

    def _answer(self, messages: Sequence[dict[str, str]], temperature: float, seed: int) -> Answer:
        chat: Any = self._client.chat.completions
        reply = chat.create(
            model=self.settings.model,
            messages=list(messages),
            temperature=temperature,
            seed=seed,
            max_tokens=self.settings.max_tokens,
        )
        self._reached = True
        choice = reply.choices[0]
        if not isinstance(choice.message.content, str):
            raise TypeError("no text in the answer")
        choice.message.content.encode()  # half a character cannot be written to a file
        usage = reply.usage
        return Answer(
            choice.message.content,
            choice.finish_reason == "length",
            int(usage.prompt_tokens) if usage else 0,
            int(usage.completion_tokens) if usage else 0,
        )

    def _refuse(self, trouble: Exception) -> None:
        """Raise for a trouble that no waiting will end."""
        import openai

        if isinstance(trouble, openai.APIStatusError):
            self._reached = True
            self._refuse_status(trouble)
        unreachable = isinstance(trouble, openai.APIConnectionError)
        if unreachable and not isinstance(trouble, openai.APITimeoutError) and not self._reached:
            raise InputError(
                f"rewrite.base_url: {self.settings.base_url} cannot be reached "
                f"({_one_line(trouble.__cause__ or trouble)}); start the server or correct the "
                "address"
            ) from trouble

    def _refuse_status(self, error: Any) -> None:
        status = error.status_code
        if status in _PASSING or status >= 500:
            return
        variable = self.settings.api_key_variable
        if status in {401, 403}:
            state = "is refused" if os.environ.get(variable) else "is not set"
            fix = f"the key in the environment variable {variable} {state}; set one that is valid"
        elif 300 <= status < 400:
            fix = "it sends on to another address; give that one as rewrite.base_url"
        elif status == 404:
            name = self.settings.model
            fix = f"no model {name!r} there; correct rewrite.model or rewrite.base_url"
        else:
            fix = f"{_one_line(error)}; check rewrite.model and rewrite.max_tokens"
        raise InputError(f"rewrite: {self.settings.base_url} answers {status}: {fix}") from error


def _named(trouble: Exception) -> str:
    import openai

    if isinstance(trouble, openai.APITimeoutError | OverdueError):
        return "timeout"
    if isinstance(trouble, TooLongError) or isinstance(trouble.__cause__, TooLongError):
        return "answer too long"
    if isinstance(trouble, openai.APIStatusError):
        return f"status {trouble.status_code}"
    if isinstance(trouble, openai.APIConnectionError):
        return "connection lost"
    return "no OpenAI answer"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
