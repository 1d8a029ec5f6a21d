"""Simulated cohorts with planted effects, so that the best possible score is known."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "cohort": ["SimulatedCohort", "simulate_cohort"],
        "effects": ["Best", "Effect", "best_possible"],
        "settings": ["SimulateSettings", "Site"],
        "writing": ["write_simulation"],
    },
)
