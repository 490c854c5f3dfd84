"""From sources to groups and samples.

The story reads in this order: ``sources`` turn published records into groups with the help of
``families``, and ``writing`` has a ``teacher`` write more; ``filters`` are the stages that a
``recipe`` names; ``build`` takes all of it through ``building``; ``splits`` keeps groups whole,
``samples`` makes the paper's samples from groups, ``store`` writes and reads the folder, ``card``
and ``manifest`` say where it came from, and ``tools`` are for what one does with a dataset then.
Nothing is imported here, so that ``metaalign.data.manifest`` can be used without pyarrow.
"""
