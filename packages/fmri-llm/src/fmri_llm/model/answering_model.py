"""What a model is asked: likelihoods of answers, generated text, hidden states.

B scans, W time steps, N regions, P columns of the brain block, L text columns, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from fmri_llm.base_model import chat
from fmri_llm.base_model.chat import Prompt, listed
from fmri_llm.brain_input.scans import BrainScans
from fmri_llm.inference.decoding import Decoding
from fmri_llm.inference.generation import generate, seeds_of
from fmri_llm.inference.prefix import BrainPrefix
from fmri_llm.inference.scoring import answer_log_likelihoods
from fmri_llm.model.brain_text_model import BrainTextModel
from fmri_llm.model.checks import check_length
from fmri_llm.packing import sequences
from fmri_llm.packing.attention_mask import text_mask
from fmri_llm.packing.recent_words import words_of
from fmri_llm.packing.sequences import TextSegment

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["AnsweringModel"]

SHORTER = "ask with shorter text, or train with fewer windows per scan (max_windows of fit-llm)"


class AnsweringModel(BrainTextModel):
    """The questions that `fmri_llm.FMRILM` answers."""

    text_tokenizer: PreTrainedTokenizerBase

    @torch.no_grad()
    def hidden_states(
        self,
        scans: Tensor | BrainScans,
        prompt: Prompt,
        region_mask: Tensor | None = None,
        *,
        layer: int = -1,
    ) -> Tensor:
        """Hidden states of the brain block and of a prompt that follows it.

        Parameters
        ----------
        scans : BrainScans, or Tensor of int64, shape (B, W, N)
            Scans, or codes of all their windows.
        prompt : str or messages
            Asked of every scan.
        region_mask : Tensor of bool, shape (B, N), optional
            Beside codes alone.
        layer : int, default=-1
            0 for the input embeddings, k for the output of layer k, -1 for the last one.

        Returns
        -------
        Tensor, shape (B, P + L, D)
            The last column, at the end of the prompt, is where an answer is predicted from.
        """
        checked = self.checked(scans, region_mask)
        ids, _ = self._tokens(prompt, ())
        text = sequences.pack([[TextSegment(ids=ids)]] * len(checked)).to(self.device)
        no_column = torch.zeros(0, dtype=torch.int64, device=self.device)
        block = self.block_for_text(checked)
        return self.forward_packed(block, text, no_column, hidden=True).hidden_states[layer]

    @torch.no_grad()
    def prompt_states(
        self,
        scans: Tensor | BrainScans | BrainPrefix,
        prompts: Prompt | Sequence[Prompt],
        region_mask: Tensor | None = None,
    ) -> Tensor:
        """Hidden states at the end of prompts, where an answer is predicted from.

        Parameters
        ----------
        scans : BrainScans, BrainPrefix, or Tensor of int64, shape (B, W, N)
            Scans, codes of all their windows, or what `prefill` made of them. One scan serves
            several prompts.
        prompts : str, or sequence of str or of messages
            One per scan, or one that is asked of all.
        region_mask : Tensor of bool, shape (B, N), optional
            Beside codes alone.

        Returns
        -------
        Tensor, shape (number of prompts, n_layers + 1, D)
            The input embeddings, and the output of each layer.

        Raises
        ------
        InputError
            If scan and text need more positions than the base has.
        """
        prefix = self._prefix(scans, region_mask)
        asked = [self._tokens(p, ())[0] for p in listed(prompts, prefix.n_scans)]
        self._check_length(prefix, max(map(len, asked)))
        text = sequences.pack([[TextSegment(ids=ids)] for ids in asked]).to(self.device)
        prefix = prefix.for_prompts(len(asked))
        output = self._forward_embeddings(
            self.embed_text(words_of(text), prefix.measures),
            text_mask(text, prefix.visible),
            sequences.positions(text, prefix.text_start),
            cache=prefix.cache,
            logits_to_keep=torch.zeros(0, dtype=torch.int64, device=self.device),
            hidden=True,
        )
        last = torch.tensor([len(ids) - 1 for ids in asked], device=self.device)
        rows = torch.arange(len(asked), device=self.device)
        return torch.stack([layer[rows, last] for layer in output.hidden_states], dim=1)

    @torch.no_grad()
    def score_answers(
        self,
        scans: Tensor | BrainScans | BrainPrefix,
        prompts: Prompt | Sequence[Prompt],
        answers: Sequence[str] | Sequence[Sequence[str]],
        region_mask: Tensor | None = None,
    ) -> Tensor:
        """Log-likelihoods of answers, each summed over its tokens and the end of the turn.

        Parameters
        ----------
        scans : BrainScans, BrainPrefix, or Tensor of int64, shape (B, W, N)
            Scans, codes of all their windows, or what `prefill` made of them. One scan serves
            several prompts.
        prompts : str, or sequence of str or of messages
            Questions, one per scan (a single text is asked of all). Messages may hold
            earlier turns.
        answers : sequence of str, or one such sequence per prompt
        region_mask : Tensor of bool, shape (B, N), optional
            Beside codes alone.

        Returns
        -------
        Tensor, shape (number of prompts, n_answers)
            In nats.

        Raises
        ------
        InputError
            If scan and text need more positions than the base has.
        """
        prefix = self._prefix(scans, region_mask)
        asked = listed(prompts, prefix.n_scans)
        if isinstance(answers[0], str):
            answers = [cast("Sequence[str]", answers)] * len(asked)
        tokens = [self._tokens(p, a) for p, a in zip(asked, answers, strict=True)]
        self._check_length(prefix, max(len(t[0]) + max(map(len, t[1])) for t in tokens))
        return answer_log_likelihoods(self, prefix, [t[0] for t in tokens], [t[1] for t in tokens])

    @torch.no_grad()
    def generate_text(  # noqa: PLR0913 - how text is decoded, each named as in transformers
        self,
        scans: Tensor | BrainScans | BrainPrefix,
        prompts: Prompt | Sequence[Prompt],
        max_new_tokens: int = 128,
        region_mask: Tensor | None = None,
        *,
        temperature: float = 0.0,
        top_p: float = 1.0,
        num_beams: int = 1,
        length_penalty: float = 1.0,
        seed: int | Sequence[int] = 0,
    ) -> list[str]:
        """Text as answer to each prompt: the most likely token each time (greedy) by default.

        Parameters
        ----------
        scans : BrainScans, BrainPrefix, or Tensor of int64, shape (B, W, N)
            Scans, codes of all their windows, or what `prefill` made of them. One scan serves
            several prompts.
        prompts : str, or sequence of str or of messages
            One per scan, or one that is asked of all.
        max_new_tokens : int, default=128
        region_mask : Tensor of bool, shape (B, N), optional
            Beside codes alone.
        temperature : float, default=0
            Above 0, tokens are drawn, from logits that are divided by it.
        top_p : float, default=1
            Tokens are drawn from the smallest set whose probabilities add up to this.
        num_beams : int, default=1
            Several make a beam search, the same as that of transformers.
        length_penalty : float, default=1
            Beams are ranked by log-likelihood over length to this power.
        seed : int or sequence of int, default=0
            Of the draws. A sequence has one for each prompt, whose text then does not depend on
            what else is asked.

        Returns
        -------
        list of str

        Raises
        ------
        InputError
            If scan and text need more positions than the base has, or a value is out of range.
        """
        decoding = Decoding(
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            num_beams=num_beams,
            length_penalty=length_penalty,
        )
        prefix = self._prefix(scans, region_mask)
        asked = [self._tokens(p, ())[0] for p in listed(prompts, prefix.n_scans)]
        self._check_length(prefix, max(map(len, asked)) + max_new_tokens)
        end_ids = chat.end_ids(self.text_tokenizer)
        seeds = seeds_of(seed, len(asked))
        rows = generate(self, prefix, asked, decoding, end_ids, seeds)
        texts = self.text_tokenizer.batch_decode(rows, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _prefix(
        self, scans: Tensor | BrainScans | BrainPrefix, region_mask: Tensor | None
    ) -> BrainPrefix:
        return scans if isinstance(scans, BrainPrefix) else self.prefill(scans, region_mask)

    def _check_length(self, prefix: BrainPrefix, n_text: int) -> None:
        n_positions = int(prefix.text_start.max()) + n_text
        check_length(n_positions, self.language_model.config, SHORTER)

    def _tokens(self, prompt: Prompt, answers: Sequence[str]) -> tuple[list[int], list[list[int]]]:
        turns = chat.question(prompt) if isinstance(prompt, str) else prompt
        return chat.encode_answers(self.text_tokenizer, turns, answers)
