"""Groups that a teacher writes, and preferences that it finds.

``table`` is what a recipe says in ``[[write]]``. ``pools`` reads queries, people, roles and
preferences. ``plans`` draws by hash, for every query, Meta-Prompts that want different answers, and
the answers to be written: ``aims`` says what they are for, ``views`` puts them into words and asks
the Priority Matrix what they come to. ``brief`` says in words what an answer has to do, ``prompts``
and ``tasks`` ask a teacher for it, ``work`` makes a group of what comes back, and ``writer`` is all
of that for a build. ``finding`` asks for new preferences and people in rounds.

The parts are imported from their own modules.
"""
