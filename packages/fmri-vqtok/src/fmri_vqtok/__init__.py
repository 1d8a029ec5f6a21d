"""A text-aligned discrete tokenizer for fMRI and other (time, regions) signals."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["kernels", "quantizers"],
    submod_attrs={
        "errors": ["InputError"],
        "processor": ["TimeSeriesProcessor"],
        "tokenizer": ["Encoded", "FMRITokenizer", "Reconstructed"],
        "config.model": ["FMRITokenizerConfig"],
    },
)
