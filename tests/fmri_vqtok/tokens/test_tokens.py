import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from datasets import load_from_disk

from fmri_vqtok.config.stages import TokenizeSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.cohort import Cohort
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.tokenizer import FMRITokenizer, FMRITokenizerConfig
from fmri_vqtok.tokens.dataset import check_tokens_of, write_tokens
from fmri_vqtok.tokens.shards import ScanEncoder, make_shards, plan_shards


@pytest.fixture(scope="module")
def tokenizer_dir(tmp_path_factory):
    return save_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def save_tokenizer(directory, order_hash="six-hash", processor=True):
    torch.manual_seed(0)
    config = FMRITokenizerConfig(
        n_regions=6, n_frames=48, patch_frames=16, width=16, n_heads=2, encoder_depth=1,
        decoder_depth=1, n_codes=32, code_width=4,
    )  # fmt: skip
    made = TimeSeriesProcessor(48, 2.0) if processor else None
    FMRITokenizer(config, made, "six", order_hash).save_pretrained(directory)
    return directory


def files(directory):
    paths = sorted(path for path in Path(directory).rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


def test_each_row_holds_the_codes_of_its_window(tmp_path, cohort_dir, tokenizer_dir):
    summary = write_tokens(cohort_dir, tokenizer_dir, tmp_path, TokenizeSettings(batch_size=2))
    tokenizer = FMRITokenizer.from_pretrained(tokenizer_dir)
    written = load_from_disk(str(tmp_path))
    assert summary == "21 windows of 7 scans, 3 x 6 codes each"
    assert set(written) == {"train", "validation", "test"}
    for split in written:
        rows = {(row["scan_id"], row["window"]): row for row in written[split]}
        for scan in Cohort(cohort_dir).scans(split):
            windows, mask = tokenizer.processor(scan.bold, scan.tr, scan.site)
            for k, grid in enumerate(tokenizer.encode(windows, mask).codes.tolist()):
                row = rows.pop((scan.scan_id, k))
                assert (row["codes"], row["mask"]) == (grid, mask.tolist())
        assert not rows


def test_the_mask_of_a_missing_region_travels_with_the_codes(tmp_path, cohort_dir, tokenizer_dir):
    write_tokens(cohort_dir, tokenizer_dir, tmp_path, TokenizeSettings())
    masks = load_from_disk(str(tmp_path))["test"]["mask"]
    assert all(mask == [True, False, True, True, True, True] for mask in masks)


def test_the_same_inputs_give_the_same_bytes(tmp_path, cohort_dir, tokenizer_dir):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_tokens(cohort_dir, tokenizer_dir, tmp_path / name, TokenizeSettings())
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_the_description_names_the_sizes_and_the_region_order(tmp_path, cohort_dir, tokenizer_dir):
    write_tokens(cohort_dir, tokenizer_dir, tmp_path, TokenizeSettings())
    description = json.loads((tmp_path / "tokens.json").read_text())
    assert description.pop("tokenizer")
    assert description == {
        "schema": 1,
        "order_hash": "six-hash",
        "n_codes": 32,
        "n_steps": 3,
        "n_regions": 6,
        "temporal_attention": "causal",
        "relations": "codes",
        "interpolated_scans": [],
    }


def test_tokens_are_let_through_by_the_tokenizer_that_made_them(
    tmp_path, cohort_dir, tokenizer_dir
):
    write_tokens(cohort_dir, tokenizer_dir, tmp_path, TokenizeSettings())
    tokenizer = FMRITokenizer.from_pretrained(tokenizer_dir)
    check_tokens_of(tmp_path, tokenizer)
    row = load_from_disk(str(tmp_path))["train"][0]
    scans = {scan.scan_id: scan for scan in Cohort(cohort_dir).scans("train")}
    scan = scans[row["scan_id"]]
    window = tokenizer.processor(scan.bold, scan.tr, scan.site)[0][[row["window"]]]
    decoded = tokenizer.decode(torch.tensor([row["codes"]]))
    assert torch.equal(decoded, tokenizer.decode(tokenizer.encode(window).codes))


def test_tokens_of_a_tokenizer_with_another_codebook_are_refused(
    tmp_path, cohort_dir, tokenizer_dir
):
    write_tokens(cohort_dir, tokenizer_dir, tmp_path, TokenizeSettings())
    other = FMRITokenizer.from_pretrained(tokenizer_dir)
    made_by = other.fingerprint
    other.quantizer.codebook[3, 0] += 1e-3
    with pytest.raises(InputError, match=f"tokenizer {made_by}, but this is .*{other.fingerprint}"):
        check_tokens_of(tmp_path, other)


def test_tokens_without_a_tokenizer_fingerprint_are_refused(tmp_path, tokenizer_dir):
    record = {"schema": 1, "order_hash": "h", "n_codes": 32, "n_steps": 3, "n_regions": 6}
    (tmp_path / "tokens.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="made by tokenizer None"):
        check_tokens_of(tmp_path, FMRITokenizer.from_pretrained(tokenizer_dir))


def test_the_fingerprint_is_that_of_the_written_files(tokenizer_dir):
    written = b"".join(
        (tokenizer_dir / name).read_bytes() for name in ("config.json", "model.safetensors")
    )
    fingerprint = FMRITokenizer.from_pretrained(tokenizer_dir).fingerprint
    assert fingerprint == hashlib.sha256(written).hexdigest()[:16]


def test_another_processor_gives_another_fingerprint(tokenizer_dir):
    tokenizer = FMRITokenizer.from_pretrained(tokenizer_dir)
    before = tokenizer.fingerprint
    tokenizer.processor.pooled_scale_ *= 2
    assert tokenizer.fingerprint != before


def test_a_tokenizer_of_another_region_order_is_refused(tmp_path, cohort_dir):
    save_tokenizer(tmp_path, order_hash="other")
    with pytest.raises(InputError, match="region order other"):
        write_tokens(cohort_dir, tmp_path, tmp_path, TokenizeSettings())


def test_a_tokenizer_without_processor_is_refused(tmp_path, cohort_dir):
    save_tokenizer(tmp_path, processor=False)
    with pytest.raises(InputError, match="no processor"):
        write_tokens(cohort_dir, tmp_path, tmp_path, TokenizeSettings())


def make(folder, cohort_dir, tokenizer_dir, **settings):
    folder.mkdir(exist_ok=True)
    write_tokens(cohort_dir, tokenizer_dir, folder, TokenizeSettings(**settings))
    return files(folder)


@pytest.fixture(scope="module")
def at_once(tmp_path_factory, cohort_dir, tokenizer_dir):
    """Files of one process that makes one shard a split."""
    return make(tmp_path_factory.mktemp("once"), cohort_dir, tokenizer_dir)


def test_shards_change_no_byte_and_are_removed_at_the_end(
    tmp_path, cohort_dir, tokenizer_dir, at_once
):
    assert make(tmp_path, cohort_dir, tokenizer_dir, shard_scans=1) == at_once
    assert not [name for name in at_once if "checkpoints" in name]


def test_several_processes_write_the_same_bytes(tmp_path, cohort_dir, tokenizer_dir, at_once):
    done = make(tmp_path, cohort_dir, tokenizer_dir, shard_scans=2, n_jobs=2)
    assert done == at_once


def test_an_error_in_a_worker_is_that_of_a_single_process(tmp_path, write_cohort, tokenizer_dir):
    (tmp_path / "cohort").mkdir()
    cohort = write_cohort(tmp_path / "cohort", frames=1)
    messages = []
    for n_jobs in (1, 2):
        with pytest.raises(InputError, match="give frames by regions, with at least 2") as caught:
            make(tmp_path / str(n_jobs), cohort, tokenizer_dir, n_jobs=n_jobs)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


KILLED = """
import os, signal, sys, time
from pathlib import Path
from fmri_vqtok.tokens.shards import ScanEncoder

write = ScanEncoder.write

def slowly(self, shard):  # so that the last shard is not written before the first is heard of
    time.sleep(0.3)
    write(self, shard)

ScanEncoder.write = slowly

def progress(done, total):
    if done >= 3:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    from fmri_vqtok.config.stages import TokenizeSettings
    from fmri_vqtok.tokens.dataset import write_tokens

    settings = TokenizeSettings(shard_scans=1, n_jobs=2)
    write_tokens(*map(Path, sys.argv[1:]), settings, progress=progress)
"""


def test_a_killed_run_resumes_from_its_complete_shards_to_the_same_bytes(
    tmp_path, cohort_dir, tokenizer_dir, at_once, monkeypatch
):
    script, folder = tmp_path / "killed.py", tmp_path / "tokens"
    script.write_text(KILLED)
    folder.mkdir()
    command = [sys.executable, script, cohort_dir, tokenizer_dir, folder]
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    _assert_no_child_lives(script)
    whole = {path.name for path in (folder / "checkpoints").glob("*.arrow")}
    assert 3 <= len(whole) < 7
    (folder / "checkpoints" / "train-000000.part").write_bytes(b"half")
    written = []
    write = ScanEncoder.write

    def watched(self, shard):
        written.append(shard.path.name)
        write(self, shard)

    monkeypatch.setattr(ScanEncoder, "write", watched)
    write_tokens(cohort_dir, tokenizer_dir, folder, TokenizeSettings(shard_scans=1))
    assert len(written) == 7 - len(whole)
    assert not whole & set(written)
    assert files(folder) == at_once


def _assert_no_child_lives(script):
    """Workers of a process that was killed end by themselves."""

    def alive():
        lines = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
        return [line for line in lines if str(script) in " ".join(line)]

    for _ in range(100):
        if not alive():
            return
        time.sleep(0.1)
    pytest.fail(f"still there: {alive()}")


def test_shards_of_another_tokenizer_are_made_again(tmp_path, cohort_dir, tokenizer_dir, at_once):
    encoder = ScanEncoder(cohort_dir, tokenizer_dir, 16, "cpu")
    shards = plan_shards(encoder.cohort, tmp_path / "checkpoints", 16, {"tokenizer": "other"})
    list(make_shards(shards, encoder, 1))
    assert all(shard.is_complete() for shard in shards)
    own = plan_shards(encoder.cohort, tmp_path / "checkpoints", 16, {"tokenizer": "own"})
    assert not any(shard.is_complete() for shard in own)
    assert make(tmp_path, cohort_dir, tokenizer_dir) == at_once
