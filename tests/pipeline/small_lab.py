"""A lab so small that every stage of a run takes a moment: random series, a random model."""

from pathlib import Path

import numpy as np

N_SUBJECTS, N_FRAMES, N_REGIONS = 10, 96, 12

RECIPE = """\
seed: 5
source: scans.tsv
text: prose
tasks: tasks.yaml
cohort:
  parcellation: regions.tsv
  test_subjects: [p6, p7, p8]
  validation_subjects: [p9]
describe:
  features: {ica_components: 4, louvain_runs: 1}
fit-tokenizer:
  n_frames: 32
  patch_frames: 16
  n_codes: 8
  text_tokens: 8
  caption_tokens: 16
  training: {steps: 3, batch_size: 2, checkpoint_every: 1, evaluate_every: 2, log_every: 1}
fit-llm:
  max_windows: 1
  text_tokens: 16
  corpus_tokens: 16
  validation_examples: 1
  loop: {steps: 3, batch_size: 1, checkpoint_every: 1, evaluate_every: 2, log_every: 1}
make-instructions: {variants: 1}
tune:
  conversations: 1
  validation_examples: 1
  loop: {steps: 3, batch_size: 1, checkpoint_every: 1, evaluate_every: 2, log_every: 1}
evaluate: {max_new_tokens: 2, resamples: 20}
"""

TASKS = """\
schema: 1
tasks:
  group:
    title: group
    answers: [left, right]
    label:
      phenotype: group
    questions: ["Is this person of the left or of the right group?"]
    statements: ["This person is of the {answer} group."]
"""


def write_lab(folder: Path) -> Path:
    """Write scans, regions, tasks, prose and the recipe that names them; the recipe's path."""
    folder.mkdir()
    rows = [["scan_id", "subject", "tr", "path", "group"]]
    for i in range(N_SUBJECTS):
        series = np.random.default_rng(i).standard_normal((N_FRAMES, N_REGIONS)).cumsum(axis=0)
        np.save(folder / f"p{i}.npy", series)
        rows.append([f"s{i}", f"p{i}", "2", f"p{i}.npy", ("left", "right")[i % 2]])
    write_table(folder / "scans.tsv", rows)
    regions = [[f"region {k}", ("Motor", "Rest", "Sight")[k % 3]] for k in range(N_REGIONS)]
    write_table(folder / "regions.tsv", [["label", "network"], *regions])
    (folder / "tasks.yaml").write_text(TASKS)
    (folder / "prose").mkdir()
    for name in ("one", "two", "three"):
        (folder / "prose" / f"{name}.txt").write_text(f"The {name} of us went home. " * 40)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE)
    return recipe


def write_table(path: Path, rows: list[list[str]]) -> None:
    path.write_text("".join("\t".join(row) + "\n" for row in rows))


def write_model(folder: Path, words: Path) -> Path:
    """Write a two-layer language model of random weights over the words of another model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

    tokenizer = AutoTokenizer.from_pretrained(words)
    config = LlamaConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        vocab_size=len(tokenizer), max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
