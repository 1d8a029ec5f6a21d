from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from fmri_vqtok.config.stages import LoopSettings
from fmri_vqtok.errors import InputError
from fmri_vqtok.model.position_embedding import SpaceTimePositions
from fmri_vqtok.quantizers import VectorQuantizer
from fmri_vqtok.training.log import LossRecord, TrainingLog, read_losses, write_losses
from fmri_vqtok.training.loop import train
from fmri_vqtok.training.optimizer import ParameterGroup
from fmri_vqtok.training.run_identity import differences

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


def run(directory, *, stop_at=None, settings=SETTINGS, seed=3, model=None, data=None, **options):
    torch.manual_seed(0)
    model = model or Regression()

    def stop(done, total):
        if done == stop_at:
            raise KeyboardInterrupt

    data = data or Sums(settings.steps * settings.batch_size)
    arguments = model, data, Sums(10), collate, settings, directory
    return model.state_dict(), train(*arguments, **{"seed": seed, "progress": stop, **options})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole"))


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("stop_at", [3, 13, 15, 20])
def test_a_stopped_run_resumes_to_the_same_bits(tmp_path, whole, stop_at):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop_at=stop_at)
    weights, records = run(tmp_path)
    assert same(weights, whole[0])
    assert records == whole[1]


def test_a_run_killed_while_it_writes_a_checkpoint_resumes_from_the_one_before(
    tmp_path, whole, monkeypatch
):
    def killed_at_12(log, checkpoint):
        if log.step == 12:
            (checkpoint / "optimizer.bin").write_bytes(b"half")
            raise KeyboardInterrupt
        save(log, checkpoint)

    save = TrainingLog.save
    with monkeypatch.context() as patch:
        patch.setattr(TrainingLog, "save", killed_at_12)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    steps = []
    weights, records = run(tmp_path, progress=lambda done, _total: steps.append(done))
    assert steps[0] == 7
    assert same(weights, whole[0])
    assert records == whole[1]
    left = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert left == ["checkpoint-18", "checkpoint-20"]


def test_a_finished_run_called_again_changes_nothing(tmp_path, whole):
    run(tmp_path)
    weights, records = run(tmp_path)
    assert same(weights, whole[0])
    assert records == whole[1]


class Shifted(Sums):
    """Another data set of the same length."""

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x + 1.0, y


class Wider(Regression):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 9), nn.Linear(9, 1)


class OtherBase(Regression):
    def __init__(self):
        super().__init__()
        self.frozen.weight.data += 1.0


class Weighted(Regression):
    def forward(self, x, y):
        return {**super().forward(x, y), "weights": {"mse": 3.0}}


class Phased(Regression):
    """The last layer trains from step 8 on."""

    parameter_groups = (ParameterGroup(name="last", select="^last", from_step=8),)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"seed": 4}, r"seed 3 \(here 4\)"),
        ({"settings": replace(SETTINGS, learning_rate=0.1)},
         r"settings.learning_rate 0.01 \(here 0.1\)"),
        ({"identity": {"cohort": "b"}}, r"cohort a \(here b\)"),
        ({"identity": {}}, r"cohort a \(here nothing\)"),
        ({"model": Wider}, r"model [0-9a-f]{16} \(here"),
        ({"model": OtherBase}, r"model [0-9a-f]{16} \(here"),
        ({"model": Weighted}, "other weights of the losses"),
        ({"model": Phased}, r"parameter groups.last.from_step nothing \(here 8\)"),
        ({"data": Shifted(80)}, "other examples"),
    ],
)  # fmt: skip
def test_checkpoints_of_another_run_are_refused_by_what_differs(tmp_path, other, named):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop_at=8, identity={"cohort": "a"})
    model = other.pop("model", Regression)
    torch.manual_seed(0)
    with pytest.raises(InputError, match=f"checkpoint-6: written with {named}.*remove the folder"):
        run(tmp_path, **{"identity": {"cohort": "a"}, **other}, model=model())


def test_a_run_resumes_where_numbers_differ_by_rounding(tmp_path):
    class Rounded(Sums):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return x * (1 + 1e-6), y

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop_at=8)
    torch.manual_seed(1)  # as where k-means finds other first centres on another machine
    assert run(tmp_path, data=Rounded(80))[1][-1].step == 20


def test_a_message_names_a_few_differences_and_counts_the_others():
    written = {"settings": dict.fromkeys("abcde", 1), "seed": 1}
    present = {"settings": dict.fromkeys("abcde", 2), "seed": 1}
    assert differences(written, present) == (
        "settings.a 1 (here 2), settings.b 1 (here 2), settings.c 1 (here 2) and 2 more"
    )
    assert not differences(written, written)


def test_examples_come_once_and_in_order(tmp_path):
    data = Sums(80)
    run(tmp_path, data=data)
    assert data.seen == list(range(80))


def test_losses_keep_their_names_and_are_written_at_their_intervals(whole):
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


class Idle(nn.Module):
    """Parts of a tokenizer that get a gradient of 0, so that only weight decay can move them."""

    def __init__(self):
        super().__init__()
        self.positions = SpaceTimePositions(2, 3, 4)
        self.quantizer = VectorQuantizer(5, 4, update="gradient")
        self.linear = nn.Linear(4, 4)

    def forward(self, x, y):
        nothing = sum(parameter.sum() * 0.0 for parameter in self.parameters())
        return {"loss": nothing, "losses": {"nothing": nothing}}


def test_weight_decay_shrinks_matrices_and_no_table_of_vectors(tmp_path):
    settings = LoopSettings(steps=1, batch_size=4, warmup_fraction=0.0, weight_decay=0.5)
    model = Idle()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run(tmp_path, settings=settings, model=model)
    moved = {name for name, value in model.state_dict().items() if (value != before[name]).any()}
    assert moved == {"linear.weight"}


def test_a_training_set_of_another_length_is_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="79 items, but 20 steps of 4 examples need 80"):
        run(tmp_path, data=Sums(79))


def test_losses_come_back_from_their_file_to_the_last_bit(tmp_path):
    records = [LossRecord(1, "train", "mse", 0.1 + 0.2), LossRecord(2, "validation", "mse", 1e-17)]
    write_losses(records, tmp_path / "losses.csv")
    assert read_losses(tmp_path / "losses.csv") == records


class Masked(nn.Module):
    """A mean over what is present, as the reconstruction is, and one over all examples."""

    no_weight_decay = ("table",)

    def __init__(self):
        super().__init__()
        self.table, self.layer = nn.Parameter(torch.ones(2, 4)), nn.Linear(4, 1)

    def loss_counts(self, x, present):
        return {"masked": present.sum()}

    def forward(self, x, present):
        error = self.layer(x + self.table.sum(0)).squeeze(-1).square()
        masked = (error * present).sum() / present.sum().clamp(min=1)
        return {"losses": {"masked": masked, "plain": error.mean()}, "weights": {"plain": 0.3}}


class Ragged(Sums):
    """Examples of which ever fewer places are present."""

    def __getitem__(self, index):
        x = torch.randn(6, 4, generator=torch.Generator().manual_seed(index))
        return x, torch.arange(6) > index % 6


def collate_masked(items):
    return {"x": torch.stack([x for x, _ in items]), "present": torch.stack([m for _, m in items])}


def run_masked(directory, **changes):
    settings = LoopSettings(**{
        "steps": 4, "batch_size": 6, "learning_rate": 0.05, "log_every": 1, "weight_decay": 0.5,
        "warmup_fraction": 0.0, **changes,
    })  # fmt: skip
    torch.manual_seed(0)
    model = Masked()
    data = Ragged(settings.steps * settings.batch_size)
    records = train(model, data, Ragged(8), collate_masked, settings, directory, seed=0)
    return model, records


@pytest.fixture(scope="module")
def unparted(tmp_path_factory):
    return run_masked(tmp_path_factory.mktemp("unparted"))


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_a_step_in_parts_has_the_losses_and_weights_of_a_step_at_once(tmp_path, unparted, parts):
    model, records = run_masked(tmp_path, accumulation_steps=parts)
    assert [r[:3] for r in records] == [r[:3] for r in unparted[1]]
    for one, other in zip(unparted[1], records, strict=True):
        assert other.value == pytest.approx(one.value, rel=1e-5), one
    for name, value in unparted[0].state_dict().items():
        assert torch.allclose(value, model.state_dict()[name], rtol=0, atol=1e-5), name


def test_the_parts_of_the_total_are_divided_by_what_they_count_in_the_whole_step(unparted):
    first = {r.name: r.value for r in unparted[1] if r[:2] == (1, "train")}
    torch.manual_seed(0)
    batch = collate_masked([Ragged(24)[i] for i in range(6)])
    losses = Masked()(**batch)["losses"]
    expected = losses["masked"] + 0.3 * losses["plain"]
    assert first["total"] == pytest.approx(expected.item(), rel=1e-6)


def test_the_last_batch_of_a_validation_weighs_by_what_is_present(unparted):
    batch = collate_masked([Ragged(8)[i] for i in range(8)])
    losses = unparted[0](**batch)["losses"]
    last = {r.name: r.value for r in unparted[1] if r[:2] == (4, "validation")}
    assert last["masked"] == pytest.approx(losses["masked"].item(), rel=1e-5)
    assert last["plain"] == pytest.approx(losses["plain"].item(), rel=1e-5)


def test_weight_matrices_shrink_and_biases_and_what_a_module_spares_do_not(tmp_path):
    class Still(Masked):
        def forward(self, x, present):
            out = super().forward(x, present)
            return {"losses": {name: 0 * loss for name, loss in out["losses"].items()}}

    torch.manual_seed(0)
    model = Still()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    settings = LoopSettings(
        steps=1, batch_size=1, learning_rate=0.1, warmup_fraction=0.0, weight_decay=0.5
    )
    train(model, Ragged(1), None, collate_masked, settings, tmp_path, seed=0)
    factor = {name: model.state_dict()[name] / before[name] for name in before}
    # One step of AdamW without a gradient multiplies by 1 - rate * decay.
    assert torch.allclose(factor["layer.weight"], torch.tensor(0.95))
    assert torch.equal(factor["layer.bias"], torch.ones(1))
    assert torch.equal(factor["table"], torch.ones(2, 4))


def test_mixed_precision_computes_in_half_and_keeps_weights_in_full(tmp_path):
    class Seeing(Masked):
        def forward(self, x, present):
            seen.add(self.layer(x).dtype)
            return super().forward(x, present)

    seen = set()
    torch.manual_seed(0)
    model = Seeing()
    settings = LoopSettings(steps=2, batch_size=2, precision="bfloat16")
    train(model, Ragged(4), Ragged(2), collate_masked, settings, tmp_path, seed=0)
    assert seen == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    # The model that is handed back computes in full again.
    model(**collate_masked([Ragged(4)[0]]))
    assert seen == {torch.bfloat16, torch.float32}
    seen.clear()
    train(model, Ragged(4), None, collate_masked, settings, tmp_path / "again", seed=0)
    assert seen == {torch.bfloat16}


def test_tensorboard_gets_the_losses_by_name_and_the_rate(tmp_path, unparted):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run_masked(tmp_path, report_to="tensorboard", evaluate_every=2)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    tags = set(events.Tags()["scalars"])
    assert {"train/masked", "train/plain", "train/total", "train/learning_rate"} <= tags
    assert {"train/examples_per_second", "train/waiting_for_data"} <= tags
    expected = [r.value for r in unparted[1] if r[1:3] == ("train", "masked")]
    assert [e.value for e in events.Scalars("train/masked")] == pytest.approx(expected, rel=1e-5)
    assert [e.step for e in events.Scalars("eval/total")] == [2, 4]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"report_to": "tensorbord"}, "report_to: 'tensorbord'; did you mean 'tensorboard'"),
        ({"report_to": "wandb"}, "report_to: 'wandb' is not installed; pip install wandb"),
        ({"precision": "float16"}, "precision: 'float16' needs a GPU; on a CPU give 'bfloat16'"),
    ],
)
def test_what_this_machine_cannot_do_is_refused_before_the_first_step(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        run_masked(tmp_path, **changes)


def test_stopping_early_needs_a_validation_set(tmp_path):
    settings = LoopSettings(steps=1, batch_size=1, patience=3)
    with pytest.raises(InputError, match="patience: 3, but there are no validation scans"):
        train(Masked(), Ragged(1), None, collate_masked, settings, tmp_path, seed=0)


def test_a_group_does_not_move_by_one_bit_before_its_step_and_moves_after_it(tmp_path):
    model = Phased()
    start = {name: value.clone() for name, value in model.state_dict().items()}
    moved = {}

    def progress(done, _total):
        now = model.state_dict()
        moved[done] = {name for name in start if not torch.equal(now[name], start[name])}

    settings = replace(SETTINGS, weight_decay=0.5, warmup_fraction=0.0, checkpoint_every=8)
    run(tmp_path, model=model, settings=settings, progress=progress)
    first, last = {"first.weight", "first.bias"}, {"last.weight", "last.bias"}
    assert all(moved[step] == first for step in range(1, 9))
    assert all(moved[step] == first | last for step in range(9, 21))


def optimizer_state(checkpoint):
    """State of each parameter by the name of its group, without those of no parameter."""
    state = torch.load(checkpoint / "optimizer.bin")
    found = {}
    for group in state["param_groups"]:
        values = [state["state"].get(k) for k in group["params"]]
        found[group["name"]] = found.get(group["name"], []) + [v for v in values if v]
    return found


def test_a_group_has_no_optimizer_state_before_its_step_and_counts_its_own_steps_after(tmp_path):
    settings = replace(SETTINGS, checkpoint_every=8, steps=16)
    run(tmp_path, model=Phased(), settings=settings)
    before, after = (
        optimizer_state(tmp_path / "checkpoints" / f"checkpoint-{step}") for step in (8, 16)
    )
    assert before["last"] == []
    assert [float(values["step"]) for values in before[""]] == [8.0, 8.0]
    assert [float(values["step"]) for values in after["last"]] == [8.0, 8.0]


def test_a_group_that_does_not_train_leaves_a_run_as_if_it_required_no_gradient(tmp_path):
    class Never(Regression):
        parameter_groups = (ParameterGroup(name="last", select="^last", from_step=None),)

    torch.manual_seed(0)
    frozen = Regression()
    frozen.last.requires_grad_(False)
    # Gradients are clipped, so that those of the group would show in the norm.
    settings = replace(SETTINGS, max_grad_norm=0.1)
    torch.manual_seed(0)
    one = run(tmp_path / "one", model=Never(), settings=settings)
    other = run(tmp_path / "other", model=frozen, settings=settings)
    assert same(one[0], other[0])
    assert one[1] == other[1]


@pytest.mark.parametrize("stop_at", [7, 13])
def test_a_run_in_phases_resumes_to_the_same_bits(tmp_path, stop_at):
    def phased():
        torch.manual_seed(0)
        return Phased()

    weights, records = run(tmp_path / "whole", model=phased())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", model=phased(), stop_at=stop_at)
    resumed = run(tmp_path / "stopped", model=phased())
    assert same(weights, resumed[0])
    assert records == resumed[1]


def test_a_group_has_its_own_rate_and_decay_and_the_first_that_selects_counts(tmp_path):
    class Still(Regression):
        parameter_groups = (
            ParameterGroup(name="slow", select=r"first\.", learning_rate=0.01, weight_decay=0.2),
            ParameterGroup(name="all", select="first|last", learning_rate=0.05),
        )

        def forward(self, x, y):
            return {"losses": {"mse": 0 * super().forward(x, y)["losses"]["mse"]}}

    torch.manual_seed(0)
    model = Still()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    settings = LoopSettings(
        steps=1, batch_size=4, learning_rate=0.1, warmup_fraction=0.0, weight_decay=0.5
    )
    run(tmp_path, model=model, settings=settings)
    factor = {name: model.state_dict()[name] / before[name] for name in before}
    # One step of AdamW without a gradient multiplies by 1 - rate * decay.
    assert torch.allclose(factor["first.weight"], torch.tensor(1 - 0.01 * 0.2))
    assert torch.allclose(factor["last.weight"], torch.tensor(1 - 0.05 * 0.5))
    assert torch.equal(factor["first.bias"], torch.ones(8))


def test_a_group_that_selects_nothing_is_refused(tmp_path):
    class Misspelt(Regression):
        parameter_groups = (ParameterGroup(name="last", select="^lats"),)

    with pytest.raises(InputError, match=r"parameter group last: '\^lats' selects no parameter"):
        run(tmp_path, model=Misspelt())


def test_a_second_run_of_one_process_may_have_another_precision(tmp_path):
    one, other = (
        run(tmp_path / name, settings=replace(SETTINGS, precision=name))[0]
        for name in ("bfloat16", "float32")
    )
    assert not same(one, other)
