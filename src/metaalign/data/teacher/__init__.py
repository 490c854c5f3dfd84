"""A teacher: a model behind an OpenAI-compatible API that writes and orders, and what it costs.

``requests`` has what is asked and what comes back, ``forms`` how a reply is held to a type, and
``settings`` what a recipe can say. ``teacher`` asks: it looks into the ``journal`` first, sends
what is not there by ``live`` or in ``batches``, and checks what comes back. ``ledger`` reserves and
commits, ``pace`` keeps to the rates, ``manner`` and ``endpoint`` know how servers differ and fail.
``dry`` says what a run would cost. ``mock`` is a server that stands in for a teacher.

The parts are imported from their own modules; ``teacher`` and what sends for it need ``openai``.
"""
