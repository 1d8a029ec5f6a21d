"""The same work over many items: one process, several, or a Dask cluster."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from typing import TypeVar

from fmri_descriptors.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")

_IN_FLIGHT = 2  # items handed out ahead, a worker
_LOOK_EVERY = 0.5  # s between two looks of a worker at who its parent is


def map_ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    jobs: int = 1,
    scheduler: str | None = None,
) -> Iterator[Result]:
    """Yield a function's results in the order of the items, a few items ahead at most.

    Parameters
    ----------
    function : callable
        A picklable function of one item.
    items : iterable
        Picklable items, drawn only as they are needed.
    jobs : int
        Worker processes; 1 works in this process.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do the work instead.

    Raises
    ------
    InputError
        If the number of jobs is below 1, the scheduler cannot be reached, or a worker was killed.
    """
    if jobs < 1:
        raise InputError(f"jobs: {jobs}; give at least 1")
    if jobs == 1 and scheduler is None:
        yield from map(function, items)
        return
    from joblib import Parallel, delayed

    with _workers(scheduler):
        parallel = Parallel(
            n_jobs=-1 if scheduler else jobs,
            return_as="generator",
            pre_dispatch=f"{_IN_FLIGHT}*n_jobs",
            batch_size=1,
        )
        try:
            yield from parallel(delayed(function)(item) for item in items)
        except BrokenExecutor as error:
            raise InputError(
                f"jobs: {jobs}; a worker process was killed, as happens when memory runs out; "
                "give fewer jobs and run the same command again"
            ) from error


@contextmanager
def _workers(scheduler: str | None) -> Iterator[None]:
    from joblib import parallel_config

    if scheduler is None:
        with parallel_config("loky", initializer=end_with_parent, initargs=(os.getpid(),)):
            yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(
            "scheduler: dask is not installed; pip install 'fmri-descriptors[cluster]'"
        ) from error
    try:
        client = Client(scheduler, timeout="5s")
    except (OSError, ValueError) as error:
        raise InputError(
            f"scheduler: {scheduler} cannot be reached ({error}); start it or correct the address"
        ) from error
    with client, parallel_config(backend="dask"):
        yield


def end_with_parent(parent: int) -> None:
    """Let this process end soon after its parent, however that ends.

    Otherwise a worker whose parent was killed would compute on for nobody.

    Parameters
    ----------
    parent : int
        Process number of the parent.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
