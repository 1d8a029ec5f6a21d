"""Captions in, captions out: asked, checked, journaled, in order."""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmri_descriptors.errors import InputError
from fmri_descriptors.rewrite import prompt
from fmri_descriptors.rewrite.check import Refusal, check_rewrite
from fmri_descriptors.rewrite.endpoint import Answer, Endpoint, NoAnswerError
from fmri_descriptors.rewrite.facts import UnreadableError, read_facts
from fmri_descriptors.rewrite.journal import Journal, key_of
from fmri_descriptors.rewrite.privacy import WithheldError, without_ids
from fmri_descriptors.rewrite.report import RewriteReport
from fmri_descriptors.settings import RewriteSettings
from fmri_descriptors.text.caption_file import read_caption_lines
from fmri_descriptors.text.sentences import Sentence, as_records, joined
from fmri_descriptors.utils.files import atomic_write, write_json

JOURNAL = "rewriting.jsonl"
REPORT = "rewriting.json"
_AHEAD = 4  # captions handed out ahead, a request at a time

Entry = dict[str, Any]
Ids = Callable[[str], Iterable[str | None]]


def rewrite_captions(
    captions: Path,
    out: Path,
    settings: RewriteSettings,
    *,
    networks: Sequence[str],
    workspace: Path,
    identifiers: Ids = lambda _: (),
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> RewriteReport:
    """Write captions again, each rewritten where a rewrite passed the check.

    Every line of the source is kept, in its order. A line whose text was rewritten has
    ``"source": "rewritten"``; all others are as they were. ``rewriting.json`` beside the result
    holds the report.

    Parameters
    ----------
    captions : Path
        A ``captions.jsonl``.
    out : Path
        The new one, another file.
    settings : RewriteSettings
        Which model, and its limits.
    networks : sequence of str
        Names that the parcellation gives its networks.
    workspace : Path
        Folder for the journal, in which a run that was killed is found again.
    identifiers : callable
        Gives a scan's further ids (subject, session, site); they and the scan's own are taken
        out of what is sent.
    seed : int
        Seed of the requests.
    progress : callable
        Called with (captions done, captions in all).

    Returns
    -------
    RewriteReport

    Raises
    ------
    InputError
        If the captions cannot be read, or the endpoint cannot be reached or refuses to work. What
        was answered by then is kept in the workspace.
    """
    total = sum(1 for _ in read_caption_lines(captions))
    workspace.mkdir(parents=True, exist_ok=True)
    journal = Journal(workspace / JOURNAL)
    worker = _Worker(settings, tuple(networks), identifiers, seed, journal)
    report = RewriteReport.of(settings)
    with ExitStack() as stack:
        if any(worker.must_ask(line) for line in read_caption_lines(captions)):
            worker.endpoint = stack.enter_context(closing(Endpoint(settings)))
        unfinished = stack.enter_context(atomic_write(out))
        file = stack.enter_context(unfinished.open("w", encoding="utf-8"))
        for done, (line, entry) in enumerate(_answered(captions, worker, settings), start=1):
            report.add(entry)
            file.write(json.dumps(line | _change(entry), ensure_ascii=False) + "\n")
            progress(done, total)
    write_json(report.to_dict(), out.with_name(REPORT))
    return report


def _change(entry: Entry) -> Entry:
    """Return what a rewrite changes about a line; each paragraph of it is one unit."""
    if entry["outcome"] != "rewritten":
        return {}
    units = [Sentence.of(paragraph) for paragraph in entry["text"].splitlines()]
    return {"text": joined(units), "sentences": as_records(units), "source": "rewritten"}


def _answered(
    captions: Path, worker: "_Worker", settings: RewriteSettings
) -> Iterator[tuple[Entry, Entry]]:
    """Captions with their entries, in order, some captions ahead at work."""
    waiting: deque[tuple[Entry, Future[Entry]]] = deque()
    with ThreadPoolExecutor(settings.concurrency) as pool:
        try:
            for line in read_caption_lines(captions):
                waiting.append((line, pool.submit(worker.entry, line)))
                if len(waiting) > _AHEAD * settings.concurrency:
                    yield _first(waiting, worker)
            while waiting:
                yield _first(waiting, worker)
        except BaseException:
            worker.stopped = True
            pool.shutdown(cancel_futures=True)
            raise


def _first(waiting: "deque[tuple[Entry, Future[Entry]]]", worker: "_Worker") -> tuple[Entry, Entry]:
    line, future = waiting.popleft()
    entry = future.result()
    worker.count_failure(entry)
    return line, entry


@dataclass
class _Worker:
    """Gets the entry of one caption: from the journal, or by asking."""

    settings: RewriteSettings
    networks: tuple[str, ...]
    identifiers: Ids
    seed: int
    journal: Journal
    endpoint: Endpoint | None = None
    stopped: bool = False
    _in_a_row: int = field(default=0)

    def must_ask(self, line: Entry) -> bool:
        """Whether the caption needs the endpoint."""
        return self._is_wanted(line) and self._key(line) not in self.journal

    def entry(self, line: Entry) -> Entry:
        """Return what became of a caption; asks unless the journal knows."""
        if not self._is_wanted(line):
            return {"outcome": "not asked"}
        try:
            source = without_ids(
                line["text"], [line["scan_id"], *self.identifiers(line["scan_id"])]
            )
            read_facts(source, self.networks)
        except WithheldError:
            return {"outcome": "withheld"}
        except UnreadableError:
            return {"outcome": "unreadable"}
        key = self._key(line)
        if key in self.journal:
            return self.journal[key]
        try:
            entry = self._ask(source)
        except NoAnswerError as error:
            # Not journaled: a run that starts again asks once more.
            return {"outcome": "failed", "cause": str(error)}
        except InputError:
            self.stopped = True
            raise
        self.journal.add(key, entry)
        return entry

    def count_failure(self, entry: Entry) -> None:
        """Raise InputError if too many captions in a row had no answer."""
        self._in_a_row = self._in_a_row + 1 if entry["outcome"] == "failed" else 0
        if self._in_a_row >= self.settings.failures_in_a_row:
            raise InputError(
                f"rewrite: {self._in_a_row} captions in a row without an answer (last: "
                f"{entry['cause']}); look after the endpoint and run again: answers are kept"
            )

    def _ask(self, source: str) -> Entry:
        entry: Entry = {"answers": 0, "refusals": [], "tokens_in": 0, "tokens_out": 0}
        digest = hashlib.sha256(source.encode()).hexdigest()
        for attempt in range(self.settings.tries):
            answer = self._answer(source, attempt, digest)
            entry["answers"] += 1
            entry["tokens_in"] += answer.tokens_in
            entry["tokens_out"] += answer.tokens_out
            text = prompt.cleaned(answer.text, self.networks)
            refusal = self._refusal(source, text, answer)
            if refusal is None:
                return entry | {"outcome": "rewritten", "text": text}
            entry["refusals"].append(refusal.kind)
        return entry | {"outcome": "refused"}

    def _answer(self, source: str, attempt: int, digest: str) -> Answer:
        if self.endpoint is None or self.stopped:
            raise NoAnswerError("stopped")
        # The seed depends on what is sent anyway, and so reveals nothing about the scan.
        seed = int(key_of(self.seed, digest, attempt)[:7], 16)
        temperature = self.settings.temperature + attempt * self.settings.temperature_step
        return self.endpoint.ask(prompt.messages(source), round(temperature, 6), seed)

    def _refusal(self, source: str, text: str, answer: Answer) -> Refusal | None:
        if answer.cut_off:
            return Refusal("cut off", f"{answer.tokens_out} tokens")
        if text == prompt.cleaned(source, self.networks):
            return Refusal("unchanged", text[:40])
        return check_rewrite(source, text, self.networks, self.settings.extra_words)

    def _is_wanted(self, line: Mapping[str, Any]) -> bool:
        return not self.settings.domains or line["domain"] in self.settings.domains

    def _key(self, line: Mapping[str, Any]) -> str:
        s = self.settings
        asked = (s.base_url, s.model, s.max_tokens, prompt.VERSION, self.seed)
        tried = (s.tries, s.temperature, s.temperature_step, list(s.extra_words), self.networks)
        return key_of(line["scan_id"], line["domain"], line["text"], asked, tried)
