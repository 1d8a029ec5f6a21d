"""Tasks, prompts, instruction tuning and evaluation for fMRI language models."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "answers.ask": ["Answer", "answer_question"],
        "answers.compare": ["ScanComparison", "compare_scans"],
        "evaluation.evaluate": ["evaluate"],
        "prompts.instructions": ["Instruction", "build_instructions", "write_instructions"],
        "answers.parsing": ["parse_answers"],
        "prompts.paraphrases": ["PromptBank"],
        "settings": ["EvaluateSettings", "MakeInstructionsSettings", "TuneSettings"],
        "tasks.definitions": ["Task", "load_tasks"],
        "tasks.fitting": ["fit_tasks"],
        "tasks.ready": ["ready_tasks"],
        "tuning.tune": ["tune"],
    },
)
