"""The report: one self-contained page that shows a run and says what it can and cannot show."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"page": ["write_report"], "settings": ["ReportSettings"]}
)
