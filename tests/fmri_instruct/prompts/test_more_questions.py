"""Wordings that a language model writes at an endpoint, each checked before it is used."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from fmri_instruct.commands import _make_instructions
from fmri_instruct.prompts.endpoint import ask_endpoint
from fmri_instruct.prompts.instructions import read_instructions, read_tasks
from fmri_instruct.prompts.more_questions import refusal, with_more_questions
from fmri_instruct.settings import MakeInstructionsSettings, ParaphraseSettings
from fmri_instruct.tasks.ready import DEMO
from fmri_vqtok.errors import InputError

WRITER = ParaphraseSettings(model="writer", wordings=3, timeout_seconds=5.0)
CHAT = [{"role": "user", "content": "Hello"}]


def completion(words):
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": words}}]}).encode()


@pytest.fixture
def server():
    """A real HTTP server that answers every request with `status` and `content`."""
    told = SimpleNamespace(status=200, content=completion("Hi."), headers={}, requests=[])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.requests.append((self.path, dict(self.headers), body))
            self.send_response(told.status)
            for name, value in {"Content-Length": len(told.content), **told.headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(told.content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        told.url = f"http://127.0.0.1:{running.server_port}/v1"
        yield told
        running.shutdown()


def test_a_chat_is_sent_with_the_model_and_the_key_and_its_text_comes_back(server, monkeypatch):
    monkeypatch.setenv(WRITER.api_key_variable, "secret")

    assert ask_endpoint(server.url, CHAT, WRITER, seed=2**40 + 3) == "Hi."

    [(path, headers, body)] = server.requests
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert body == {"model": "writer", "messages": CHAT, "temperature": 0.7, "seed": 3}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 401}, "answers 401; set a valid key in the environment variable FMRI_PARA"),
        ({"status": 404}, "answers 404; correct the address, or paraphrase.model"),
        ({"status": 500}, "answers 500; look after the endpoint"),
        ({"status": 307, "headers": {"Location": "http://127.0.0.1:1/v1"}}, "sends on to another"),
        ({"content": b"<html>"}, "no answer in the form of OpenAI's"),
        ({"content": b'{"choices": [{"message": {"content": null}}]}'}, "answers without text"),
    ],
)
def test_an_answer_that_is_of_no_use_is_one_line_with_a_fix(server, answer, words):
    vars(server).update(answer)
    with pytest.raises(InputError, match=words):
        ask_endpoint(server.url, CHAT, WRITER, seed=0)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [("http://127.0.0.1:9/v1", "gives no answer .*start the server"), ("file:///v1", "give an ad")],
)
def test_an_address_that_nobody_answers_at_is_told(url, words):
    with pytest.raises(InputError, match=words):
        ask_endpoint(url, CHAT, WRITER, seed=0)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("Which age group is this participant in?", None),
        ("Give the participant's age group.", None),
        ("Is the age group of this person older?", "names an answer"),
        ("Which age group is {candidates}?", "placeholder"),
        ("<fmri> Which age group?", "placeholder"),
        ("Which sex is this person?", "off the topic"),
        ("What is the sex of the person?", "off the topic"),
        ("age group", "no sentence"),
        ("Which age group " + "really " * 40 + "is it?", "length"),
        ("WHICH age group does this person belong to?", "known"),
    ],
)
def test_a_wording_is_used_only_if_it_breaks_no_rule(tasks, question, reason):
    assert refusal(question, tasks[0], tasks[0].questions) == reason


def test_a_wording_names_no_answer_of_a_question_beside_it(tasks):
    wording = "How is the clustering of the older network?"
    assert refusal(wording, tasks[2], []) is None
    assert refusal(wording, tasks[2], [], tasks[:2]) == "names an answer"


def test_lines_are_taken_without_marks_and_no_more_than_asked_for(tasks):
    lines = ["1. Which age group is it?", "- “Name the age group.”", "", "Older or younger age?"]
    lines += ["Tell the age group.", "State the age group."]

    task, outcome = with_more_questions(tasks[0], 3, lambda _: "\n".join(lines))

    new = ("Which age group is it?", "Name the age group.", "Tell the age group.")
    assert task.questions == (*tasks[0].questions, *new)
    assert outcome == {"kept": 3, "names an answer": 1, "too many": 1}


def stage_of(directory, paraphrase):
    notes = {}
    return SimpleNamespace(
        directory=directory,
        settings=MakeInstructionsSettings(variants=12, paraphrase=paraphrase),
        seed=0,
        note=notes.update,
        notes=notes,
    )


def test_the_stage_asks_new_wordings_of_training_scans_alone(
    server, cohort_dir, descriptors_dir, tasks, tmp_path
):
    new = "How about the age group and the network strength and clustering of it?"
    server.content = completion(f"{new}\nIs it the older age group?")
    stage = stage_of(tmp_path, WRITER)

    told = _make_instructions(stage, cohort_dir, descriptors_dir, DEMO, server.url)

    assert told.endswith("; 3 more wordings of questions, 3 refused")
    assert stage.notes["paraphrases"]["kept"] == 3
    assert [task.questions[-1] for task in read_tasks(tmp_path)] == [new] * 3
    asked = {
        split: [new in str(each.messages) for each in read_instructions(tmp_path, split)]
        for split in ("train", "test")
    }
    assert any(asked["train"])
    assert not any(asked["test"])
    sent = json.dumps([body for _, _, body in server.requests])
    assert [scan for scan in read_instructions(tmp_path, "train") if scan.scan_id in sent] == []


def test_an_endpoint_without_a_model_is_refused(cohort_dir, descriptors_dir, tmp_path):
    with pytest.raises(InputError, match=r"paraphrase\.model: not given"):
        _make_instructions(
            stage_of(tmp_path, None), cohort_dir, descriptors_dir, DEMO, "http://localhost/v1"
        )
