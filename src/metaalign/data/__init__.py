"""From sources to groups and samples: adapters, splits, the store and its manifest.

The story reads in this order: ``sources`` turn published records into groups, ``splits`` keeps
groups whole, ``samples`` makes the paper's samples from groups, ``store`` writes and reads the
folder, ``manifest`` says where it came from, and ``build`` does all of it. Nothing is imported
here, so that ``metaalign.data.manifest`` can be used without pyarrow.
"""
