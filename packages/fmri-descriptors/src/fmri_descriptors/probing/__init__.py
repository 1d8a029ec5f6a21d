"""Probes of texts and features: a phenotype predicted from them, beside simple baselines."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "encoders": ["find_text_classifier"],
        "evaluation": ["Evaluation", "evaluate_descriptors", "evaluate_tables"],
        "settings": ["EncoderSettings", "EvaluateDescriptorsSettings"],
        "tables": ["Tables", "read_tables"],
    },
)
