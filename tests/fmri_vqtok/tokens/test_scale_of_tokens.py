"""What is written with the codes: scale of a scan, and covariance of its regions."""

import json

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, load_from_disk

from fmri_vqtok.config.stages import TokenizeSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.formats.cohort import Cohort
from fmri_vqtok.formats.tokens import TokenTable
from fmri_vqtok.processor import TimeSeriesProcessor
from fmri_vqtok.tokenizer import FMRITokenizer, FMRITokenizerConfig
from fmri_vqtok.tokens.dataset import write_tokens
from fmri_vqtok.tokens.encode_scan import encode_scan

SCALE = {"log_amplitude", "spectrum", "n_seconds", "tr"}


@pytest.fixture(scope="module")
def tokenizer_dir(tmp_path_factory, cohort_dir):
    """Tokenizer whose processor was fitted; windows of 50 frames have a step that is cut short."""
    torch.manual_seed(0)
    config = FMRITokenizerConfig(
        n_regions=6, n_frames=50, patch_frames=16, width=16, n_heads=2, encoder_depth=1,
        decoder_depth=1, n_codes=32, code_width=4,
    )  # fmt: skip
    training = list(Cohort(cohort_dir).scans("train"))
    processor = TimeSeriesProcessor(50, 2.0, windows="cover").fit(
        [scan.bold for scan in training], [2.0] * 4, [scan.site for scan in training]
    )
    directory = tmp_path_factory.mktemp("fitted")
    FMRITokenizer(config, processor, "six", "six-hash").save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def written(tmp_path_factory, cohort_dir, tokenizer_dir):
    """Function that gives the folder of tokens with some relations, each written once."""
    folders = {}

    def folder(relations):
        if relations not in folders:
            folders[relations] = tmp_path_factory.mktemp(relations)
            settings = TokenizeSettings(relations=relations, batch_size=3)
            write_tokens(cohort_dir, tokenizer_dir, folders[relations], settings)
        return folders[relations]

    return folder


def files(directory):
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_scale_that_is_read_back_is_that_of_the_processor(
    written, cohort_dir, tokenizer_dir, split
):
    processor = FMRITokenizer.from_pretrained(tokenizer_dir).processor
    table = TokenTable.read(written("codes"), split)
    for scan in Cohort(cohort_dir).scans(split):
        found = table.scale(scan.scan_id)
        expected = processor.scale(scan.bold, scan.tr, scan.site)
        assert np.array_equal(found.log_amplitude, expected.log_amplitude)
        assert np.array_equal(found.spectrum, expected.spectrum)
        assert (found.n_seconds, found.tr) == (320.0, 2.0)
        assert table.covariance(scan.scan_id) is None


def test_every_window_of_a_scan_has_its_scale(written):
    rows = load_from_disk(str(written("codes")))["train"]
    of_scan = {}
    for row in rows:
        of_scan.setdefault(row["scan_id"], []).append([row[name] for name in sorted(SCALE)])
    assert {len(facts) for facts in of_scan.values()} == {4}
    for facts in of_scan.values():
        assert facts == [facts[0]] * 4
    assert len({str(facts[0]) for facts in of_scan.values()}) == 4


def test_the_amplitude_of_a_cohort_is_in_the_units_of_the_recordings(tmp_path, cohort_dir):
    # The same standardised series, of which one recording was three times as strong.
    rows = [dict(row) for row in load_from_disk(str(cohort_dir))["train"].select([0, 0])]
    for k, row in enumerate(rows):
        row |= {"scan_id": f"scan-{k}", "std": [[[100.0], [300.0]][k] * 6]}
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(str(tmp_path))
    (tmp_path / "cohort.json").write_text((cohort_dir / "cohort.json").read_text())
    scans = list(Cohort(tmp_path).scans("train"))
    processor = TimeSeriesProcessor(50, 2.0).fit(
        [scan.bold for scan in scans], [2.0] * 2, units=[scan.unit for scan in scans]
    )
    found = [processor.scale(scan.bold, 2.0, unit=scan.unit).log_amplitude for scan in scans]
    assert found[1] == pytest.approx(np.log(3) / 2, abs=1e-5)
    assert found[0] == pytest.approx(-np.log(3) / 2, abs=1e-5)


def test_the_covariance_of_the_recording_is_numpys_over_all_frames_of_the_windows(
    written, cohort_dir, tokenizer_dir
):
    processor = FMRITokenizer.from_pretrained(tokenizer_dir).processor
    table = TokenTable.read(written("recording"), "test")
    for scan in Cohort(cohort_dir).scans("test"):
        windows, _ = processor(scan.bold, scan.tr, scan.site)
        frames = windows.numpy().reshape(-1, 6)
        assert len(frames) == 4 * 50  # the last window overlaps
        covariance = table.covariance(scan.scan_id)
        assert covariance == pytest.approx(frames.T @ frames / 200, abs=1e-4)
        assert not covariance[1].any()  # the missing region
        assert covariance[0, 0] > 0.1


def test_the_covariance_of_latents_is_that_of_coordinates_before_quantization(
    written, cohort_dir, tokenizer_dir
):
    tokenizer = FMRITokenizer.from_pretrained(tokenizer_dir)
    head = {name: value.numpy() for name, value in tokenizer.to_coefficients.state_dict().items()}
    table = TokenTable.read(written("latents"), "test")
    for scan in Cohort(cohort_dir).scans("test"):
        windows, mask = tokenizer.processor(scan.bold, scan.tr, scan.site)
        with torch.no_grad():
            latents = tokenizer.embed(windows, "patch", mask).numpy()
        series = np.moveaxis(latents @ head["weight"].T + head["bias"], 2, 0).reshape(6, -1)
        series[1] = 0.0  # the missing region
        expected = series @ series.T / series.shape[1]
        assert table.covariance(scan.scan_id) == pytest.approx(expected, abs=1e-4)
        assert expected[0, 0] > 0.1


def test_only_the_first_window_holds_the_covariance(written):
    for row in load_from_disk(str(written("recording")))["train"]:
        assert (row["covariance"] is not None) == (row["window"] == 0)


@pytest.mark.parametrize("relations", ["codes", "latents", "recording"])
def test_the_record_says_what_relations_are_computed_from(written, relations):
    assert json.loads((written(relations) / "tokens.json").read_text())["relations"] == relations


def test_relations_change_no_code(written):
    codes = [load_from_disk(str(written(of)))["test"]["codes"][:] for of in ("codes", "recording")]
    assert codes[0] == codes[1]


def test_shards_and_processes_change_no_byte_of_scale_and_covariance(
    tmp_path, written, cohort_dir, tokenizer_dir
):
    settings = TokenizeSettings(relations="recording", batch_size=3, shard_scans=2, n_jobs=2)
    write_tokens(cohort_dir, tokenizer_dir, tmp_path, settings)
    assert files(tmp_path) == files(written("recording"))


def test_a_single_scan_is_encoded_as_it_is_written(written, cohort_dir, tokenizer_dir):
    tokenizer = FMRITokenizer.from_pretrained(tokenizer_dir)
    table = TokenTable.read(written("recording"), "test")
    scan = next(Cohort(cohort_dir).scans("test"))
    encoded = encode_scan(
        tokenizer, scan.bold, scan.tr, scan.site, relations="recording", batch_size=3
    )
    for found, expected in zip(encoded[:3], table.windows(scan.scan_id), strict=True):
        assert np.array_equal(found, expected)
    assert np.array_equal(encoded.covariance, table.covariance(scan.scan_id))
    assert np.array_equal(encoded.scale.log_amplitude, table.scale(scan.scan_id).log_amplitude)


def test_tokens_of_a_processor_without_amplitudes_have_no_scale(
    tmp_path, cohort_dir, tokenizer_dir
):
    old = FMRITokenizer.from_pretrained(tokenizer_dir)
    old.processor.pooled_log_amplitude_ = None
    old.save_pretrained(tmp_path / "old")
    (tmp_path / "tokens").mkdir()
    write_tokens(cohort_dir, tmp_path / "old", tmp_path / "tokens", TokenizeSettings())
    table = TokenTable.read(tmp_path / "tokens", "test")
    assert table.scale(table.scan_ids[0]) is None
    assert not SCALE & set(load_from_disk(str(tmp_path / "tokens"))["test"].column_names)


def test_tokens_that_were_written_without_scale_and_covariance_are_read(tmp_path):
    row = {"scan_id": "a", "window": 0, "codes": [[1, 2]], "mask": [True, True]}
    DatasetDict({"test": Dataset.from_list([row])}).save_to_disk(str(tmp_path))
    table = TokenTable.read(tmp_path, "test")
    assert (table.scale("a"), table.covariance("a")) == (None, None)


def test_a_scan_is_not_encoded_without_a_processor(make_tokenizer):
    tokenizer = make_tokenizer()
    tokenizer.processor = None
    with pytest.raises(InputError, match="it has no processor; fit it with `fmri fit-tokenizer`"):
        encode_scan(tokenizer, np.zeros((30, 5)), 2.0)
