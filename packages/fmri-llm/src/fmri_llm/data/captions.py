"""What the model is asked about each domain of a caption."""

from collections.abc import Mapping

from fmri_vqtok.formats.names import DOMAINS

__all__ = ["DESCRIBE_PROMPTS"]

DESCRIBE_PROMPTS: Mapping[str, str] = {
    domain: f"Describe the {topic} of this scan." for domain, topic in DOMAINS.items()
}
