"""One file a converted scan, so that a cohort that was stopped resumes where it was.

The parts lie in a hidden folder of the cohort's directory until every scan is converted; then
they become the dataset, and the folder goes.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmri_descriptors.utils.arrow_arrays import cell
from fmri_descriptors.utils.files import atomic_write, file_digest, quiet_datasets

if TYPE_CHECKING:
    from datasets import Dataset, Features

_FOLDER = ".parts-"


class Parts:
    """The converted scans of one cohort.

    Parameters
    ----------
    directory : Path
        The cohort's directory.
    key : str
        What decides the rows; parts of another key are never taken up.
    features : Features
        Columns of the rows.
    """

    def __init__(self, directory: Path, key: str, features: "Features") -> None:
        self.directory = directory
        self.schema = features.arrow_schema
        self.folder = directory / f"{_FOLDER}{key}"
        self.folder.mkdir(exist_ok=True)

    def path(self, index: int) -> Path:
        """File of the scan with this number."""
        return self.folder / f"{index:08d}.arrow"

    def write(self, index: int, row: Mapping[str, Any]) -> None:
        """Write a scan's row: its file is there whole, or not at all."""
        import pyarrow as pa

        cells = [cell(row[field.name], field.type) for field in self.schema]
        with (
            atomic_write(self.path(index)) as unfinished,
            pa.ipc.new_stream(str(unfinished), self.schema) as stream,
        ):
            stream.write_batch(pa.record_batch(cells, schema=self.schema))

    def n_frames(self, index: int) -> int:
        """Return how many frames the scan with this number has."""
        import pyarrow as pa

        with pa.memory_map(str(self.path(index))) as part:
            return int(pa.ipc.open_stream(part).read_all().column("n_frames")[0].as_py())

    def save(self, splits: Mapping[str, Iterable[int]]) -> None:
        """Write the dataset directory, with the scans of each split in the given order."""
        from datasets import DatasetDict

        whole = {split: self.folder / f"{split}.whole" for split in splits}
        with quiet_datasets():
            for split, path in whole.items():
                self._join(splits[split], path)
            opened = {split: _open(path, split) for split, path in whole.items()}
            # `datasets` cannot read back a split without rows, so an empty one is left out.
            DatasetDict({s: rows for s, rows in opened.items() if len(rows)}).save_to_disk(
                self.directory
            )

    def discard(self) -> None:
        """Remove the parts of this key and of any other."""
        for folder in self.directory.glob(f"{_FOLDER}*"):
            shutil.rmtree(folder)

    def _join(self, indices: Iterable[int], path: Path) -> None:
        import pyarrow as pa

        # A file without an end marker, of a run that was stopped here, is written anew.
        with pa.ipc.new_stream(str(path), self.schema) as stream:
            for index in indices:
                with pa.memory_map(str(self.path(index))) as part:
                    for batch in pa.ipc.open_stream(part):
                        stream.write_batch(batch)


def _open(path: Path, split: str) -> "Dataset":
    from datasets import Dataset, DatasetInfo, Features, NamedSplit
    from datasets.table import MemoryMappedTable

    table = MemoryMappedTable.from_file(str(path))
    info = DatasetInfo(features=Features.from_arrow_schema(table.schema))
    # A fingerprint of the content, not of the moment: the same scans give the same bytes.
    return Dataset(table, info=info, split=NamedSplit(split), fingerprint=file_digest(path))
