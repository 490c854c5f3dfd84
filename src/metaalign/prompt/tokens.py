"""The control tokens that carry the tiers, and the chat template that shows them to other servers.

A rendered dialogue is a row of fields, each opened by one control token and closed by the next:

    <|system_info|>…<|user_info|>…<|user|>…<|assistant|>…<|end|>

Text is never looked up among the control tokens (see ``rendering``), so nothing that a tier says
can open or close a field.
"""

from collections.abc import Sequence
from typing import Any

from metaalign.schema import SYSTEM_INFO, USER_INFO, UserError

END = "<|end|>"
"""Closes an assistant turn; a model stops after it."""
ROLES = ("user", "assistant")
DEFAULT_TIERS = (SYSTEM_INFO, USER_INFO)


def marker(name: str) -> str:
    """The control token that opens the field of a tier or a role."""
    return f"<|{name}|>"


def add_markers(tokenizer: Any, tiers: Sequence[str] = DEFAULT_TIERS) -> int:
    """Make the markers of ``tiers`` and of the turns special tokens of a Hugging Face tokenizer.

    Returns how many were new, so that the caller can grow the model's embeddings.
    """
    names = [marker(name) for name in (*tiers, *ROLES)] + [END]
    added: int = tokenizer.add_tokens(names, special_tokens=True)
    return added


def has_markers(tokenizer: Any) -> bool:
    """Whether every marker of the default tiers is one token of this tokenizer."""
    known = tokenizer.get_added_vocab()
    return all(marker(name) in known for name in (*DEFAULT_TIERS, *ROLES)) and END in known


def token_id(tokenizer: Any, token: str) -> int:
    """The id of a control token; an error for people if the tokenizer does not have it."""
    found = tokenizer.get_added_vocab().get(token)
    if found is None:
        raise UserError(
            f"this tokenizer has no control token {token}: "
            "it belongs to a model that metaalign has not trained (metaalign train --model NAME)"
        )
    return int(found)


def end_token_id(tokenizer: Any) -> int:
    """The id of the token that closes an answer."""
    return token_id(tokenizer, END)


def chat_template(bos_token: str = "") -> str:
    """A Jinja chat template that renders OpenAI messages as ``encode`` does.

    It knows the role ``user_info``; ``system`` and ``developer`` messages are joined by line breaks
    into System Info, as ``from_messages`` does. It serves programs that only know templates. Unlike
    ``encode`` it cannot keep control tokens in a text from being read as such.
    """
    system, user = marker(SYSTEM_INFO), marker(USER_INFO)
    return (
        "{%- set info = namespace(system='', user='') -%}"
        "{%- for m in messages -%}"
        "{%- if m['role'] in ['system', 'developer'] -%}"
        "{%- set info.system = info.system + ('\\n' if info.system else '') + m['content'] -%}"
        "{%- elif m['role'] == 'user_info' -%}"
        "{%- set info.user = info.user + ('\\n' if info.user else '') + m['content'] -%}"
        "{%- endif -%}{%- endfor -%}"
        f"{{{{- '{bos_token}' -}}}}"
        f"{{%- if info.system -%}}{{{{- '{system}' + info.system -}}}}{{%- endif -%}}"
        f"{{%- if info.user -%}}{{{{- '{user}' + info.user -}}}}{{%- endif -%}}"
        "{%- for m in messages -%}"
        "{%- if m['role'] == 'user' -%}"
        f"{{{{- '{marker('user')}' + m['content'] -}}}}"
        "{%- elif m['role'] == 'assistant' -%}"
        f"{{{{- '{marker('assistant')}' + m['content'] + '{END}' -}}}}"
        "{%- endif -%}{%- endfor -%}"
        f"{{%- if add_generation_prompt -%}}{{{{- '{marker('assistant')}' -}}}}{{%- endif -%}}"
    )
