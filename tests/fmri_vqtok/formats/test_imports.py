"""Reading the written formats costs no heavy import."""

import pkgutil
import subprocess
import sys

from fmri_vqtok import formats


def test_importing_every_format_loads_neither_torch_nor_transformers_nor_datasets():
    modules = [
        module.name for module in pkgutil.iter_modules(formats.__path__, "fmri_vqtok.formats.")
    ]
    assert "fmri_vqtok.formats.cohort" in modules
    code = (
        f"import sys, {', '.join(modules)}\n"
        "print({'torch', 'transformers', 'datasets', 'pandas', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
