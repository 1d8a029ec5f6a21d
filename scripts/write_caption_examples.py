"""Write the captions of the demo cohort that docs/text.md shows, from a folder that describes it.

The folder is what `fmri describe` made of the demo cohort with its default settings.
"""

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs" / "text.md"
EXAMPLES = (("102816", "all"), ("NAP_013", "graph"))
"""Scan and domain of each example, in the order of the page."""


def with_examples(page: str, captions: Path) -> str:
    """Replace the page's ``text`` blocks by captions, wrapped."""
    lines = map(json.loads, captions.read_text(encoding="utf-8").splitlines())
    told = {(line["scan_id"], line["domain"]): line["sentences"] for line in lines}
    openings = {sentences[0]["text"] for sentences in told.values()}
    shown = iter(_paragraphs(told[example], openings) for example in EXAMPLES)
    return re.sub(
        r"(```text\n).*?(\n```)", lambda block: block[1] + next(shown) + block[2], page, flags=re.S
    )


def _paragraphs(sentences: list[dict[str, Any]], openings: set[str]) -> str:
    """Sentences as paragraphs, one a domain."""
    paragraphs: list[list[str]] = []
    for text in (sentence["text"] for sentence in sentences):
        if text in openings:
            paragraphs.append([])
        paragraphs[-1].append(text)
    wrapper = textwrap.TextWrapper(98, break_on_hyphens=False)
    return "\n\n".join(wrapper.fill(" ".join(paragraph)) for paragraph in paragraphs)


if __name__ == "__main__":
    captions = Path(sys.argv[1]) / "captions.jsonl"
    PAGE.write_text(with_examples(PAGE.read_text(encoding="utf-8"), captions), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}: {len(EXAMPLES)} captions\n")
