import os
import shutil

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from fmri_vqtok.errors import InputError
from fmri_vqtok.settings import LoopSettings
from fmri_vqtok.training_loop import LossRecord, read_losses, train, write_losses

SETTINGS = LoopSettings(
    steps=20,
    batch_size=4,
    learning_rate=0.01,
    checkpoint_every=6,
    evaluate_every=7,
    log_every=4,
)


class Regression(nn.Module):
    """Two layers with dropout, so that a lost random state shows."""

    def __init__(self):
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(4, 8), nn.Dropout(0.3), nn.Linear(8, 1)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.fractions = []

    def set_progress(self, fraction):
        self.fractions.append(fraction)

    def forward(self, x, y):
        error = self.last(self.drop(self.first(self.frozen(x)).tanh()))[:, 0] - y
        return {"losses": {"mse": error.square().mean()}, "weights": {"mse": 2.0}}


class Sums(Dataset):
    def __init__(self, n_items):
        self.n_items, self.seen = n_items, []

    def __len__(self):
        return self.n_items

    def __getitem__(self, index):
        self.seen.append(index)
        x = torch.randn(4, generator=torch.Generator().manual_seed(index))
        return x, x.sum()


def collate(items):
    return {"x": torch.stack([x for x, _ in items]), "y": torch.stack([y for _, y in items])}


def run(directory, *, stop_at=None, settings=SETTINGS, seed=3, model=None, data=None):
    torch.manual_seed(0)
    model = model or Regression()

    def progress(done, total):
        if done == stop_at:
            raise KeyboardInterrupt

    data = data or Sums(settings.steps * settings.batch_size)
    arguments = model, data, Sums(10), collate, settings, directory
    return model.state_dict(), train(*arguments, seed=seed, progress=progress)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole"))


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("stop_at", [3, 13, 15, 20])
def test_a_run_that_was_stopped_and_goes_on_ends_with_the_same_bits(tmp_path, whole, stop_at):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop_at=stop_at)
    weights, records = run(tmp_path)
    assert same(weights, whole[0])
    assert records == whole[1]


def test_a_half_written_checkpoint_is_removed_and_not_gone_on_from(tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop_at=15)
    checkpoints = tmp_path / "checkpoints"
    shutil.copytree(checkpoints / "checkpoint-12", checkpoints / "checkpoint-14")
    os.truncate(checkpoints / "checkpoint-14" / "model.safetensors", 100)
    (checkpoints / "checkpoint-14" / "whole.json").unlink()
    weights, records = run(tmp_path)
    assert same(weights, whole[0])
    assert records == whole[1]
    assert not (checkpoints / "checkpoint-14").exists()


def test_a_finished_run_called_again_changes_nothing(tmp_path, whole):
    run(tmp_path)
    weights, records = run(tmp_path)
    assert same(weights, whole[0])
    assert records == whole[1]


def test_checkpoints_of_other_settings_are_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop_at=8)
    with pytest.raises(InputError, match="checkpoint-6: written with other settings"):
        run(tmp_path, seed=4)


def test_examples_come_once_and_in_their_order(tmp_path):
    data = Sums(80)
    run(tmp_path, data=data)
    assert data.seen == list(range(80))


def test_losses_keep_their_names_and_are_written_in_their_rhythm(whole):
    places = [(record.step, record.split) for record in whole[1] if record.name == "mse"]
    train_steps = [(step, "train") for step in (4, 8, 12, 16, 20)]
    assert sorted(places) == sorted(train_steps + [(step, "validation") for step in (7, 14, 20)])
    totals = {r[:2]: r.value for r in whole[1] if r.name == "total"}
    assert all(totals[r[:2]] == pytest.approx(2 * r.value) for r in whole[1] if r.name == "mse")


def test_the_last_validation_loss_is_the_mean_over_the_whole_set(whole):
    model = Regression().eval()
    model.load_state_dict(whole[0])
    data = Sums(10)
    batch = collate([data[i] for i in range(10)])
    expected = model(**batch)["losses"]["mse"].item()
    last = next(r for r in reversed(whole[1]) if r.split == "validation" and r.name == "mse")
    assert last.value == pytest.approx(expected, rel=1e-5)


def test_the_model_is_told_its_progress_before_each_step(tmp_path):
    model = Regression()
    run(tmp_path, model=model)
    assert model.fractions == [step / 20 for step in range(20)]


def test_one_step_moves_what_trains_and_nothing_that_is_frozen(tmp_path):
    settings = LoopSettings(steps=1, batch_size=4, warmup_fraction=0.0)
    torch.manual_seed(0)
    model = Regression()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run(tmp_path, settings=settings, model=model)
    moved = {name for name, value in model.state_dict().items() if (value != before[name]).any()}
    assert moved == {name for name, p in model.named_parameters() if p.requires_grad}


def test_a_training_set_of_another_length_is_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="79 items, but 20 steps of 4 examples need 80"):
        run(tmp_path, data=Sums(79))


def test_losses_come_back_from_their_file_to_the_last_bit(tmp_path):
    records = [LossRecord(1, "train", "mse", 0.1 + 0.2), LossRecord(2, "validation", "mse", 1e-17)]
    write_losses(records, tmp_path / "losses.csv")
    assert read_losses(tmp_path / "losses.csv") == records
