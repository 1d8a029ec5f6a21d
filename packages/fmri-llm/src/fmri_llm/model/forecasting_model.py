"""What comes next in a scan: the codes of the next step, and the frames that they stand for.

B scans, W time steps, N regions, K codes, P frames of a step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fmri_llm.brain_input.signal_windows import SignalSteps
from fmri_llm.model.brain_text_model import BrainTextModel
from fmri_vqtok.errors import InputError

__all__ = ["ForecastingModel"]


class ForecastingModel(BrainTextModel):
    """The forecasts that `fmri_llm.FMRILM` makes."""

    @torch.no_grad()
    def forecast(self, codes: Tensor, region_mask: Tensor | None = None) -> Tensor:
        """Logits over the codes of the next step, for each step and region.

        Parameters
        ----------
        codes : Tensor of int64, shape (B, W, N)
        region_mask : Tensor of bool, shape (B, N), optional
            False for a region without signal; all have signal by default.

        Returns
        -------
        Tensor, shape (B, W, N, K)
            Those at (w, n) predict (w + 1, n) and depend on the steps up to w only.
        """
        scans = self.checked(codes, region_mask)
        steps = SignalSteps(scans.codes, scans.step_mask, scans.new_steps)
        return self.next_code_logits(scans, steps)

    @torch.no_grad()
    def forecast_frames(
        self,
        codes: Tensor,
        region_mask: Tensor | None = None,
        *,
        n_draws: int = 0,
        seed: int = 0,
    ) -> Tensor:
        """Frames of the step after the last one, decoded by the brain tokenizer.

        Parameters
        ----------
        codes : Tensor of int64, shape (B, W, N)
            Whole windows from the start of each scan; the last one may be incomplete.
        region_mask : Tensor of bool, shape (B, N), optional
            False for a region without signal, whose frames then mean nothing.
        n_draws : int, default=0
            0 decodes the most likely code of each region. Otherwise the result is the mean over
            so many decoded draws of all codes, an estimate of the expected frames, which has the
            smaller squared error.
        seed : int, default=0
            Of the draws.

        Returns
        -------
        Tensor, shape (B, P, N)
            In the units of the tokenizer's windows: deviations of each region from its median over
            the scan, in robust standard deviations (IQR / 1.349), over the scale of the site;
            frames are ``processor.target_tr`` seconds apart. Fewer than P frames for the end of a
            window that is no whole number of steps.

        Raises
        ------
        InputError
            If there is no step to forecast from, or a negative number of draws.

        Notes
        -----
        The step is decoded together with those before it in its window, at its own place in the
        window, as the tokenizer decodes a whole window of such codes.
        """
        if n_draws < 0:
            raise InputError(f"n_draws: {n_draws}; give 0 for the most likely codes, or more draws")
        if codes.ndim == 3 and codes.shape[1] == 0:
            raise InputError("codes: no time step to forecast from; give at least 1")
        logits = self.forecast(codes, region_mask)[:, -1]
        if n_draws == 0:
            return self._frames_after(codes, logits.argmax(-1), region_mask)
        generator = torch.Generator().manual_seed(seed)
        total = torch.zeros((), device=self.device)
        for drawn in _draws(logits, n_draws, generator):
            total = total + self._frames_after(codes, drawn, region_mask)
        return total / n_draws

    def _frames_after(self, codes: Tensor, following: Tensor, region_mask: Tensor | None) -> Tensor:
        """Frames of one more step, whose codes are (B, N), by the tokenizer."""
        config = self.brain_tokenizer.config
        place = codes.shape[1] % config.n_steps
        before = codes[:, codes.shape[1] - place :].to(self.device)
        window = torch.cat([before, following[:, None]], dim=1)
        mask = None if region_mask is None else region_mask.to(self.device)
        return self.brain_tokenizer.decode(window, mask)[:, place * config.patch_frames :]


def _draws(logits: Tensor, n_draws: int, generator: torch.Generator) -> Tensor:
    """Codes drawn for each region by itself, shape (n_draws, B, N), from logits (B, N, K)."""
    probabilities = logits.float().softmax(-1).flatten(0, 1).cpu()
    drawn = torch.multinomial(probabilities, n_draws, replacement=True, generator=generator)
    return drawn.T.unflatten(1, logits.shape[:2]).to(logits.device)
