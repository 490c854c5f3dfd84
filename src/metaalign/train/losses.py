"""The losses, as pure functions of log-probabilities. All are in nats.

They return one loss per unit (a token for SFT, a pair for DPO). The trainer takes the mean over all
units of a step, so that the size of a batch and accumulation do not change the gradient.
"""

import torch.nn.functional as F
from torch import Tensor


def token_logprobs(logits: Tensor, labels: Tensor) -> Tensor:
    """log p(label) of every position.

    Args:
        logits: ``[..., vocabulary]``, any float type; computed in float32.
        labels: ``[...]``, token ids.

    Returns:
        ``[...]`` in float32, never above 0.
    """
    flat = F.cross_entropy(logits.float().flatten(0, -2), labels.reshape(-1), reduction="none")
    return -flat.view(labels.shape)


def sequence_logprobs(token_logprobs: Tensor, answer: Tensor, answers: int) -> Tensor:
    """log p(answer) = sum of the log-probabilities of its tokens.

    Args:
        token_logprobs: ``[tokens]``, the answer tokens of a whole batch in one row.
        answer: ``[tokens]``, the number of the answer that each token belongs to.
        answers: how many answers there are.

    Returns:
        ``[answers]``.
    """
    return token_logprobs.new_zeros(answers).index_add(0, answer, token_logprobs)


def sft_loss(token_logprobs: Tensor) -> Tensor:
    """Negative log-likelihood of every response token: ``[tokens]`` to ``[tokens]``.

    Prompt tokens are not among them, so the mean is the usual SFT loss on responses only.
    """
    return -token_logprobs


def dpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    beta: float,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Direct Preference Optimization, arXiv 2305.18290, equation 7, of every pair.

        h = (log pi(chosen) - log ref(chosen)) - (log pi(rejected) - log ref(rejected))
        loss = -log sigmoid(beta h)

    With ``label_smoothing`` e in (0, 0.5), the share of pairs believed to be the wrong way round,
    it is the unbiased robust DPO of arXiv 2403.00409:

        loss = (-(1 - e) log sigmoid(beta h) + e log sigmoid(-beta h)) / (1 - 2 e)

    Args:
        policy_chosen: ``[pairs]``, log-probability of each chosen answer under the policy; the
            other three likewise.
        beta: how strongly the policy is held to the reference; has no unit, above 0.
        label_smoothing: e above.

    Returns:
        ``[pairs]``.
    """
    h = (policy_chosen - reference_chosen) - (policy_rejected - reference_rejected)
    right, wrong = F.logsigmoid(beta * h), F.logsigmoid(-beta * h)
    smoothed = -(1 - label_smoothing) * right + label_smoothing * wrong
    return smoothed / (1 - 2 * label_smoothing)


def chosen_nll(policy_chosen: Tensor, chosen_tokens: Tensor) -> Tensor:
    """The term that Iterative RPO adds to DPO: -log pi(chosen) / |chosen|, of every pair.

    arXiv 2404.19733, equation 1, where it has weight 1 and DPO has weight alpha. It keeps the
    chosen answers likely, which DPO alone does not.

    Args:
        policy_chosen: ``[pairs]``, log-probabilities of the chosen answers.
        chosen_tokens: ``[pairs]``, their lengths in tokens.

    Returns:
        ``[pairs]``.
    """
    return -policy_chosen / chosen_tokens.clamp(min=1).to(policy_chosen.dtype)
