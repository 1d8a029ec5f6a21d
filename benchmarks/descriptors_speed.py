"""Features and text of one 450 x 160 scan, against the straightforward route, in one run.

Run it with one thread for both routes:

    OMP_NUM_THREADS=1 uv run python benchmarks/descriptors_speed.py

The straightforward route is what the libraries' own functions give: networkx for the weighted
global efficiency, Louvain (as many runs) and clustering, brainspace for the gradients, scikit-learn
for dual regression and scipy's Welch for one network after another. It writes no text, which makes
the printed ratio a little too small.
"""

import time
import warnings
from collections.abc import Callable

import networkx as nx
import numpy as np
from brainspace.gradient import GradientMaps
from numpy.typing import NDArray
from scipy.signal import welch
from scipy.stats import zscore
from sklearn.linear_model import LinearRegression
from threadpoolctl import threadpool_info, threadpool_limits

from fmri_descriptors import (
    CohortNorms,
    FeatureExtractor,
    FeatureSettings,
    Parcellation,
    Scan,
    caption,
    describe,
)
from fmri_descriptors.features.graph.measures import load_bctpy

N_REGIONS, N_FRAMES, TR, N_TRAINING, REPEATS = 450, 160, 2.0, 6, 5
NETWORKS = (
    *("Subcortical", "Visual", "Somatomotor", "DorsalAttention"),
    *("Salience", "Limbic", "Control", "Default"),
)
NEEDED_RATIO = 8.0
SETTINGS = FeatureSettings()


def benchmark_parcellation() -> Parcellation:
    """450 regions in eight networks of nearly equal size."""
    networks = [NETWORKS[i * len(NETWORKS) // N_REGIONS] for i in range(N_REGIONS)]
    labels = [f"region-{i}" for i in range(N_REGIONS)]
    return Parcellation("benchmark-450", labels, networks, ["B"] * N_REGIONS)


def simulated_scan(parcellation: Parcellation, seed: int) -> Scan:
    """Slow courses of the networks, one that all regions share, and noise."""
    rng = np.random.default_rng(seed)
    courses = zscore(rng.standard_normal((N_FRAMES, len(NETWORKS) + 1)).cumsum(axis=0))
    series = 0.6 * courses[:, 1:] @ parcellation.membership + 0.5 * courses[:, :1]
    series = series + rng.standard_normal(series.shape)
    return Scan(series, TR, parcellation, f"scan-{seed}", f"subject-{seed}")


def reference_connectivity(r: NDArray[np.float64], membership: NDArray[np.bool_]) -> None:
    """Mean Fisher z of every pair of networks, by indexing."""
    z = np.arctanh(np.clip(r, -0.9999999, 0.9999999))
    for a in range(len(membership)):
        for b in range(a, len(membership)):
            block = z[np.ix_(membership[a], membership[b])]
            float(np.mean(block[np.triu_indices(len(block), 1)] if a == b else block))


def reference_gradients(r: NDArray[np.float64], template: NDArray[np.float64]) -> None:
    """Diffusion maps of brainspace, with its Procrustes alignment."""
    maps = GradientMaps(
        template.shape[1],
        approach="dm",
        kernel="normalized_angle",
        alignment="procrustes",
        random_state=0,
    )
    maps.fit(r, reference=template, sparsity=SETTINGS.gradient_sparsity)


def reference_components(scan: Scan, maps: NDArray[np.float64]) -> None:
    """Dual regression by scikit-learn, then Welch's spectrum of one network after another."""
    courses = LinearRegression().fit(maps.T, zscore(scan.timeseries).T).coef_
    LinearRegression().fit(zscore(courses), scan.timeseries)
    np.corrcoef(courses.T)
    for network in range(len(NETWORKS)):
        frequencies, power = welch(courses[:, network], fs=1 / TR, nperseg=N_FRAMES)
        low = (frequencies >= SETTINGS.ratio_low_hz) & (frequencies <= SETTINGS.ratio_split_hz)
        high = frequencies >= SETTINGS.ratio_high_from_hz
        float(np.sqrt(power[low]).sum() / np.sqrt(power).sum())
        float(power[low].sum() / power[high].sum())


def reference_graph(r: NDArray[np.float64]) -> nx.Graph:
    """Strongest positive edges as a networkx graph, and its strengths."""
    weights = load_bctpy().threshold_proportional(np.clip(r, 0, None), SETTINGS.graph_density)
    graph = nx.from_numpy_array(weights)
    for _, _, edge in graph.edges(data=True):
        edge["length"] = 1 / edge["weight"]
    dict(graph.degree(weight="weight"))
    return graph


def reference_efficiency(graph: nx.Graph) -> None:
    """Mean inverse shortest-path length; networkx's own function ignores the weights."""
    lengths = nx.all_pairs_dijkstra_path_length(graph, weight="length")
    n = len(graph)
    float(sum(1 / d for _, row in lengths for d in row.values() if d) / (n * (n - 1)))


def reference_modularity(graph: nx.Graph) -> None:
    """Best Louvain modularity of as many runs as the settings ask for."""
    for seed in range(SETTINGS.louvain_runs):
        communities = nx.community.louvain_communities(graph, seed=seed)
        nx.community.modularity(graph, communities)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Shortest time of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def reference_times(scan: Scan, extractor: FeatureExtractor) -> dict[str, float]:
    """Seconds of each part of the straightforward route."""
    r = np.corrcoef(scan.timeseries.T)
    graph = reference_graph(r)
    parts: dict[str, Callable[[], object]] = {
        "correlation": lambda: np.corrcoef(scan.timeseries.T),
        "network pairs": lambda: reference_connectivity(r, scan.parcellation.membership),
        "brainspace gradients": lambda: reference_gradients(r, extractor.template_),
        "regression, Welch": lambda: reference_components(scan, extractor.group_maps_.maps),
        "networkx graph": lambda: reference_graph(r),
        "networkx efficiency": lambda: reference_efficiency(graph),
        "networkx Louvain": lambda: reference_modularity(graph),
        "networkx clustering": lambda: nx.average_clustering(graph, weight="weight"),
    }
    return {name: seconds(work, 2) for name, work in parts.items()}


def main() -> None:
    """Print the seconds of both routes and their ratio."""
    parcellation = benchmark_parcellation()
    training = [simulated_scan(parcellation, seed) for seed in range(N_TRAINING)]
    scan = simulated_scan(parcellation, N_TRAINING)
    extractor = FeatureExtractor(SETTINGS).fit(training)
    norms = CohortNorms().fit(extractor.transform(training))

    ours = seconds(lambda: caption(describe(scan, extractor, norms)), REPEATS)
    parts = reference_times(scan, extractor)
    theirs = sum(parts.values())
    once = theirs - parts["networkx Louvain"] * (1 - 1 / SETTINGS.louvain_runs)

    threads = sorted({pool["num_threads"] for pool in threadpool_info()})
    print(f"one scan, {N_REGIONS} regions x {N_FRAMES} frames, BLAS and OpenMP threads {threads}")
    for name, took in parts.items():
        print(f"  {name:22}{took:8.3f} s")
    print(f"straightforward route   {theirs:8.3f} s (features)")
    print(f"fmri-descriptors        {ours:8.3f} s (features and text)")
    print(f"ratio                   {theirs / ours:8.1f}   (at least {NEEDED_RATIO:g} is wanted)")
    print(f"ratio, its Louvain once {once / ours:8.1f}")


if __name__ == "__main__":
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore")
        main()
