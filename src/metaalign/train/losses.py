"""The losses, as pure functions of log-probabilities. All are in nats.

They return one loss per unit (a token for SFT, a pair for DPO). The trainer takes the mean over all
units of a step, so that the size of a batch and accumulation do not change the gradient.
"""

import torch
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
    h = log_ratio_difference(policy_chosen, policy_rejected, reference_chosen, reference_rejected)
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


def log_ratio_difference(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
) -> Tensor:
    """h of ``dpo_loss``: by how much the policy prefers the chosen answer, beyond the reference.

    All ``[pairs]``, in nats; so is the result.
    """
    return (policy_chosen - reference_chosen) - (policy_rejected - reference_rejected)


def ipo_loss(h: Tensor, beta: float) -> Tensor:
    """Identity Preference Optimization, arXiv 2310.12036, equation 17, of every pair.

        loss = (h - 1 / (2 beta))^2

    It pulls h to a value instead of to infinity, so that pairs that are always ordered alike do not
    run away from the reference.

    Args:
        h: ``[pairs]``, ``log_ratio_difference``; of log-probabilities per token, if lengths differ.
        beta: the paper's tau.

    Returns:
        ``[pairs]``, in squared nats.
    """
    return (h - 1 / (2 * beta)) ** 2


def simpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    chosen_tokens: Tensor,
    rejected_tokens: Tensor,
    beta: float,
    gamma: float,
) -> Tensor:
    """SimPO, arXiv 2405.14734, equation 6, of every pair: no reference, nats per token.

        h = log pi(chosen) / |chosen| - log pi(rejected) / |rejected|
        loss = -log sigmoid(beta h - gamma)

    Args:
        policy_chosen: ``[pairs]``, log-probabilities, and likewise ``policy_rejected``.
        chosen_tokens: ``[pairs]``, lengths in tokens, and likewise ``rejected_tokens``.
        beta: scale of the difference; has no unit.
        gamma: the margin by which the chosen answer shall lead.

    Returns:
        ``[pairs]``.
    """
    chosen, rejected = policy_chosen / chosen_tokens, policy_rejected / rejected_tokens
    return -F.logsigmoid(beta * (chosen - rejected) - gamma)


def plackett_luce_loss(scores: Tensor, ranks: Tensor) -> Tensor:
    """The likelihood of a whole ranking: DPO for ranked groups, arXiv 2305.18290, equation 20.

        loss = -sum over i of log(exp(s_i) / (exp(s_i) + sum over j ranked below i of exp(s_j)))

    Of two answers with a strict order it is ``dpo_loss``. Answers of equal rank are not compared.

    Args:
        scores: ``[groups, k]``, beta times the log-probability ratio of every answer against the
            reference.
        ranks: ``[groups, k]``, 0 the best; -1 where a group has fewer than k answers or nobody
            ranked the answer.

    Returns:
        ``[groups]``; 0 for a group in which nothing stands above anything.
    """
    below = (ranks[:, None, :] > ranks[:, :, None]) & (ranks >= 0)[:, :, None]
    itself = torch.eye(ranks.shape[1], dtype=torch.bool, device=ranks.device)
    among = scores[:, None, :].masked_fill(~(below | itself), float("-inf"))
    return (among.logsumexp(-1) - scores).masked_fill(~below.any(-1), 0.0).sum(-1)


def lexicographic_loss(
    h: Tensor, level: Tensor, beta: float, margin: float, decay: float = 0.5
) -> Tensor:
    """DPO whose margin depends on what the order of the pair was decided by, of every pair.

        loss = -log sigmoid(beta h - margin decay^level)

    DPO with an offset (arXiv 2402.10571, equation 7), where the offset is the larger the earlier in
    the order of criteria the two answers differ: what the Priority Matrix settles comes before what
    a single preference asks for.

    Args:
        h: ``[pairs]``, ``log_ratio_difference``.
        level: ``[pairs]``, 0 if the first criterion (the behaviour) decided, 1 for the next, ...
        beta: as in ``dpo_loss``.
        margin: the offset of level 0, in units of beta h.
        decay: the offset of every further level as a share of the one before, in (0, 1].

    Returns:
        ``[pairs]``.
    """
    return -F.logsigmoid(beta * h - margin * decay ** level.to(h.dtype))
