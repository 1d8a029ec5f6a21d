"""Captions rewritten by a language model, each checked against its source."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "captions": ["rewrite_captions"],
        "check": ["Refusal", "check_rewrite"],
        "described": ["rewrite_described"],
        "report": ["RewriteReport"],
    },
)
