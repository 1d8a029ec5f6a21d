"""Connectivity gradients: the diffusion map, its template and its reference."""
