"""Text encoders of other packages, found by entry point: this package never imports torch."""

from importlib import metadata
from typing import Any

from fmri_descriptors.errors import InputError

GROUP = "fmri.text_classifiers"
"""Entry points whose objects are classes of scikit-learn style classifiers of texts."""


def find_text_classifier(provider: str) -> Any:
    """Return the class of an entry point of the group ``fmri.text_classifiers``.

    The class takes a model's folder or name, then the keywords ``epochs``, ``batch_size``,
    ``learning_rate``, ``max_tokens``, ``seed`` and ``device``; its instances have
    ``fit(texts, y)``, ``predict_proba(texts)`` and ``classes_``.

    Parameters
    ----------
    provider : str
        Name of the entry point.

    Raises
    ------
    InputError
        If no installed package provides it, or it cannot be imported.
    """
    points = {point.name: point for point in metadata.entry_points(group=GROUP)}
    if provider not in points:
        found = ", ".join(sorted(points)) or "none is installed"
        raise InputError(
            f"encoder.provider: {provider!r} is not installed (found: {found}); "
            "pip install fmri-llm provides 'transformers'"
        )
    try:
        return points[provider].load()
    except ImportError as error:
        raise InputError(
            f"encoder.provider: {provider!r} cannot be loaded ({error}); install it again"
        ) from error
