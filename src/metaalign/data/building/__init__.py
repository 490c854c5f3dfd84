"""What a build does between its sources and the dataset folder, step by step.

The story reads in this order: ``inputs`` opens what is read, ``reading`` stages it, ``passes``
takes it part by part through the stages, on one of the ``engines``; ``comparing`` decides between
groups, ``keys`` and ``index`` know what a split holds out, and ``dropped`` tells what was left out
and why. ``running`` leads through all of it, ``planning`` says beforehand what would be done, and
``staging`` is where it lies on disk meanwhile.
"""
