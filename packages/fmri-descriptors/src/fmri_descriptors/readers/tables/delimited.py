"""Tables of text: a header, then one line an entry, separated by tabs or commas."""

import csv
from pathlib import Path

from fmri_descriptors.errors import InputError
from fmri_descriptors.readers.selection.content import check_fetched


def read_rows(path: Path) -> tuple[list[str], dict[int, dict[str, str]]]:
    """Return the header of a table, and its lines that are not blank by number.

    A ``.csv`` table may put cells into quotation marks; every other one is separated by tabs, and
    a quotation mark is a letter like any other, as BIDS says. Columns without a name and without
    an entry, as spreadsheets leave them, are dropped.

    Parameters
    ----------
    path : Path
        The table, in UTF-8.

    Raises
    ------
    InputError
        If it is no such table, a column has no name or occurs twice, or a line is longer or
        shorter than the header.
    """
    (_, header), *rows = _lines(path) or [(1, [])]
    header = [name.strip() for name in header]
    for line, cells in rows:
        if len(cells) != len(header):
            raise InputError(
                f"{path}: line {line} has not {len(header)} cells like the header; give every "
                "column one cell"
            )
    _check_header(path, header, [cells for _, cells in rows])
    filled = [(line, cells) for line, cells in rows if any(cell.strip() for cell in cells)]
    return [name for name in header if name], {
        line: {name: cell for name, cell in zip(header, cells, strict=True) if name}
        for line, cells in filled
    }


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and cells of every line that is not blank."""
    quoted = path.suffix.lower() == ".csv"
    check_fetched(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(
                file,
                delimiter="," if quoted else "\t",
                quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
                strict=True,
            )
            return [(reader.line_num, cells) for cells in reader if cells]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a table") from error
    except (UnicodeError, csv.Error) as error:
        kind = "comma" if quoted else "tab"
        raise InputError(
            f"{path}: not a UTF-8 {kind}-separated table ({error}); export it"
        ) from error


def _check_header(path: Path, header: list[str], rows: list[list[str]]) -> None:
    for place, name in enumerate(header):
        if not name and any(cells[place].strip() for cells in rows):
            raise InputError(f"{path}: column {place + 1} has no name; name or remove it")
        if name and header.count(name) > 1:
            raise InputError(f"{path}: column {name!r} occurs twice; keep one")
        if len(name) > 1 and name[0] == name[-1] == '"':
            raise InputError(
                f"{path}: column {name} is in quotation marks, which a tab-separated table takes "
                "for letters; export it without them (in R by quote = FALSE), or as .csv"
            )
