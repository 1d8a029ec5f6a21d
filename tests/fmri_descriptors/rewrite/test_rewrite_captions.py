"""Captions through a real server: what is used, what stays, what is sent, and going on after."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from fmri_descriptors import InputError, rewrite_captions
from fmri_descriptors.rewrite import rewrite_described


@pytest.fixture
def rewrite(tmp_path, aal2):
    """Rewrite captions, and return the report, the lines and the content of rewriting.json."""

    def run(captions, settings, **options):
        out = tmp_path / "captions.jsonl"
        options = {"networks": aal2.network_names, "workspace": tmp_path / "work"} | options
        report = rewrite_captions(captions, out, settings, **options)
        lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        return report, lines, json.loads((tmp_path / "rewriting.json").read_text())

    return run


def test_a_rewrite_that_passes_replaces_the_text(chat_server, captions, rewrite, prose):
    _, lines, _ = rewrite(captions(1), chat_server.settings())
    unit = {"text": prose, "standalone": True}
    assert lines == [
        {
            "scan_id": "sub-00",
            "domain": "graph",
            "text": prose,
            "source": "rewritten",
            "sentences": [unit],
        }
    ]


def test_every_line_is_kept_in_its_order(chat_server, captions, rewrite, prose):
    chat_server.script = lambda n, body: prose if n % 2 else "Nothing of note."
    settings = chat_server.settings(concurrency=3, tries=1)
    _, lines, _ = rewrite(captions(7), settings)
    assert [line["scan_id"] for line in lines] == [f"sub-{i:02d}" for i in range(7)]


def test_a_refused_rewrite_is_asked_for_again_with_another_seed_and_temperature(
    chat_server, captions, rewrite, prose
):
    chat_server.script = lambda n, body: prose if n else prose.replace("0.27", "0.3")
    _, lines, _ = rewrite(captions(1), chat_server.settings())
    first, second = (request.body for request in chat_server.requests)
    assert lines[0]["source"] == "rewritten"
    assert first["seed"] != second["seed"]
    assert first["temperature"] < second["temperature"]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda text: text.replace(" (z = 0.32)", ""), "number lost"),
        (lambda text: text.replace("below", "above"), "direction"),
        (lambda text: f"{text} This points to dementia.", "word added"),
        (lambda text: "", "number lost"),
    ],
)
def test_where_no_try_passes_the_template_text_stays_and_is_counted(
    chat_server, captions, rewrite, prose, graph, change, kind
):
    chat_server.script = lambda n, body: change(prose)
    _, lines, record = rewrite(captions(1), chat_server.settings(tries=2))
    assert (lines[0]["text"], lines[0]["source"]) == (graph, "template")
    assert record["outcomes"]["refused"] == 1
    assert record["refusals"] == {kind: 2}


def test_the_source_given_back_is_no_rewrite(chat_server, captions, rewrite):
    chat_server.script = lambda n, body: body["messages"][-1]["content"]
    report, lines, _ = rewrite(captions(1), chat_server.settings(tries=1))
    assert lines[0]["source"] == "template"
    assert report.refusals == {"unchanged": 1}


def test_an_answer_that_was_cut_off_is_refused(chat_server, captions, rewrite, prose, completion):
    chat_server.script = lambda n, body: (200, {}, completion(prose, finish="length"))
    report, _, _ = rewrite(captions(1), chat_server.settings(tries=1))
    assert report.refusals == {"cut off": 1}


def test_captions_of_other_domains_are_not_asked_for(chat_server, captions, rewrite, graph):
    report, lines, _ = rewrite(captions(2), chat_server.settings(domains=("FC",)))
    assert chat_server.requests == []
    assert report.outcomes["not asked"] == 2
    assert lines[0]["text"] == graph


def test_tokens_and_cost_are_counted(chat_server, captions, rewrite):
    _, _, record = rewrite(captions(4), chat_server.settings(price_in=1.0, price_out=10.0))
    assert (record["tokens_in"], record["tokens_out"]) == (400, 200)
    assert record["cost"] == pytest.approx((400 * 1 + 200 * 10) / 1e6)


def test_without_prices_there_is_no_cost(chat_server, captions, rewrite):
    assert rewrite(captions(1), chat_server.settings())[2]["cost"] is None


def test_nothing_that_identifies_a_subject_is_sent(chat_server, captions, rewrite, graph):
    named = f"{graph} Scan sub-00 of OLEANDER_17 at Ward-Nine, session ses-April."
    chat_server.script = lambda n, body: 500
    rewrite(
        captions(1, text=named),
        chat_server.settings(max_retries=0, tries=1),
        identifiers=lambda scan_id: ("OLEANDER_17", "ses-April", "Ward-Nine", None),
    )
    [request] = chat_server.requests
    everything = f"{request.path} {request.headers} {request.raw}".lower()
    assert "modularity is 0.27" in everything
    for known in ("sub-00", "oleander_17", "ses-april", "ward-nine"):
        assert known not in everything


def test_requests_for_the_same_text_of_two_scans_differ_in_nothing(chat_server, captions, rewrite):
    rewrite(captions(2), chat_server.settings())
    first, second = chat_server.requests
    assert first.raw == second.raw


def test_a_text_whose_id_may_be_a_count_is_not_sent(chat_server, captions, rewrite):
    text = "fALFF is within the typical range for 33 other pairs."
    report, lines, _ = rewrite(
        captions(1, text=text), chat_server.settings(), identifiers=lambda _: ("33",)
    )
    assert chat_server.requests == []
    assert report.outcomes["withheld"] == 1
    assert lines[0]["text"] == text


def test_a_text_that_the_check_cannot_read_is_not_sent(chat_server, captions, rewrite):
    text = "fALFF is above the typical range in Visual, below the typical range in Parietal."
    report, lines, _ = rewrite(captions(1, text=text), chat_server.settings())
    assert chat_server.requests == []
    assert report.outcomes["unreadable"] == 1
    assert lines[0]["source"] == "template"


def test_the_key_is_sent_and_written_nowhere(chat_server, captions, rewrite, tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_KEY", "sk-most-secret")
    rewrite(captions(1), chat_server.settings(api_key_variable="LAB_KEY"))
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    headers = {name.lower(): value for name, value in chat_server.requests[0].headers.items()}
    assert headers["authorization"] == "Bearer sk-most-secret"
    assert b"sk-most-secret" not in written


def test_a_second_run_asks_for_nothing_and_writes_the_same_bytes(
    chat_server, captions, rewrite, tmp_path, prose
):
    chat_server.script = lambda n, body: prose if n % 3 else "No."
    source = captions(4)
    names = ("captions.jsonl", "rewriting.json")
    rewrite(source, chat_server.settings())
    first, asked = [(tmp_path / name).read_bytes() for name in names], len(chat_server.requests)
    rewrite(source, chat_server.settings())
    assert len(chat_server.requests) == asked
    assert [(tmp_path / name).read_bytes() for name in names] == first


def test_another_seed_asks_again(chat_server, captions, rewrite):
    source = captions(2)
    rewrite(source, chat_server.settings())
    rewrite(source, chat_server.settings(), seed=1)
    assert len(chat_server.requests) == 4


def test_a_journal_whose_last_line_was_cut_short_loses_that_line_alone(
    chat_server, captions, rewrite, tmp_path
):
    source = captions(3)
    rewrite(source, chat_server.settings())
    journal = tmp_path / "work" / "rewriting.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    _, lines, _ = rewrite(source, chat_server.settings())
    assert len(chat_server.requests) == 4
    assert [line["source"] for line in lines] == ["rewritten"] * 3


KILLED_RUN = """
import sys
from pathlib import Path
from fmri_descriptors import RewriteSettings, rewrite_captions
source, out, url, *networks = sys.argv[1:]
settings = RewriteSettings(base_url=url, model="writer", concurrency=2)
rewrite_captions(Path(source), Path(out), settings, networks=networks,
                 workspace=Path(out).parent / "work")
"""


def test_a_run_that_is_killed_asks_only_for_the_rest_and_ends_in_the_same_bytes(
    chat_server, captions, rewrite, tmp_path, aal2, prose
):
    def slow(n, body):
        time.sleep(0.02)
        return prose

    source, whole = captions(20), tmp_path / "whole"
    whole.mkdir()
    chat_server.script = slow
    rewrite_captions(
        source,
        whole / "captions.jsonl",
        chat_server.settings(concurrency=2),
        networks=aal2.network_names,
        workspace=whole / "work",
    )
    chat_server.requests.clear()
    out = tmp_path / "killed" / "captions.jsonl"
    out.parent.mkdir()
    command = [sys.executable, "-c", KILLED_RUN, str(source), str(out), chat_server.url]
    process = subprocess.Popen([*command, *aal2.network_names])
    while len(chat_server.requests) < 8:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    journaled = len((out.parent / "work" / "rewriting.jsonl").read_text().splitlines())
    chat_server.requests.clear()
    subprocess.run([*command, *aal2.network_names], check=True)
    assert len(chat_server.requests) == 20 - journaled
    for name in ("captions.jsonl", "rewriting.json"):
        assert (out.parent / name).read_bytes() == (whole / name).read_bytes()


def test_damaged_captions_are_one_clear_line(chat_server, captions, rewrite):
    source = captions(2)
    source.write_text(source.read_text() + '{"scan_id": 3}\n')
    with pytest.raises(InputError, match=r"line 3 is no caption; describe the cohort again$"):
        rewrite(source, chat_server.settings())


def joined_text(line):
    return " ".join(sentence["text"] for sentence in line["sentences"])


def test_a_described_cohort_is_rewritten_in_place(chat_server, cohort_dir, described_dir, tmp_path):
    from fmri_descriptors import read_cohort

    source = (described_dir / "captions.jsonl").read_bytes()
    (tmp_path / "captions.jsonl").write_bytes(source)
    chat_server.script = lambda n, body: f"In this scan:\n{body['messages'][-1]['content']}"
    report = rewrite_described(
        read_cohort(cohort_dir), tmp_path, chat_server.settings(), workspace=tmp_path / "work"
    )
    text = (tmp_path / "captions.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert report.outcomes["rewritten"] == len(lines) == 60
    assert all(line["sentences"][0]["text"] == "In this scan:" for line in lines)
    assert all(joined_text(line) == line["text"] for line in lines)
