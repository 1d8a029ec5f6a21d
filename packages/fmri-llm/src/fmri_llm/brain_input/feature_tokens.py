"""Features of a scan as a few tokens."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["FeatureTokens"]


class FeatureTokens(nn.Linear):
    """Linear map from standardised features to K tokens.

    Parameters
    ----------
    n_features : int
    n_tokens : int
        K.
    width : int
        D, of a token.
    length : float
        Length of a token at the start, for features of mean 0 and variance 1.
    """

    def __init__(self, n_features: int, n_tokens: int, width: int, length: float) -> None:
        super().__init__(n_features, n_tokens * width)
        self.n_tokens = n_tokens
        nn.init.normal_(self.weight, std=length / (n_features * width) ** 0.5)
        nn.init.zeros_(self.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Tokens of scans.

        Parameters
        ----------
        features : Tensor, shape (B, n_features)

        Returns
        -------
        Tensor, shape (B, K, D)
        """
        return super().forward(features).unflatten(1, (self.n_tokens, -1))
