"""Where and when a token is: learned positions of time steps and regions."""

import torch
from torch import Tensor, nn

from fmri_vqtok.errors import InputError


class SpaceTimePositions(nn.Module):
    """Sum of a vector for the time step and a vector for the region.

    Parameters
    ----------
    n_steps : int
        Longest W.
    n_regions : int
        N.
    width : int
        D.
    """

    no_weight_decay = ("step", "region")

    def __init__(self, n_steps: int, n_regions: int, width: int) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.randn(n_steps, width) * 0.02)
        self.region = nn.Parameter(torch.randn(n_regions, width) * 0.02)

    def forward(self, n_steps: int) -> Tensor:
        """Positions of the first ``n_steps`` steps, shape (W, N, D).

        Raises
        ------
        InputError
            If there are more steps than positions.
        """
        if n_steps > len(self.step):
            raise InputError(
                f"signal: {n_steps} time steps, but the tokenizer has positions for "
                f"{len(self.step)}; cut the recording into windows with its processor"
            )
        return self.step[:n_steps, None] + self.region
