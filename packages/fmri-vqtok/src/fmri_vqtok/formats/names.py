"""Names that several written formats share."""

from collections.abc import Mapping

SPLITS = ("train", "validation", "test")

DOMAINS: Mapping[str, str] = {
    "FC": "functional connectivity",
    "gradients": "functional gradients",
    "ICA": "independent components",
    "graph": "graph measures",
}
"""Domains of a caption, and what each is about."""

ALL_DOMAINS = "all"
"""Stands for a domain in a caption over all of them."""
