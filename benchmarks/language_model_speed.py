"""What short brain input and cached prefixes save: three ratios, each against the plain way.

1. A step of training on answers about scans of 450 regions and five time steps: text that attends
   to tokens about the whole scan, beside the same model whose text attends to one token for each
   region and time step.
2. A step on cached codes, beside a step that encodes the signal first and takes two passes over the
   brain, one for the answers and one for the next code.
3. The likelihoods of 4 answers to each of 10 questions about one scan after one cached prefix,
   beside a whole pass for each answer. Both must agree to 1e-4.

The base is SmolLM2-135M-Instruct cut to its first layers, in float32. The two sides of a ratio take
turns, and the shortest time of each counts.

    OMP_NUM_THREADS=2 python benchmarks/language_model_speed.py
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from fmri_llm import FMRILM, BrainInputSettings, LossWeights
from fmri_llm.base_model import chat, locate
from fmri_llm.brain_input.scans import BrainScans
from fmri_llm.packing import sequences
from fmri_llm.packing.sequences import TextSegment
from fmri_vqtok import FMRITokenizer, FMRITokenizerConfig

BASE = "smollm2-135m-instruct"
N_REGIONS, N_FRAMES, PATCH_FRAMES = 450, 160, 32
NETWORKS = tuple(f"network {n % 8}" for n in range(N_REGIONS))
QUESTIONS = [f"Is measure {k} of this scan above or below average?" for k in range(10)]
ANSWERS = ["above", "below", "within the typical range", "not known"]


def cut_base(n_layers: int, folder: Path) -> Path:
    """Write the base's first layers into a folder."""
    source = locate.resolve(BASE)
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    model.model.layers = model.model.layers[:n_layers]
    model.config.num_hidden_layers = n_layers
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = model.config.layer_types[:n_layers]
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folder


def make_model(base: Path, **brain: bool) -> FMRILM:
    """Model on a random brain tokenizer; text sees signal tokens only where asked for."""
    torch.manual_seed(0)
    config = FMRITokenizerConfig.preset(
        "tiny",
        n_regions=N_REGIONS,
        n_frames=N_FRAMES,
        patch_frames=PATCH_FRAMES,
        text_space=BASE,
        text_width=576,
    )
    tokenizer = FMRITokenizer(config).eval()
    tokenizer.networks = NETWORKS
    return FMRILM.from_base(base, tokenizer, name=BASE, brain=BrainInputSettings(**brain))


def answers_batch(model: FMRILM, codes: torch.Tensor) -> dict[str, torch.Tensor]:
    """Questions about each scan of a batch with their answers, packed."""
    rows = []
    for _ in codes:
        row = []
        for question in QUESTIONS[:4]:
            prompt, answers = chat.encode_answers(
                model.text_tokenizer, chat.question(question), ANSWERS[:1]
            )
            row.append(TextSegment(ids=prompt + answers[0], n_given=len(prompt)))
        rows.append(row)
    scans = vars(BrainScans.of(codes))
    given = {name: value for name, value in scans.items() if value is not None}
    return {**given, **sequences.pack(rows)._asdict()}


def step(model: FMRILM, batch: dict[str, torch.Tensor], weights: LossWeights) -> None:
    """Forward and backward pass."""
    model.train()
    model.loss_weights = weights
    model(**batch)["loss"].backward()
    model.zero_grad()


def best_of_turns(sides: dict[str, Callable[[], None]], turns: int) -> dict[str, float]:
    """Shortest time of each side in seconds, the sides taking turns."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: min(values) for name, values in times.items()}


def report(title: str, times: dict[str, float], wanted: float) -> None:
    """Print both times and their ratio; the first side is ours."""
    (ours, fast), (theirs, slow) = times.items()
    found = f"{ours} {fast:.3f} s, {theirs} {slow:.3f} s, ratio {slow / fast:.1f}"
    print(f"{title}: {found} (wanted {wanted})")


def short_input(base: Path, turns: int, n_scans: int) -> None:
    """Ratio 1: what text attends to."""
    answers = LossWeights(f2t=1, f2f=0, t2t=0, questions=0)
    models = {
        "tokens about the scan": make_model(base),
        "W x N signal tokens": make_model(
            base, text_reads_signal=True, relation_tokens=0, scale_tokens=0
        ),
    }
    codes = torch.randint(0, models["W x N signal tokens"].brain_tokenizer.config.n_codes,
                          (n_scans, N_FRAMES // PATCH_FRAMES, N_REGIONS))  # fmt: skip
    sides = {
        name: (lambda model=model: step(model, answers_batch(model, codes), answers))
        for name, model in models.items()
    }
    report("step on answers", best_of_turns(sides, turns), 5)


def cached_codes(base: Path, turns: int, n_scans: int) -> None:
    """Ratio 2: codes read from disk beside encoding on the fly."""
    model = make_model(base, text_reads_signal=True)
    signal = torch.randn(n_scans, N_FRAMES, N_REGIONS)
    with torch.no_grad():
        codes = model.brain_tokenizer.encode(signal).codes
    both = LossWeights(f2t=1, f2f=0.1, t2t=0, questions=0)

    def on_the_fly() -> None:
        with torch.no_grad():
            fresh = model.brain_tokenizer.encode(signal).codes
        batch = answers_batch(model, fresh)
        step(model, batch, LossWeights(f2t=1, f2f=0, t2t=0, questions=0))
        step(model, batch, LossWeights(f2t=0, f2f=0.1, t2t=0, questions=0))

    sides = {
        "cached codes": lambda: step(model, answers_batch(model, codes), both),
        "encoded, two passes": on_the_fly,
    }
    report("step on answers and next codes", best_of_turns(sides, turns), 1.8)


def scored_answers(base: Path, turns: int) -> None:
    """Ratio 3: answers after one cached prefix beside a whole pass each."""
    model = make_model(base, text_reads_signal=True)
    codes = torch.randint(0, model.brain_tokenizer.config.n_codes, (1, 5, N_REGIONS))
    prompts = [chat.question(question) for question in QUESTIONS]

    def cached() -> torch.Tensor:
        return model.score_answers(codes, prompts, ANSWERS)

    @torch.no_grad()
    def whole() -> torch.Tensor:
        block = model.block_for_text(model.checked(codes, None))
        scores = []
        for prompt in prompts:
            ids, answers = chat.encode_answers(model.text_tokenizer, prompt, ANSWERS)
            for answer in answers:
                text = sequences.pack([[TextSegment(ids=ids + answer)]])
                columns = torch.arange(len(ids) - 1, len(ids) + len(answer) - 1)
                logits = model.forward_packed(block, text, columns).logits[0]
                scores.append(logits.log_softmax(-1)[range(len(answer)), answer].sum())
        return torch.stack(scores).view(len(prompts), len(ANSWERS))

    difference = float((cached() - whole()).abs().max())
    print(f"largest difference of a log-likelihood: {difference:.1e} (wanted 1e-4)")
    times = best_of_turns({"cached": cached, "whole passes": whole}, turns)
    report("40 answers about a scan", times, 8)


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--scans", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = cut_base(arguments.layers, Path(folder))
        short_input(base, arguments.turns, arguments.scans)
        cached_codes(base, arguments.turns, arguments.scans)
        scored_answers(base, arguments.turns)


if __name__ == "__main__":
    main()
