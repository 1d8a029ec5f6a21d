"""fMRI scans to imaging features, cohort z-scores and sentences."""

import lazy_loader as lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "cohort.read": ["read_cohort"],
        "cohort.write": ["write_cohort"],
        "description": ["DescribeOptions", "describe_cohort"],
        "text.captions": ["Descriptor", "caption", "describe", "describe_features"],
        "errors": ["InputError"],
        "features.extractor": ["FeatureExtractor"],
        "norms.cohort_norms": ["CohortNorms"],
        "parcellation.parcellation": ["Parcellation", "load_parcellation"],
        "phenotypes.dictionary": ["PhenotypeDictionary", "load_dictionary"],
        "readers.base": ["Recording", "Source"],
        "readers.open": ["open_source"],
        "parcellation.orders": ["order_labels", "permutation"],
        "text.render": ["load_templates"],
        "rewrite": ["RewriteReport", "check_rewrite", "rewrite_captions"],
        "scan": ["Scan"],
        "phenotypes.sentences": ["semantic_description"],
        "settings": ["CohortSettings", "DescribeSettings", "FeatureSettings", "RewriteSettings"],
        "simulate": ["Effect", "simulate_cohort"],
        "text.templating": ["Templates"],
    },
)
