"""Tasks, prompts, instruction tuning and evaluation for fMRI language models."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "answering": ["Answer", "answer_question"],
        "errors": ["InputError"],
        "evaluation": ["evaluate"],
        "instructions": ["Instruction", "build_instructions", "write_instructions"],
        "parsing": ["parse_answers"],
        "prompts": ["PromptBank"],
        "settings": ["EvaluateSettings", "MakeInstructionsSettings"],
        "tasks": ["Task", "load_tasks"],
        "tuning": ["tune"],
    },
)
