"""fMRI scans to imaging features, cohort z-scores and sentences."""

import lazy_loader as lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "cohort": ["read_cohort", "write_cohort"],
        "cohort_description": ["DescribeOptions", "describe_cohort"],
        "description": ["Descriptor", "caption", "describe", "describe_features"],
        "errors": ["InputError"],
        "features.extractor": ["FeatureExtractor"],
        "norms": ["CohortNorms"],
        "parcellation": ["Parcellation", "load_parcellation"],
        "phenotype_dictionary": ["PhenotypeDictionary", "load_dictionary"],
        "readers.sources": ["Recording", "Source", "open_source"],
        "region_orders": ["order_labels", "permutation"],
        "render": ["load_templates"],
        "rewrite": ["RewriteReport", "check_rewrite", "rewrite_captions"],
        "scan": ["Scan"],
        "semantic": ["semantic_description"],
        "settings": ["CohortSettings", "DescribeSettings", "FeatureSettings", "RewriteSettings"],
        "simulate": ["Effect", "simulate_cohort"],
        "templating": ["Templates"],
    },
)
