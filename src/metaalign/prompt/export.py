"""The chat template of a model that was trained with tier markers, for programs that know no more.

Transformers, vLLM and SGLang run it with Jinja, llama.cpp with an engine of its own; so it keeps to
what all of them know: for, if, set, namespace, ``in``, ``+``, ``raise_exception``.
"""

from collections.abc import Sequence

from metaalign.prompt.native import END, marker
from metaalign.prompt.parts import DEFAULT_TIERS
from metaalign.schema import SYSTEM_INFO

_TEXT = (
    "{%- set ns.text = '' -%}"
    "{%- if m['content'] is string -%}{%- set ns.text = m['content'] -%}"
    "{%- else -%}{%- for part in m['content'] -%}"
    "{%- set ns.text = ns.text + part['text'] -%}"
    "{%- endfor -%}{%- endif -%}"
)
"""The text of message ``m``, whose content may come in parts.

vLLM and SGLang hand parts over, and not one text with something between them, where they find a
loop over a message's content; SGLang knows it by the name of the message, ``m``.
"""


def chat_template(bos_token: str = "", tiers: Sequence[str] = DEFAULT_TIERS) -> str:
    """A Jinja chat template that renders OpenAI messages as ``encode`` does.

    ``system`` and ``developer`` messages are System Info, every other tier has a role of its own
    name (``user_info``); messages of one tier are joined by line breaks, as in ``from_messages``.
    Any other role raises. What a variable of the tier's name says is added to it, System Info
    excepted: SGLang accepts no message of a role that it does not know, but every server hands
    ``chat_template_kwargs`` on.

    For all text that holds no control token it gives exactly the ids of ``encode``; but unlike
    ``encode`` it cannot keep a control token in a text from being read as one: ``neutralise`` is
    for that.
    """
    roles = {tier: [tier] for tier in tiers}
    if SYSTEM_INFO in roles:
        roles[SYSTEM_INFO] = ["system", "developer"]
    known = [role for names in roles.values() for role in names] + ["user", "assistant"]
    template = "{%- set ns = namespace(text='', tier='') -%}"
    template += f"{{{{- '{bos_token}' -}}}}" if bos_token else ""
    for tier, names in roles.items():
        variable = tier if tier != SYSTEM_INFO and tier.isidentifier() else None
        template += _tier(marker(tier), names, variable)
    return template + (
        "{%- for m in messages -%}"
        + _TEXT
        + "{%- if m['role'] == 'user' -%}"
        + f"{{{{- '{marker('user')}' + ns.text -}}}}"
        + "{%- elif m['role'] == 'assistant' -%}"
        + f"{{{{- '{marker('assistant')}' + ns.text + '{END}' -}}}}"
        + f"{{%- elif m['role'] not in {known!r} -%}}"
        + "{{- raise_exception('role ' + m['role'] + ' is none of "
        + f"{', '.join(known)}') -}}}}"
        + "{%- endif -%}{%- endfor -%}"
        + f"{{%- if add_generation_prompt -%}}{{{{- '{marker('assistant')}' -}}}}{{%- endif -%}}"
    )


def _tier(token: str, roles: Sequence[str], variable: str | None) -> str:
    """The field of one tier: all that its messages say, then what the variable says."""
    said = "{%- set ns.tier = '' -%}{%- for m in messages -%}"
    said += f"{{%- if m['role'] in {list(roles)!r} -%}}" + _TEXT
    said += _joined("ns.text") + "{%- endif -%}{%- endfor -%}"
    said += _joined(variable) if variable else ""
    return said + f"{{%- if ns.tier -%}}{{{{- '{token}' + ns.tier -}}}}{{%- endif -%}}"


def _joined(text: str) -> str:
    """Put ``text`` after what the tier says already, on a line of its own."""
    return (
        f"{{%- if {text} -%}}"
        f"{{%- set ns.tier = ns.tier + ('\\n' if ns.tier else '') + {text} -%}}"
        "{%- endif -%}"
    )
